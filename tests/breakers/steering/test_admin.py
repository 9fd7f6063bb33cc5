"""The stock admin: every model listed, decisions made by its actions through the same services."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from breakers.models import (
    Breaker,
    Command,
    ControlDocument,
    DegradedMode,
    DomainMember,
    Override,
    Toggle,
)
from breakers.services.members import domain_member_add, domain_member_remove
from breakers.services.overrides import Target, override_set
from breakers.services.toggles import toggle_set
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Forbidden, Invalid, NotFound
from tests.breakers.steering.scenes import ANA, GRAPH, PLANNER, REDIS, stay_heard_of
from tests.pages import scenes as traffic

MODELS = list(apps.get_app_config("breakers").get_models())


@pytest.fixture
def staff(empty_site: None) -> Callable[[Role | None], Client]:
    """A client of a member of staff who may see everything of breakers, with a role."""

    def sign_in(role: Role | None) -> Client:
        user = get_user_model().objects.create_user(f"staff-{role}", is_staff=True)
        # Also those that a careless superuser may hand out.
        user.user_permissions.set(Permission.objects.filter(content_type__app_label="breakers"))
        if role is not None:
            user.groups.add(Group.objects.get_or_create(name=role.value)[0])
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def owner(staff: Callable[[Role | None], Client]) -> Client:
    return staff(Role.OPERATOR)


def list_of(model: type[Model]) -> str:
    return reverse(f"admin:breakers_{model._meta.model_name}_changelist")


def act(client: Client, rows: list[Any], action: str, **given: Any) -> str:
    """Choose rows and an action, then answer what the page asks; the page that follows."""
    path = list_of(type(rows[0]))
    chosen = {"action": action, "_selected_action": [row.pk for row in rows]}
    asked = client.post(path, chosen)
    assert asked.status_code == 200
    hidden = dict(re.findall(r'name="(version-[^"]+)" value="([^"]+)"', asked.text))
    answer = client.post(path, {**chosen, **hidden, **given, "apply": "1"}, follow=True)
    assert answer.status_code == 200
    return answer.text


@pytest.mark.usefixtures("busy_fleet")
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_model_is_listed_searched_and_cannot_be_written(
    model: type[Model], admin_client: Client
) -> None:
    path = list_of(model)
    assert admin_client.get(path).status_code == 200
    assert admin_client.get(path, {"q": "planner"}).status_code == 200
    if model is not DomainMember:
        assert admin_client.get(f"{path}add/").status_code == 403
    row = model._default_manager.order_by("pk").first()
    if row is not None and admin.site._registry[model].list_display_links is not None:
        change = reverse(f"admin:breakers_{model._meta.model_name}_change", args=[row.pk])
        assert admin_client.get(change).status_code == 200
        assert admin_client.post(change, {}).status_code == 403


@pytest.mark.usefixtures("fleet")
def test_breakers_are_forced_in_chosen_instances_or_everywhere(owner: Client) -> None:
    rows = list(Breaker.objects.filter(name=GRAPH))
    given = {"reason": "Graph is down", "expires_in": "900"}
    text = act(owner, rows[:1], "force_open", scope="instance", **given)
    assert "Force open: requested for 1." in text
    override = Override.objects.get()
    assert (override.scope, override.instance, override.state) == (
        "instance", "planner-1", "forced_open",
    )  # fmt: skip
    assert (override.actor, override.reason) == ("staff-operator", "Graph is down")

    # Both rows of one breaker are one override of the service.
    assert "requested for 1." in act(owner, rows, "disable", scope="service", **given)
    assert Override.objects.get(scope="service").state == "disabled"
    document = ControlDocument.objects.get(service=PLANNER).document
    assert document["breakers"][GRAPH]["override"]["state"] == "disabled"

    assert "requested for 1." in act(owner, rows, "revert", scope="service", reason="")
    assert not Override.objects.filter(scope="service", ended_at=None).exists()
    assert AuditEntry.objects.filter(action="breaker.override", actor="staff-operator").count() == 2


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("action", "state"), [("force_closed", "forced_closed"), ("metrics_only", "metrics_only")]
)
def test_each_state_has_its_action(owner: Client, action: str, state: str) -> None:
    rows = list(Breaker.objects.filter(name=REDIS))
    act(owner, rows, action, scope="service", reason="a trial", expires_in="900")
    assert Override.objects.get().state == state


@pytest.mark.usefixtures("fleet")
def test_a_reset_becomes_a_command(owner: Client) -> None:
    rows = list(Breaker.objects.filter(name=GRAPH))
    assert "errorlist" in act(owner, rows, "reset", scope="instance", reason="")
    assert not Command.objects.exists()
    assert "requested for 2." in act(owner, rows, "reset", scope="instance", reason="It is back")
    assert sorted(Command.objects.values_list("instance", flat=True)) == ["planner-1", "planner-2"]


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("model", [Breaker, DomainMember])
def test_a_whole_failure_domain_is_forced_let_back_and_reset(
    owner: Client, model: type[Breaker] | type[DomainMember]
) -> None:
    domain_member_add(domain="graph-eu", service=PLANNER, name=REDIS, actor=ANA, role=Role.ADMIN)
    # Two rows of one domain are one override of it.
    rows: list[Any] = list(model.objects.filter(service=PLANNER, name=GRAPH))
    if model is DomainMember:
        rows += DomainMember.objects.filter(name=REDIS)
    assert len(rows) == 2
    place = {"scope": "domain"} if model is Breaker else {}
    given = {**place, "reason": "EU is on fire", "expires_in": "900"}
    assert "Force open: requested for 1." in act(owner, rows, "force_open", **given)
    override = Override.objects.get()
    assert (override.scope, override.domain, override.state, override.actor) == (
        "domain", "graph-eu", "forced_open", "staff-operator",
    )  # fmt: skip
    told = ControlDocument.objects.get(service=PLANNER).document
    assert {told["breakers"][name]["override"]["state"] for name in (GRAPH, REDIS)} == {
        "forced_open"
    }
    assert "requested for 1." in act(owner, rows, "revert", reason="", **place)
    assert ControlDocument.objects.get(service=PLANNER).document["breakers"] == {}
    assert "requested for 1." in act(owner, rows, "reset", reason="EU is back", **place)
    reset = Command.objects.filter(reason="EU is back").values_list(
        "parameters__breaker", flat=True
    )
    assert sorted(reset) == [GRAPH, REDIS]
    done = AuditEntry.objects.filter(actor="staff-operator", object_id="graph-eu").order_by("id")
    assert list(done.values_list("action", flat=True)) == [
        "domain.override", "domain.override.reverted", "domain.reset",
    ]  # fmt: skip


@pytest.mark.usefixtures("fleet")
def test_breakers_in_no_failure_domain_are_named_and_nothing_is_done(owner: Client) -> None:
    rows = list(Breaker.objects.filter(name__in=(GRAPH, REDIS)))
    given = {"scope": "domain", "reason": "EU is on fire", "expires_in": "900"}
    text = act(owner, rows, "force_open", **given)
    assert f"In no failure domain: {REDIS} of {PLANNER}." in text
    assert "EU is on fire</textarea>" in text
    assert not Override.objects.exists()
    assert AuditEntry.objects.filter(action="breaker.force_open.refused").count() == 1


def asked(client: Client, rows: list[Any], action: str) -> str:
    """What the page that asks says, without its tags."""
    chosen = {"action": action, "_selected_action": [row.pk for row in rows]}
    text = re.sub(r"<[^>]+>", " ", client.post(list_of(type(rows[0])), chosen).text)
    return " ".join(text.split())


@pytest.mark.usefixtures("busy_fleet")
@pytest.mark.parametrize("action", ["force_open", "revert", "reset"])
def test_who_is_affected_is_told_before_for_each_place_on_offer(
    owner: Client, now: datetime, action: str
) -> None:
    stay_heard_of(now)
    traffic.store(list(traffic.hour(now, calls_a_minute=30)), now)
    domain_member_add(domain="graph-eu", service=PLANNER, name=REDIS, actor=ANA, role=Role.ADMIN)
    rows = list(Breaker.objects.filter(name=GRAPH))
    text = asked(owner, rows, action)
    alone, _, rest = text.partition("Who is affected")[2].partition(
        "All instances of their services:"
    )
    everywhere, _, domain = rest.partition("Their failure domains, in every service:")
    for name in ("planner-1", "planner-2"):
        assert f"{GRAPH} in the instance {name} of {PLANNER}: Affects 1 live instance of" in alone
    assert f"{GRAPH} in all instances of {PLANNER}: Affects 2 live instances of" in everywhere
    assert "the failure domain graph-eu: Affects 2 live instances with 2 breakers of" in domain
    for part in (alone, everywhere, domain):
        assert re.search(
            r"[0-9]\.[0-9] calls a second .*Called by planning-agent \([0-9.]+/s\)", part
        )


@pytest.mark.usefixtures("fleet")
def test_who_is_affected_is_told_of_domains_and_of_overrides_that_end(owner: Client) -> None:
    told = "the failure domain graph-eu: Affects 2 live instances of"
    assert told in asked(owner, list(DomainMember.objects.all()), "force_open")
    override_set(
        target=Target.of_domain("graph-eu"), state="forced_open", reason="r", expires_in=900,
        actor=ANA, role=Role.ADMIN,
    )  # fmt: skip
    [row] = Override.objects.all()
    assert told in asked(owner, [row], "expire_now")
    act(owner, [row], "expire_now", reason="over")
    assert "Who is affected" not in asked(owner, [row], "expire_now")


@pytest.mark.usefixtures("fleet")
def test_a_long_selection_takes_no_more_queries_and_is_told_in_part(
    owner: Client, now: datetime
) -> None:
    for number in range(30):
        Breaker.objects.create(
            service=PLANNER, name=f"vendor-{number:02}", instance="planner-1",
            key=f"{number:016}", state="closed", since=now, first_seen=now, last_seen=now,
        )  # fmt: skip
    rows = list(Breaker.objects.filter(name__startswith="vendor"))
    with CaptureQueriesContext(connection) as few:
        asked(owner, rows[:2], "force_open")
    with CaptureQueriesContext(connection) as many:
        text = asked(owner, rows, "force_open")
    assert len(many) <= len(few)
    assert text.count("and 10 more") == 3
    assert f"vendor-19 in all instances of {PLANNER}" in text
    assert f"vendor-20 in all instances of {PLANNER}" not in text


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    "given",
    [
        {"reason": "", "expires_in": "900", "scope": "service"},
        {"reason": "why", "expires_in": "", "scope": "service"},
        {"reason": "why", "expires_in": "99999999", "scope": "service"},
        {"reason": "why", "expires_in": "900", "scope": "galaxy"},
    ],
)
def test_without_reason_expiry_or_place_the_page_asks_again(
    owner: Client, given: dict[str, str]
) -> None:
    text = act(owner, list(Breaker.objects.filter(name=GRAPH)), "force_open", **given)
    assert "errorlist" in text
    assert not Override.objects.exists()


@pytest.mark.usefixtures("busy_fleet")
@pytest.mark.parametrize("role", [Role.VIEWER, None])
def test_who_may_only_look_is_refused_by_message_and_audited(
    staff: Callable[[Role | None], Client], role: Role | None
) -> None:
    client = staff(role)
    tries: list[tuple[Any, str, dict[str, Any], str]] = [
        (Breaker.objects.filter(name=GRAPH)[0], "force_open",
         {"reason": "why", "expires_in": "900", "scope": "service"}, "breaker.override"),
        (Breaker.objects.filter(name=GRAPH)[0], "reset",
         {"reason": "why", "scope": "service"}, "breaker.reset"),
        (Toggle.objects.get(key="planner.write"), "set_on",
         {"reason": "why", "expires_in": ""}, "toggle.set"),
        (Toggle.objects.get(key="planner.write"), "expire_now", {"reason": ""}, "toggle.revert"),
        (DegradedMode.objects.get(), "set_level",
         {"level": "offline", "reason": "why", "expires_in": "900"}, "degraded.set"),
        (DegradedMode.objects.get(), "end_level", {"reason": ""}, "degraded.set"),
    ]  # fmt: skip
    before = ControlDocument.objects.get(service=PLANNER).version
    for row, action, given, audited in tries:
        assert "This needs the role operator" in act(client, [row], action, **given), action
        entry = AuditEntry.objects.filter(action=f"{audited}.refused").order_by("-at")[0]
        assert entry.actor == f"staff-{role}"
    assert ControlDocument.objects.get(service=PLANNER).version == before
    assert client.get(f"{list_of(DomainMember)}add/").status_code == 403


@pytest.mark.usefixtures("fleet")
def test_an_override_is_ended_once(owner: Client) -> None:
    target = Target.of_breaker(PLANNER, GRAPH)
    override_set(
        target=target, state="forced_open", reason="r", expires_in=900, actor=ANA, role=Role.ADMIN
    )
    row = Override.objects.get()
    assert "End now: requested for 1." in act(owner, [row], "expire_now", reason="over")
    assert "has ended already" in act(owner, [row], "expire_now", reason="over")
    row.refresh_from_db()
    assert (row.ended_by, row.ending) == ("staff-operator", "reverted")


@pytest.mark.usefixtures("busy_fleet")
def test_toggles_are_switched_put_back_and_expired(owner: Client) -> None:
    suggestions = Toggle.objects.get(key="planner.suggestions")
    text = act(owner, [suggestions], "set_off", reason="enough", expires_in="900")
    assert "Switch off: requested for 1." in text
    suggestions.refresh_from_db()
    assert (suggestions.value, suggestions.rollout, suggestions.services) == (
        False, 0.25, [PLANNER],
    )  # fmt: skip
    assert "Expire now: requested for 1." in act(owner, [suggestions], "expire_now", reason="")
    suggestions.refresh_from_db()
    assert suggestions.value is True
    assert "has no end that could come now" in act(owner, [suggestions], "expire_now", reason="")
    act(owner, [suggestions], "set_on", reason="for good", expires_in="")
    suggestions.refresh_from_db()
    assert suggestions.expires_at is None
    assert "requested for 1." in act(owner, [suggestions], "revert", reason="")
    suggestions.refresh_from_db()
    assert suggestions.is_set is False


@pytest.mark.usefixtures("busy_fleet")
def test_a_toggle_that_changed_meanwhile_is_not_overwritten(owner: Client) -> None:
    toggle = Toggle.objects.get(key="planner.write")
    chosen = {"action": "set_on", "_selected_action": [toggle.pk]}
    asked = owner.post(list_of(Toggle), chosen).text
    assert f'name="version-{toggle.pk}" value="2"' in asked
    toggle_set(key=toggle.key, value=7, reason="meanwhile", actor=ANA, role=Role.ADMIN)
    answer = owner.post(
        list_of(Toggle),
        {**chosen, f"version-{toggle.pk}": "2", "reason": "why", "expires_in": "", "apply": "1"},
        follow=True,
    )
    assert "The toggle has changed" in answer.text
    toggle.refresh_from_db()
    assert toggle.value == 7


@pytest.mark.usefixtures("busy_fleet")
def test_levels_are_set_and_ended_for_services_with_a_document(owner: Client) -> None:
    documents = list(ControlDocument.objects.order_by("service"))
    given = {"level": "essential", "notice": "Only reading.", "reason": "why", "expires_in": "900"}
    assert "requested for 2." in act(owner, documents, "set_level", **given)
    modes = DegradedMode.objects.order_by("service")
    assert [mode.level for mode in modes] == ["essential", "essential"]
    soon = datetime.now(UTC) + timedelta(seconds=910)
    assert all(mode.expires_at is not None and mode.expires_at < soon for mode in modes)
    assert "Back to normal: requested for 2." in act(owner, list(modes), "end_level", reason="")
    assert {mode.level for mode in DegradedMode.objects.all()} == {"normal"}


@pytest.mark.usefixtures("fleet")
def test_breakers_join_and_leave_failure_domains(owner: Client) -> None:
    target = Target.of_domain("graph-eu")
    override_set(
        target=target, state="forced_open", reason="r", expires_in=900, actor=ANA, role=Role.ADMIN
    )
    path = list_of(DomainMember)
    added = owner.post(
        f"{path}add/", {"domain": "graph-eu", "service": PLANNER, "name": REDIS}, follow=True
    )
    assert "was added successfully" in added.text
    member = DomainMember.objects.get(name=REDIS)
    assert member.source == "set"
    document = ControlDocument.objects.get(service=PLANNER).document
    assert document["breakers"][REDIS]["override"]["state"] == "forced_open"

    owner.post(f"{path}{member.pk}/delete/", {"post": "yes"})
    assert not DomainMember.objects.filter(name=REDIS).exists()
    document = ControlDocument.objects.get(service=PLANNER).document
    assert REDIS not in document["breakers"]
    told = AuditEntry.objects.filter(
        object_type="domain", action__in=("domain.add", "domain.remove")
    )
    assert told.count() == 2


@pytest.mark.usefixtures("fleet")
def test_what_a_service_reports_of_domains_is_not_for_people_to_change(owner: Client) -> None:
    path, member = list_of(DomainMember), DomainMember.objects.get(name=GRAPH)
    assert owner.post(f"{path}{member.pk}/delete/", {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [member.pk], "post": "yes"}
    assert owner.post(path, chosen).status_code == 403
    with pytest.raises(Invalid, match="itself reports that microsoft_graph is in graph-eu"):
        domain_member_remove(member_id=member.pk, actor=ANA, role=Role.ADMIN)
    again = owner.post(
        f"{path}add/", {"domain": "graph-eu", "service": PLANNER, "name": GRAPH}, follow=True
    )
    assert "already exists" in again.text
    unknown = owner.post(
        f"{path}add/", {"domain": "graph-eu", "service": PLANNER, "name": "mars"}, follow=True
    )
    assert "has no breaker" in unknown.text
    assert DomainMember.objects.get() == member


@pytest.mark.usefixtures("fleet")
def test_membership_is_refused_and_audited_for_who_may_not_and_what_is_not_there() -> None:
    viewer = {"actor": ANA, "role": Role.VIEWER}
    admin_ = {"actor": ANA, "role": Role.ADMIN}
    with pytest.raises(Forbidden):
        domain_member_add(domain="graph-eu", service=PLANNER, name=REDIS, **viewer)  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="Name the failure domain"):
        domain_member_add(domain=" ", service=PLANNER, name=REDIS, **admin_)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        domain_member_remove(member_id=0, **admin_)  # type: ignore[arg-type]
    assert AuditEntry.objects.filter(action="domain.add.refused").count() == 2
