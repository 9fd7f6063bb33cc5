"""Checks by the API: made, read, changed, run, deleted; wrong ones are refused by their field."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from health.models import Check, CheckResult
from resilience_site.core.models import AuditEntry
from tests.health.api.conftest import URL, Api

pytestmark = pytest.mark.django_db

CONTRACT = {"id", "name", "kind", "state", "culprit", "since", "latency_ms", "depends_on"}


def test_the_example_of_the_contract_makes_a_check(operator: Api) -> None:
    operator.make("net")
    made = operator.make(
        "pg", interval_seconds=30, timeout_seconds=10, failures_to_down=3, successes_to_up=2,
        depends_on=["net"], hard=True,
    )  # fmt: skip
    assert made.keys() >= CONTRACT
    assert (made["name"], made["service"], made["state"]) == ("pg", "planner", "unknown")
    assert (made["depends_on"], made["hard"]) == (["net"], True)
    assert operator.get(f"health/checks/{made['id']}")["name"] == "pg"


def test_a_check_without_paces_has_those_of_the_site(operator: Api) -> None:
    made = operator.make("pg")
    assert (made["interval_seconds"], made["timeout_seconds"]) == (30.0, 10.0)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "body.name"),
        ({"kind": "telepathy"}, "body.kind"),
        ({"service": None}, "body.service"),
        ({"interval_seconds": 0}, "body.interval_seconds"),
        ({"interval_seconds": 5, "timeout_seconds": 6}, "body.timeout_seconds"),
        ({"timeout_seconds": "soon"}, "body.timeout_seconds"),
        ({"target": {}}, "body.target.url"),
        ({"target": {"url": URL, "colour": 1}}, "body.target.colour"),
        ({"target": "x"}, "body.target"),
        ({"target": {"url": "http://169.254.169.254/"}}, "body.target"),
        ({"depends_on": ["nobody"]}, "body.depends_on"),
        ({"depends_on": "net"}, "body.depends_on"),
        ({"depends_on": 5}, "body.depends_on"),
        ({"hard": "yes"}, "body.hard"),
        ({"intervall": 5}, "body.intervall"),
    ],
)
def test_an_impossible_check_is_refused_by_the_name_of_its_field(
    operator: Api, body: dict[str, Any], field: str
) -> None:
    good = {"name": "pg", "kind": "sample", "service": "planner", "target": {"url": URL}}
    status, problem = operator("POST", "health/checks", good | body)
    assert status == 422
    assert [error["field"] for error in problem["errors"]] == [field]
    assert not Check.objects.exists()


def test_no_answer_holds_a_secret(operator: Api) -> None:
    target = {"url": "http://u:hunter22@nowhere.invalid/", "key": "hunter23"}
    made = operator.make("pg", target=target)
    assert made["target"] == {"url": "http://u:***@nowhere.invalid/", "key": "***"}
    answers = [
        operator.raw("GET", path).content
        for path in ("health", "health/checks", f"health/checks/{made['id']}", "health/graph")
    ]
    answers.append(
        operator.raw("PATCH", f"health/checks/{made['id']}", {"critical": False}).content
    )
    answers.append(operator.raw("PATCH", f"health/checks/{made['id']}", {"name": "/"}).content)
    assert b"hunter2" not in b"".join(answers)


def test_an_answer_may_be_sent_back_and_changes_nothing(operator: Api) -> None:
    for name in ("net", "dns"):
        operator.make(name)
    target = {"url": "http://u:hunter22@nowhere.invalid/", "key": "hunter23"}
    made = operator.make("pg", target=target, depends_on=["net"])
    edge = {"child": "pg", "parent": "dns", "hard": False}
    assert operator("POST", "health/graph/dependencies", edge)[0] == 201
    before = operator.get(f"health/checks/{made['id']}")
    assert (before["depends_on"], before["hard"]) == (["dns", "net"], None)
    status, after = operator("PUT", f"health/checks/{made['id']}", before)
    assert (status, after) == (200, before)


def test_edges_are_made_soft_by_hard_alone(operator: Api) -> None:
    operator.make("net")
    made = operator.make("pg", depends_on=["net"])
    _, after = operator("PATCH", f"health/checks/{made['id']}", {"hard": False})
    assert (after["depends_on"], after["hard"]) == (["net"], False)


def test_a_stale_version_gets_both_sides(operator: Api) -> None:
    made = operator.make("pg")
    path = f"health/checks/{made['id']}"
    first = operator.raw("GET", path)
    assert first.headers["ETag"] == '"1"'
    assert operator("PATCH", path, {"failures_to_down": 5}, If_Match='"1"')[0] == 200
    status, problem = operator("PATCH", path, {"failures_to_down": 7}, If_Match='"1"')
    assert status == 409
    assert problem["current"]["failures_to_down"] == 5
    assert problem["proposed"]["failures_to_down"] == 7
    assert operator("DELETE", path, If_Match='"1"')[0] == 409
    assert operator("PATCH", path, {"failures_to_down": 7})[1]["failures_to_down"] == 7


def test_what_a_change_cannot_be_is_refused(operator: Api) -> None:
    made = operator.make("pg")
    path = f"health/checks/{made['id']}"
    for body, field in (
        ({"kind": "http"}, "body.kind"),
        ({"colour": "red"}, "body.colour"),
        ({"timeout_seconds": 31}, "body.timeout_seconds"),
        ({"target": {"url": URL, "key": "***"}}, "body.target.key"),
    ):
        status, problem = operator("PATCH", path, body)
        assert (status, problem["errors"][0]["field"]) == (422, field)
    assert operator("PATCH", f"health/checks/{uuid4()}", {})[0] == 404


def test_a_check_that_others_need_is_deleted_by_force_alone(operator: Api) -> None:
    net = operator.make("net")
    operator.make("pg", depends_on=["net"])
    status, problem = operator("DELETE", f"health/checks/{net['id']}")
    assert status == 422
    assert "pg" in problem["detail"]
    assert operator("DELETE", f"health/checks/{net['id']}?force=true")[0] == 204
    assert operator("GET", f"health/checks/{net['id']}")[0] == 404


def test_a_check_is_run_at_once_and_its_result_is_kept(operator: Api, viewer: Api) -> None:
    made = operator.make("pg")
    status, ran = operator("POST", f"health/checks/{made['id']}/run")
    assert status == 200
    assert (ran["status"], ran["check"]["state"], ran["check"]["name"]) == ("up", "up", "pg")
    assert ran["latency_ms"] >= 0
    [row] = viewer.get(f"health/checks/{made['id']}/results")["items"]
    assert (row["status"], row["cause"]) == ("up", "manual")
    [change] = viewer.get(f"health/checks/{made['id']}/changes")["items"]
    assert (change["from_state"], change["state"]) == ("unknown", "up")
    assert viewer.get(f"health/checks/{made['id']}/outages")["items"] == []
    assert CheckResult.objects.count() == 1


def test_reading_is_for_readers_and_writing_for_operators(viewer: Api, operator: Api) -> None:
    made = operator.make("pg")
    assert viewer("POST", "health/checks", {})[0] == 403
    assert viewer("POST", f"health/checks/{made['id']}/run")[0] == 403
    assert viewer("DELETE", f"health/checks/{made['id']}")[0] == 403
    assert viewer("GET", f"health/checks/{made['id']}")[0] == 200


def test_lists_are_filtered_and_walked(operator: Api) -> None:
    for name in ("a", "b", "c"):
        operator.make(name, service="billing" if name == "c" else "planner")
    names, cursor = [], ""
    while cursor is not None:
        page = operator.get(f"health/checks?limit=1&cursor={cursor}")
        names += [each["name"] for each in page["items"]]
        cursor = page["next_cursor"]
    assert names == ["a", "b", "c"]
    assert [c["name"] for c in operator.get("health/checks?service=billing")["items"]] == ["c"]
    assert [c["name"] for c in operator.get("health/checks?name=b")["items"]] == ["b"]
    assert operator.get("health/checks?state=down")["items"] == []
    assert operator("GET", "health/checks?state=sad")[0] == 422
    assert operator("GET", "health/checks?cursor=AAAA")[0] == 400


def test_a_refusal_is_in_the_audit_trail(operator: Api) -> None:
    operator("POST", "health/checks", {"name": "pg", "kind": "sample"})
    assert AuditEntry.objects.get(action="check.create.refused").object_id == "pg"
