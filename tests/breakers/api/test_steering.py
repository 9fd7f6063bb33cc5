"""Overrides, resets, tuning, toggles and degraded modes through the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from breakers.domain.document import view
from breakers.models import (
    Breaker,
    Command,
    ControlDocument,
    Notice,
    Override,
    Toggle,
)
from breakers.services.expiry import expire_due
from resilience_site.config import config
from resilience_site.core.models import AuditEntry

from .conftest import Api

FORCED = {"state": "forced_open", "reason": "Graph is being moved", "expires_in": 600}
PATH = "breakers/planner/graph/override"

Make = Callable[..., Breaker]


def document(service: str = "planner", instance: str = "planner-1") -> dict[str, Any]:
    held = ControlDocument.objects.get(service=service)
    return view(held.document, instance=instance, now=datetime.now(UTC))


def test_an_override_is_answered_by_the_breaker_and_stands_in_the_document(
    operator: Api, breaker: Make
) -> None:
    breaker()
    answer = operator("POST", PATH, FORCED)
    assert answer.status_code == 200, answer.content
    shown = answer.json()
    assert shown["override"]["state"] == "forced_open"
    assert shown["override"]["actor"] == "a operate key"
    assert answer.headers["ETag"] == '"1"'
    # It is asked for, but no instance has applied it yet.
    assert shown["state"] == "closed"
    assert shown["applied"] == {"version": 1, "current": 0, "live": 1}
    assert document()["breakers"]["graph"]["override"]["reason"] == "Graph is being moved"
    entry = AuditEntry.objects.get(action="breaker.override")
    assert (entry.object_id, entry.reason) == ("planner/graph", "Graph is being moved")
    assert entry.until == Override.objects.get().expires_at


@pytest.mark.parametrize("state", ["forced_open", "forced_closed", "disabled", "metrics_only"])
def test_each_state_can_be_forced_and_taken_back(operator: Api, breaker: Make, state: str) -> None:
    breaker()
    assert operator("POST", PATH, {**FORCED, "state": state}).status_code == 200
    assert document()["breakers"]["graph"]["override"]["state"] == state
    answer = operator("POST", PATH, {"state": "auto"})
    assert (answer.status_code, answer.json()["override"]) == (200, None)
    assert document()["breakers"] == {}
    ended = Override.objects.get()
    assert (ended.ending, ended.ended_by) == ("reverted", "a operate key")


def test_taking_back_what_is_not_there_changes_nothing(operator: Api, breaker: Make) -> None:
    breaker()
    assert operator("POST", PATH, {"state": "auto"}).status_code == 200
    assert ControlDocument.objects.get().version == 0
    assert not AuditEntry.objects.filter(action__startswith="breaker").exists()


def test_a_new_override_replaces_the_one_in_force(operator: Api, breaker: Make) -> None:
    breaker()
    operator("POST", PATH, FORCED)
    operator("POST", PATH, {**FORCED, "state": "disabled"})
    assert document()["breakers"]["graph"]["override"]["state"] == "disabled"
    assert list(Override.objects.order_by("id").values_list("state", "ending")) == [
        ("forced_open", "replaced"),
        ("disabled", ""),
    ]


def test_an_override_of_an_instance_is_stronger_than_one_of_the_service(
    operator: Api, breaker: Make
) -> None:
    breaker()
    breaker(instance="planner-2")
    operator("POST", PATH, FORCED)
    operator("POST", PATH, {**FORCED, "state": "forced_closed", "instance": "planner-2"})
    states = [
        document(instance=name)["breakers"]["graph"]["override"]["state"]
        for name in ("planner-1", "planner-2")
    ]
    assert states == ["forced_open", "forced_closed"]


def test_a_domain_is_forced_in_all_its_services(operator: Api, domain: None) -> None:
    answer = operator("POST", "domains/microsoft/override", FORCED)
    assert answer.status_code == 200, answer.content
    assert answer.json()["services"] == ["billing", "planner"]
    for service in ("billing", "planner"):
        told = document(service)
        assert told["breakers"]["graph"]["override"]["state"] == "forced_open"
        assert told["isolated"]["microsoft"]["reason"] == "Graph is being moved"
    operator("POST", "domains/microsoft/override", {"state": "auto"})
    assert document("billing") == document("planner")
    assert document("planner")["breakers"] == {}


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"reason": ""}, 422, "reason"),
        ({"reason": None}, 422, "reason"),
        ({"reason": 7}, 422, "reason"),
        ({"reason": "x" * 1001}, 422, "1000"),
        ({"expires_in": None}, 422, "expiry"),
        ({"expires_in": 0}, 422, "future"),
        ({"expires_in": -60}, 422, "future"),
        ({"expires_in": 86_401}, 422, "86400"),
        ({"expires_in": True}, 422, "number"),
        ({"expires_in": "soon"}, 422, "number"),
        ({"state": "ajar"}, 422, "forced_open, forced_closed, disabled"),
        ({"state": None}, 422, "forced_open"),
        ({"instance": "planner-9"}, 404, "planner-1"),
    ],
)
def test_what_is_refused_says_what_is_allowed_and_is_audited(
    operator: Api, breaker: Make, change: dict[str, Any], status: int, says: str
) -> None:
    breaker()
    answer = operator("POST", PATH, {**FORCED, **change})
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert says in answer.json()["detail"]
    assert not Override.objects.exists()
    refused = AuditEntry.objects.get(action="breaker.override.refused")
    assert (refused.actor, refused.object_id) == ("a operate key", "planner/graph")
    assert says in refused.reason


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("breakers/planner/redis/override", ["graph"]),
        ("breakers/billing/graph/override", ["planner"]),
        ("domains/amazon/override", []),
    ],
)
def test_an_unknown_place_is_answered_with_what_there_is(
    operator: Api, breaker: Make, path: str, allowed: list[str]
) -> None:
    breaker()
    answer = operator("POST", path, FORCED)
    assert (answer.status_code, answer.json()["allowed"]) == (404, allowed)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", PATH, FORCED),
        ("POST", "breakers/planner/graph/reset", {"reason": "It is well"}),
        ("PUT", "breakers/planner/graph/policy", {"policy": {}, "reason": "As it was"}),
        ("POST", "breakers/planner/graph/policy/rollback", {"number": 0, "reason": "As it was"}),
        ("POST", "domains/graph-eu/override", FORCED),
        ("POST", "domains/graph-eu/reset", {"reason": "It is well"}),
        ("PUT", "toggles/new-search", {"value": True, "reason": "Roll out"}),
        ("POST", "toggles/new-search/revert", {"reason": "Roll back"}),
        ("PUT", "degraded/planner", {"level": "reduced", "reason": "Graph is slow"}),
    ],
)
def test_a_misspelt_field_changes_nothing(
    operator: Api, domain: None, method: str, path: str, body: dict[str, Any]
) -> None:
    """Where an end is misspelt, what was meant to end would last for ever."""
    answer = operator(method, path, {**body, "expire_in": 60})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "body.expire_in", "message": "There is no such field."}
    ]
    assert not Override.objects.exists()
    assert not Toggle.objects.exists()
    assert not Notice.objects.exists()
    assert not Command.objects.exists()


def test_a_viewer_is_refused_and_that_is_audited(viewer: Api, breaker: Make) -> None:
    breaker()
    assert viewer("POST", PATH, FORCED).status_code == 403
    assert viewer("POST", "breakers/planner/graph/reset", {"reason": "x"}).status_code == 403
    assert viewer("PUT", "toggles/a", {"value": True, "reason": "x"}).status_code == 403
    assert viewer("PUT", "degraded/planner", {"level": "offline", "reason": "x"}).status_code == 403
    assert sorted(AuditEntry.objects.values_list("action", flat=True)) == [
        "breaker.override.refused",
        "breaker.reset.refused",
        "degraded.set.refused",
        "key.create",
        "toggle.set.refused",
    ]


def test_a_house_may_shorten_what_operators_may_set(operator: Api, breaker: Make) -> None:
    breaker()
    with config.override(resilience_operator_override_seconds=3_600):
        answer = operator("POST", PATH, {**FORCED, "expires_in": 3_601})
        assert (answer.status_code, "3600" in answer.json()["detail"]) == (422, True)
        assert operator("POST", PATH, {**FORCED, "expires_in": 3_600}).status_code == 200


def test_a_stale_page_gets_both_sides(operator: Api, breaker: Make) -> None:
    breaker()
    operator("POST", PATH, FORCED)
    answer = operator("POST", PATH, {**FORCED, "state": "disabled"}, if_match='"0"')
    assert answer.status_code == 409
    told = answer.json()
    assert told["current"]["version"] == 1
    assert told["current"]["breakers"]["graph"]["override"]["state"] == "forced_open"
    assert told["proposed"]["state"] == "disabled"
    assert (
        operator("POST", PATH, {**FORCED, "state": "disabled"}, if_match='"1"').status_code == 200
    )
    assert operator("POST", PATH, FORCED, if_match="newest").status_code == 400


def test_an_override_expires_once_and_says_who_ended_it(operator: Api, breaker: Make) -> None:
    breaker()
    operator("POST", PATH, FORCED)
    later = datetime.now(UTC) + timedelta(minutes=11)
    assert expire_due(now=later) == 1
    assert expire_due(now=later) == 0
    assert document()["breakers"] == {}
    assert ControlDocument.objects.get().version == 2
    entry = AuditEntry.objects.get(action="breaker.override.expired")
    assert (entry.actor_kind, entry.actor) == ("system", "expiry")


def test_a_reset_is_a_command_that_ends_the_override(operator: Api, breaker: Make) -> None:
    breaker()
    operator("POST", PATH, FORCED)
    answer = operator("POST", "breakers/planner/graph/reset", {"reason": "It is back"})
    assert (answer.status_code, answer.json()["override"]) == (200, None)
    told = document()
    assert told["breakers"] == {}
    (command,) = told["commands"]
    assert (command["action"], command["parameters"]) == ("reset_breaker", {"breaker": "graph"})
    assert command["id"] == str(Command.objects.get().id)
    # Nobody carried it out in time: it leaves the document.
    expire_due(now=datetime.now(UTC) + timedelta(minutes=6))
    assert document()["commands"] == []


def test_a_reset_of_a_stale_page_gets_both_sides(operator: Api, domain: None) -> None:
    operator("POST", PATH, FORCED)
    given = {"reason": "It is back"}
    answer = operator("POST", "breakers/planner/graph/reset", given, if_match='"0"')
    assert (answer.status_code, answer.json()["current"]["version"]) == (409, 1)
    assert answer.json()["proposed"] == {
        "state": "closed", "instance": "", "reason": "It is back",
    }  # fmt: skip
    assert operator("POST", "domains/microsoft/reset", given, if_match='"1"').status_code == 409
    assert Override.objects.get().ended_at is None
    assert not Command.objects.exists()
    reset = operator("POST", "breakers/planner/graph/reset", given, if_match='"1"')
    assert reset.status_code == 200


def test_a_policy_is_tuned_with_a_history_and_rolled_back(operator: Api, breaker: Make) -> None:
    breaker(policy={"failure_threshold": 3, "timeout": 120.0, "sliding_window_type": "consecutive"})
    path = "breakers/planner/graph/policy"
    first = operator("PUT", path, {"policy": {"failure_threshold": 5}, "reason": "calmer"})
    assert first.status_code == 200, first.content
    operator("PUT", path, {"policy": {"failure_threshold": 8, "timeout": 30}, "reason": "calmer"})
    assert document()["breakers"]["graph"]["policy"] == {"failure_threshold": 8, "timeout": 30}
    back = operator("POST", f"{path}/rollback", {"number": 1, "reason": "too calm"})
    assert back.json()["policy"] == {"failure_threshold": 5}
    assert (back.json()["number"], back.json()["rolled_back_to"]) == (3, 1)
    assert document()["breakers"]["graph"]["policy"] == {"failure_threshold": 5}
    operator("POST", f"{path}/rollback", {"number": 0, "reason": "none of ours"})
    assert document()["breakers"] == {}
    history = operator("GET", path).json()["items"]
    assert [each["number"] for each in history] == [4, 3, 2, 1]


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        ({"failure_treshold": 3}, "failure_treshold"),
        ({"failure_threshold": 0}, "failure_threshold"),
        ({"failure_threshold": "3"}, "failure_threshold"),
        ({"failure_rate_threshold": 1.5}, "failure_rate_threshold"),
        ({"timeout": -1}, "timeout"),
        ({"sliding_window_type": "hourly"}, "sliding_window_type"),
        ({"expected_exception": "ValueError"}, "expected_exception"),
        ({"sliding_window_type": "count", "sliding_window_size": 5,
          "minimum_number_of_calls": 10}, "minimum_number_of_calls"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_work_is_refused_by_name(
    operator: Api, breaker: Make, policy: dict[str, Any], field: str
) -> None:
    breaker()
    answer = operator("PUT", "breakers/planner/graph/policy", {"policy": policy, "reason": "try"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == f"body.policy.{field}"


def test_a_toggle_goes_back_to_what_it_was_before_a_temporary_value(operator: Api) -> None:
    path = "toggles/planner.write"
    operator("PUT", path, {"value": True, "reason": "launch", "owner": "planner team"})
    answer = operator("PUT", path, {"value": False, "reason": "moving", "expires_in": 60})
    assert answer.status_code == 200, answer.content
    assert (answer.json()["state"], answer.json()["owner"]) == ("off", "planner team")
    assert answer.headers["ETag"] == '"2"'
    assert expire_due(now=datetime.now(UTC) + timedelta(seconds=61)) == 1
    toggle = Toggle.objects.get()
    assert (toggle.value, toggle.expires_at, toggle.is_set) == (True, None, True)
    reverted = operator("POST", f"{path}/revert", {"reason": "done"})
    assert (reverted.json()["is_set"], reverted.json()["state"]) == (False, "unset")


@pytest.mark.parametrize(
    ("key", "change", "field"),
    [
        ("planner.write", {"reason": " "}, "body.reason"),
        ("planner.write", {"rollout": 1.5}, "body.rollout"),
        ("planner.write", {"services": "planner"}, "body.services"),
        ("planner.write", {"value": "x" * 5_000}, "body.value"),
        ("planner write", {}, "path.key"),
    ],
)
def test_a_toggle_that_cannot_be_is_refused(
    operator: Api, key: str, change: dict[str, Any], field: str
) -> None:
    answer = operator("PUT", f"toggles/{key}", {"value": True, "reason": "why", **change})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert operator("PUT", "toggles/a", {"reason": "no value"}).status_code == 422


def test_a_toggle_of_one_service_is_told_to_that_one(
    operator: Api, breaker: Make, domain: None
) -> None:
    operator("POST", "domains/microsoft/override", FORCED)
    body = {"value": True, "reason": "try", "services": ["planner"], "instances": ["planner-1"]}
    assert operator("PUT", "toggles/new.search", body).status_code == 200
    assert "new.search" in document("planner")["toggles"]
    assert document("planner", "planner-2")["toggles"] == {}
    assert document("billing")["toggles"] == {}
    unknown = operator("PUT", "toggles/new.search", {**body, "services": ["nobody"]})
    assert (unknown.status_code, unknown.json()["allowed"]) == (404, ["billing", "planner"])


def test_a_degraded_mode_tells_users_and_ends_by_itself(operator: Api, breaker: Make) -> None:
    breaker()
    body = {"level": "reduced", "notice": "Plans may be old.", "reason": "Graph", "expires_in": 60}
    answer = operator("PUT", "degraded/planner", body)
    assert answer.status_code == 200, answer.content
    assert document()["degraded"]["planner"]["notice"] == "Plans may be old."
    notice = Notice.objects.get()
    assert (notice.text, notice.ended_at) == ("Plans may be old.", None)
    operator("PUT", "degraded/planner", {**body, "level": "offline", "notice": ""})
    assert Notice.objects.filter(ended_at=None).get().text.startswith("This service is unavailable")
    assert expire_due(now=datetime.now(UTC) + timedelta(seconds=61)) == 1
    assert document()["degraded"] == {}
    assert not Notice.objects.filter(ended_at=None).exists()
    assert operator("GET", "degraded/planner").json()["level"] == "normal"


def test_an_unknown_level_or_service_is_refused(operator: Api, breaker: Make) -> None:
    breaker()
    wrong = operator("PUT", "degraded/planner", {"level": "so-so", "reason": "x"})
    assert (wrong.status_code, "reduced, essential, offline" in wrong.json()["detail"]) == (
        422,
        True,
    )
    nobody = operator("PUT", "degraded/nobody", {"level": "offline", "reason": "x"})
    assert (nobody.status_code, nobody.json()["allowed"]) == (404, ["planner"])


def test_names_with_slashes_are_found(operator: Api, breaker: Make) -> None:
    breaker(name="GET /plans", service="team/planner")
    answer = operator("POST", "breakers/team/planner/GET%20%2Fplans/override", FORCED)
    assert answer.status_code == 200, answer.content
    assert answer.json()["name"] == "GET /plans"


def test_the_blast_radius_is_told_before(operator: Api, breaker: Make, domain: None) -> None:
    breaker("graph", instance="planner-2")
    radius = operator("GET", "breakers/planner/graph/blast-radius").json()
    assert (radius["instances"], radius["services"]) == (2, ["planner"])
    one = operator("GET", "breakers/planner/graph/blast-radius?instance=planner-2").json()
    assert one["instances"] == 1
    whole = operator("GET", "domains/microsoft/blast-radius").json()
    assert (whole["breakers"], whole["services"]) == (2, ["billing", "planner"])
    unknown = operator("GET", "breakers/planner/nope/blast-radius")
    assert (unknown.status_code, unknown.json()["allowed"]) == (404, ["graph"])
