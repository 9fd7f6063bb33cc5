"""Every refusal stands in the audit trail, once, whichever door was tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.test import Client

from breakers.models import Breaker, Command, DomainMember, Override
from resilience_site.core.choices import Role, Scope
from resilience_site.core.models import AuditEntry
from tests.breakers.api.conftest import Api

pytestmark = pytest.mark.django_db(transaction=True)

FORCED = {"state": "forced_open", "reason": "failing over", "expires_in": "600"}
WRONG: dict[str, dict[str, Any]] = {
    "no reason": {"reason": ""},
    "an end in the past": {"expires_in": "-5"},
    "an end beyond the role's limit": {"expires_in": "86401"},
    "an unknown state": {"state": "ajar"},
}


def refusals() -> list[tuple[str, str]]:
    found = AuditEntry.objects.filter(action__endswith=".refused")
    return list(found.values_list("action", "object_id"))


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_refused_override_is_audited_from_a_tile(
    as_role: Callable[[Role], Client], planner: Breaker, wrong: dict[str, Any]
) -> None:
    answer = as_role(Role.OPERATOR).post(f"/breakers/{planner.key}/override", {**FORCED, **wrong})
    assert answer.status_code == 422
    assert refusals() == [("breaker.override.refused", "planner/graph")]
    assert not Override.objects.exists()


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_refused_override_is_audited_from_the_api(
    operator_key: Api, planner: Breaker, wrong: dict[str, Any]
) -> None:
    given = {**FORCED, **wrong}
    given["expires_in"] = int(given["expires_in"])
    assert operator_key("POST", "breakers/planner/graph/override", given).status_code == 422
    assert refusals() == [("breaker.override.refused", "planner/graph")]


@pytest.mark.parametrize(
    "path", ["breakers/{key}/reset", "breakers/{key}/policy", "breakers/{key}/policy/rollback"]
)
def test_what_a_form_refuses_before_the_service_is_audited(
    as_role: Callable[[Role], Client], planner: Breaker, path: str
) -> None:
    given = {"number": "0", "failure_threshold": "3"}
    answer = as_role(Role.OPERATOR).post(f"/{path.format(key=planner.key)}", given)
    assert answer.status_code == 422
    [(action, place)] = refusals()
    assert action.startswith("breaker.")
    assert place == "planner/graph"


def test_refused_domains_toggles_and_levels_are_audited(
    as_role: Callable[[Role], Client], planner: Breaker
) -> None:
    DomainMember.objects.create(domain="eu", service="planner", name="graph", source="set")
    client = as_role(Role.OPERATOR)
    client.post("/domains/eu/override", {"state": "forced_open", "expires_in": "600"})
    client.post(
        "/toggles/-/new", {"key": "k", "value": "true", "reason": "why", "expires_in": "0x"}
    )
    client.post("/degraded/planner/set", {"level": "reduced", "expires_in": ""})
    assert [action for action, _ in reversed(refusals())] == [
        "domain.override.refused", "toggle.set.refused", "degraded.set.refused",
    ]  # fmt: skip


@pytest.fixture
def staff(transactional_db: None) -> Client:
    user = get_user_model().objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="breakers"))
    user.groups.add(Group.objects.get_or_create(name=Role.OPERATOR.value)[0])
    client = Client()
    client.force_login(user)
    return client


def act(client: Client, row: Breaker, action: str, **given: str) -> str:
    chosen = {"action": action, "_selected_action": [row.pk], "apply": "1", **given}
    answer = client.post("/admin/breakers/breaker/", chosen, follow=True)
    assert answer.status_code == 200
    return answer.text


@pytest.mark.parametrize("wrong", [{"reason": ""}, {"expires_in": "-5"}, {"expires_in": "86401"}])
def test_a_refused_override_is_audited_from_the_admin(
    staff: Client, planner: Breaker, wrong: dict[str, str]
) -> None:
    given = {"scope": "service", "reason": "failing over", "expires_in": "900", **wrong}
    act(staff, planner, "force_open", **given)
    assert refusals() == [("breaker.force_open.refused", "planner graph planner-1")]
    assert not Override.objects.exists()


@pytest.mark.parametrize("reason", ["", "\0 "])
def test_a_reset_without_a_reason_is_refused_and_audited_at_each_door(
    as_role: Callable[[Role], Client],
    operator_key: Api,
    staff: Client,
    planner: Breaker,
    reason: str,
) -> None:
    DomainMember.objects.create(domain="eu", service="planner", name="graph", source="set")
    person = as_role(Role.OPERATOR)
    for path in (f"/breakers/{planner.key}/reset", "/domains/eu/reset"):
        assert person.post(path, {"reason": reason}).status_code == 422
    for path in ("breakers/planner/graph/reset", "domains/eu/reset"):
        assert operator_key("POST", path, {"reason": reason}).status_code == 422
    for scope in ("instance", "service", "domain"):
        act(staff, planner, "reset", scope=scope, reason=reason)
    member = DomainMember.objects.get()
    chosen = {"action": "reset", "_selected_action": [member.pk], "apply": "1", "reason": reason}
    staff.post("/admin/breakers/domainmember/", chosen)
    assert sorted(refusals()) == sorted([
        *[("breaker.reset.refused", "planner/graph"), ("domain.reset.refused", "eu")] * 2,
        *[("breaker.reset.refused", "planner graph planner-1")] * 3,
        ("domainmember.reset.refused", "eu: planner graph"),
    ])  # fmt: skip
    assert not Command.objects.exists()


@pytest.mark.parametrize("action", ["force_open", "reset"])
def test_an_instance_without_a_name_is_not_taken_for_all_of_them(
    staff: Client, planner: Breaker, action: str
) -> None:
    Breaker.objects.filter(pk=planner.pk).update(instance="")
    html = act(staff, planner, action, scope="instance", reason="a drill", expires_in="900")
    assert "refused." in html
    assert not Override.objects.exists()
    assert not Command.objects.exists()


def test_a_viewer_is_refused_and_audited_once_at_each_door(
    as_role: Callable[[Role], Client], planner: Breaker
) -> None:
    as_role(Role.VIEWER).post(f"/breakers/{planner.key}/override", FORCED)
    Api(Scope.READ)("POST", "breakers/planner/graph/override", {**FORCED, "expires_in": 600})
    assert refusals() == [("breaker.override.refused", "planner/graph")] * 2
