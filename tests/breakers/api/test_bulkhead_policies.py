"""Tuning bulkheads through the API: what is given, its history, the way back, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from breakers.domain.document import view
from breakers.models import Breaker, Bulkhead, ControlDocument, PolicyChange
from breakers.services.documents import document_refresh
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry, JournalEntry

from .conftest import Api

PATH = "bulkheads/planner/pool/policy"
Make = Callable[..., Breaker]


@pytest.fixture(autouse=True)
def bulkhead(db: None) -> None:
    """The planner's pool, in two instances."""
    for instance in ("planner-1", "planner-2"):
        Bulkhead.objects.create(
            service="planner", name="pool", instance=instance, active=1, queued=0, limit=10,
            last_seen=datetime.now(UTC),
        )  # fmt: skip


def told() -> dict[str, Any]:
    """What the document tells of bulkheads."""
    held = ControlDocument.objects.get(service="planner")
    served = view(held.document, instance="planner-1", now=datetime.now(UTC))
    return dict(served["bulkheads"])


def test_limits_are_given_with_a_history_and_rolled_back(operator: Api) -> None:
    first = operator("PUT", PATH, {"policy": {"max_concurrent_calls": 5}, "reason": "calmer"})
    assert first.status_code == 200, first.content
    assert told() == {"pool": {"policy": {"max_concurrent_calls": 5}}}
    second = {"max_concurrent_calls": 8, "max_queue": 0, "max_wait": None}
    operator("PUT", PATH, {"policy": second, "reason": "no queue"})
    assert told() == {"pool": {"policy": second}}
    back = operator("POST", f"{PATH}/rollback", {"number": 1, "reason": "too few"})
    assert (back.json()["number"], back.json()["rolled_back_to"]) == (3, 1)
    assert told() == {"pool": {"policy": {"max_concurrent_calls": 5}}}
    operator("POST", f"{PATH}/rollback", {"number": 0, "reason": "none of ours"})
    assert told() == {}
    history = operator("GET", PATH).json()["items"]
    assert [each["number"] for each in history] == [4, 3, 2, 1]
    assert history[2]["before"] == {"max_concurrent_calls": 5}
    trail = AuditEntry.objects.filter(object_id="planner/pool").order_by("pk")
    assert list(trail.values_list("action", "object_type", "reason")) == [
        ("bulkhead.policy", "bulkhead", "calmer"),
        ("bulkhead.policy", "bulkhead", "no queue"),
        ("bulkhead.policy.rollback", "bulkhead", "too few"),
        ("bulkhead.policy.rollback", "bulkhead", "none of ours"),
    ]
    entries = JournalEntry.objects.filter(kind="policy.changed")
    assert set(entries.values_list("topic", "key", "service")) == {
        ("bulkheads", "planner", "planner")
    }


def test_a_breaker_of_the_same_name_has_settings_of_its_own(operator: Api, breaker: Make) -> None:
    breaker("pool")
    operator("PUT", PATH, {"policy": {"max_queue": 3}, "reason": "calmer"})
    of_breaker = "breakers/planner/pool/policy"
    answer = operator("PUT", of_breaker, {"policy": {"timeout": 30}, "reason": "sooner"})
    assert answer.json()["number"] == 1
    held = ControlDocument.objects.get().document
    assert held["bulkheads"] == {"pool": {"policy": {"max_queue": 3}}}
    assert held["breakers"]["pool"]["policy"] == {"timeout": 30}
    assert [each["policy"] for each in operator("GET", PATH).json()["items"]] == [{"max_queue": 3}]
    gone = operator("POST", f"{of_breaker}/rollback", {"number": 0, "reason": "back"})
    assert gone.status_code == 200
    assert told() == {"pool": {"policy": {"max_queue": 3}}}


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        ({"max_calls": 3}, "max_calls"),
        ({"timeout": 3}, "timeout"),
        ({"max_concurrent_calls": 0}, "max_concurrent_calls"),
        ({"max_concurrent_calls": None}, "max_concurrent_calls"),
        ({"max_concurrent_calls": True}, "max_concurrent_calls"),
        ({"max_concurrent_calls": 2.5}, "max_concurrent_calls"),
        ({"max_concurrent_calls": 10**12}, "max_concurrent_calls"),
        ({"max_queue": -1}, "max_queue"),
        ({"max_queue": "5"}, "max_queue"),
        ({"max_concurrent_calls": 5, "max_wait": -1}, "max_wait"),
        ({"max_wait": 10**12}, "max_wait"),
    ],
)
def test_a_limit_that_cannot_work_is_refused_by_name(
    operator: Api, policy: dict[str, Any], field: str
) -> None:
    answer = operator("PUT", PATH, {"policy": policy, "reason": "try"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == f"body.policy.{field}"
    assert not PolicyChange.objects.exists()
    assert AuditEntry.objects.filter(action="bulkhead.policy.refused").count() == 1


def test_whoever_may_not_or_gives_no_reason_is_refused_and_audited(
    operator: Api, viewer: Api
) -> None:
    body = {"policy": {"max_queue": 1}, "reason": "try"}
    assert viewer("PUT", PATH, body).status_code == 403
    assert viewer("POST", f"{PATH}/rollback", {"number": 0, "reason": "x"}).status_code == 403
    assert operator("PUT", PATH, {**body, "reason": " "}).status_code == 422
    assert operator("PUT", PATH, {**body, "policy": "few"}).status_code == 422
    assert operator("POST", f"{PATH}/rollback", {"number": 7, "reason": "x"}).status_code == 404
    assert AuditEntry.objects.filter(action="bulkhead.policy.refused").count() == 5
    assert viewer("GET", PATH).json()["items"] == []


@pytest.mark.parametrize(
    ("place", "allowed"), [("planner/lake", ["pool"]), ("billing/pool", ["planner"])]
)
def test_an_unknown_bulkhead_is_answered_with_what_there_is(
    operator: Api, place: str, allowed: list[str]
) -> None:
    for method, path in (
        ("GET", f"bulkheads/{place}/policy"),
        ("PUT", f"bulkheads/{place}/policy"),
    ):
        answer = operator(method, path, {"policy": {}, "reason": "x"} if method == "PUT" else None)
        assert (answer.status_code, answer.json()["allowed"]) == (404, allowed)


def test_names_may_hold_slashes(operator: Api) -> None:
    Bulkhead.objects.create(
        service="team/billing", name="pool/eu", instance="b-1", last_seen=datetime.now(UTC)
    )
    body = {"policy": {"max_queue": 1}, "reason": "try"}
    answer = operator("PUT", "bulkheads/team/billing/pool/eu/policy", body)
    assert answer.status_code == 200, answer.content
    change = PolicyChange.objects.get()
    assert (change.service, change.name) == ("team/billing", "pool/eu")


def test_two_bulkheads_of_one_address_are_told_apart_by_nobody(
    operator: Api, as_role: Callable[[Role], Client]
) -> None:
    for service, name in (("planner/pool", "eu"), ("planner", "pool/eu")):
        for instance in ("1", "2"):
            Bulkhead.objects.create(
                service=service, name=name, instance=instance, last_seen=datetime.now(UTC)
            )
    body = {"policy": {"max_queue": 1}, "reason": "try"}
    answer = operator("PUT", f"{PATH.removesuffix('/policy')}/eu/policy", body)
    assert answer.status_code == 404
    for meant in ("'pool/eu' of the service 'planner'", "'eu' of the service 'planner/pool'"):
        assert meant in answer.json()["detail"]
    assert not PolicyChange.objects.exists()
    page = as_role(Role.OPERATOR)
    shown = page.get("/bulkheads/planner/pool/eu")
    assert shown.status_code == 400
    assert "may be the bulkhead" in shown.text
    assert page.get("/bulkheads/planner/pool/eu/policy").status_code == 404
    # The one whose address is nobody else's is there as before.
    assert page.get("/bulkheads/planner/pool").status_code == 200
    assert operator("PUT", PATH, body).status_code == 200


def test_a_stale_page_gets_both_sides(operator: Api) -> None:
    body = {"policy": {"max_queue": 1}, "reason": "try"}
    assert operator("PUT", PATH, body, if_match='"0"').status_code == 200
    answer = operator("PUT", PATH, {**body, "policy": {"max_queue": 2}}, if_match='"0"')
    assert answer.status_code == 409
    assert answer.json()["current"]["version"] == 1
    assert answer.json()["current"]["bulkheads"]["pool"]["policy"] == {"max_queue": 1}
    assert answer.json()["proposed"] == {"policy": {"max_queue": 2}}


def test_a_document_from_before_there_were_limits_in_it_stays_as_it_is(operator: Api) -> None:
    now = datetime.now(UTC)
    old = {"breakers": {}, "toggles": {}, "degraded": {}, "isolated": {}, "commands": []}
    ControlDocument.objects.create(service="planner", version=4, document=old, changed_at=now)
    document_refresh(services=["planner"])
    assert ControlDocument.objects.get().version == 4
    assert told() == {}
    operator("PUT", PATH, {"policy": {"max_queue": 1}, "reason": "try"})
    assert ControlDocument.objects.get().version == 5
