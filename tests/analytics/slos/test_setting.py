"""Setting, changing and deleting objectives: by people, by keys, and by the site itself."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client

from analytics.models import Slo
from analytics.services.slos import slo_change, slo_create, slo_defaults_make, slo_delete
from health.models import Check, Service
from resilience_site.config import config
from resilience_site.core import journal
from resilience_site.core.audit import Actor
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Conflict, Invalid, NotFound
from tests.analytics.slos.scenes import DAY, HOUR, NOW, calls, known, probed, slo
from tests.health.availability.fleet import make_check

pytestmark = pytest.mark.usefixtures("store")
ANN = Actor.system("ann")


def create(**fields: Any) -> Slo:
    given: dict[str, Any] = {"service": "planner", "objective": 0.999, "actor": ANN, "now": NOW}
    return slo_create(**given | fields)


def refused(**fields: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        create(**fields)
    assert not Slo.objects.exists()
    return caught.value


# --- By people -----------------------------------------------------------------------------------


def test_an_objective_is_set_audited_and_told() -> None:
    cursor = journal.latest_cursor()
    row = create(reason="agreed with the team")
    assert (row.kind, row.source, row.window_days, row.min_bad) == (
        "availability", "traces", 30, 10,
    )  # fmt: skip
    assert (row.origin, row.version, row.created_by) == ("person", 1, "ann")
    assert Service.objects.filter(name="planner").exists()
    entry = AuditEntry.objects.get(action="slo.create")
    assert (entry.object_id, entry.reason) == (str(row.id), "agreed with the team")
    assert entry.after is not None
    assert entry.after["objective"] == 0.999
    told = journal.read(cursor, ["slos"])
    assert [(each.kind, each.key, each.state, each.service) for each in told] == [
        ("slo.created", str(row.id), "on", "planner")
    ]


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"objective": 99.9}, "objective", "99.9 % is 0.999"),
        ({"objective": 1}, "objective", "no budget"),
        ({"objective": 0.2}, "objective", "from 0.5 to 0.999999"),
        ({"objective": None}, "objective", "must be a number"),
        ({"objective": True}, "objective", "must be a number"),
        ({"objective": float("nan")}, "objective", "must be a number"),
        ({"objective": 0.9999999}, "objective", "from 0.5"),
        ({"objective": 0.12345678}, "objective", "from 0.5"),
        ({"objective": 0.91234567}, "objective", "six decimals"),
        ({"window_days": 3}, "window_days", "from 7 to 90"),
        ({"window_days": 7.5}, "window_days", "whole number"),
        ({"kind": "speed"}, "kind", "availability or latency"),
        ({"kind": ["latency"]}, "kind", "availability or latency"),
        ({"source": "logs"}, "source", "traces or checks"),
        ({"kind": "latency"}, "threshold_ms", "how many milliseconds"),
        ({"kind": "latency", "source": "checks"}, "threshold_ms", "milliseconds on a run"),
        ({"threshold_ms": 300}, "threshold_ms", "Only an objective of latency"),
        ({"kind": "latency", "threshold_ms": 0}, "threshold_ms", "from 0.1"),
        ({"min_bad": -1}, "min_bad", "from 0"),
        ({"enabled": "yes"}, "enabled", "true or false"),
        ({"service": " planner"}, "service", "whitespace"),
        ({"service": ""}, "service", "Name a service"),
        ({"service": "a\0b"}, "service", "visible"),
        ({"service": "x" * 201}, "service", "200 characters"),
        ({"service": 7}, "service", "Name a service"),
        ({"reason": "\0"}, "reason", "text"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(
    fields: dict[str, Any], field: str, words: str
) -> None:
    problem = refused(**fields)
    assert [each.field for each in problem.errors] == [field]
    assert words in problem.detail
    assert AuditEntry.objects.get().action == "slo.create.refused"


def test_the_same_objective_is_not_set_twice() -> None:
    create()
    with pytest.raises(Conflict) as caught:
        create(objective=0.99)
    assert caught.value.current["objective"] == 0.999
    create(window_days=7)
    create(kind="latency", threshold_ms=300.0, objective=0.9)
    create(kind="latency", threshold_ms=900.0, objective=0.99)
    assert Slo.objects.count() == 4


def test_a_change_counts_up_and_a_stale_one_is_refused() -> None:
    row = create()
    changed = slo_change(
        slo_id=row.id, changes={"objective": 0.99, "enabled": False}, reason="too tight",
        if_match=1, actor=ANN, now=NOW + HOUR,
    )  # fmt: skip
    assert (changed.objective, changed.enabled, changed.version) == (0.99, False, 2)
    assert changed.changed_at == NOW + HOUR
    entry = AuditEntry.objects.get(action="slo.change")
    assert entry.before is not None
    assert (entry.before["objective"], entry.reason) == (0.999, "too tight")
    for act in (
        lambda: slo_change(slo_id=row.id, changes={}, if_match=1, actor=ANN, now=NOW),
        lambda: slo_delete(slo_id=row.id, if_match=1, actor=ANN, now=NOW),
    ):
        with pytest.raises(Conflict) as caught:
            act()
        assert caught.value.current["version"] == 2
    for changes in ({"service": "mail"}, {"kind": "latency"}, {"source": "checks"}, {"id": 3}):
        with pytest.raises(Invalid):
            slo_change(slo_id=row.id, changes=changes, actor=ANN, now=NOW)
    with pytest.raises(NotFound):
        slo_change(slo_id=uuid4(), changes={}, actor=ANN, now=NOW)


def test_the_source_and_the_guard_follow_what_the_service_has() -> None:
    make_check("pg", service="store")
    calls("web", NOW - HOUR, NOW, lambda at: (9, 0))
    make_check("web-http", service="web")
    of_checks = create(service="store")
    assert (of_checks.source, of_checks.min_bad) == ("checks", 90)
    assert create(service="web").source == "traces"
    of_runs = create(service="store", kind="latency", threshold_ms=9)
    assert (of_runs.source, of_runs.min_bad) == ("checks", 3)
    assert create(service="web", kind="latency", threshold_ms=9).source == "traces"
    assert create(service="new", kind="latency", threshold_ms=9).source == "traces"


def test_the_guard_of_runs_is_more_than_two_rounds_of_all_checks() -> None:
    for number in range(4):
        make_check(f"c{number}", service="store", critical=number < 3, enabled=number != 1)
    given = {"service": "store", "kind": "latency", "source": "checks", "threshold_ms": 9}
    assert create(**given).min_bad == 5
    assert create(**given, window_days=7, min_bad=0).min_bad == 0


def test_a_threshold_that_no_run_can_exceed_is_refused() -> None:
    given = {"service": "store", "kind": "latency", "source": "checks"}
    # Without a check nobody knows how long one will wait.
    create(**given, threshold_ms=60_000.0)
    make_check("pg", service="store")
    beside = make_check("slow", service="store", critical=False)
    Check.objects.filter(id=beside.id).update(timeout_seconds=60)
    # Runs are too slow from the bound of their bucket on, which is above the checks' 10 s.
    for threshold in (60_001.0, 10_000.0, 9_900.0):
        with pytest.raises(Invalid) as caught:
            create(**given, threshold_ms=threshold)
        assert [each.field for each in caught.value.errors] == ["threshold_ms"]
        assert "the critical checks give up after 10 s" in caught.value.detail
    row = create(**given, threshold_ms=9_000.0)
    with pytest.raises(Invalid):
        slo_change(slo_id=row.id, changes={"threshold_ms": 20_000.0}, actor=ANN, now=NOW)
    assert create(service="store", kind="latency", source="traces", threshold_ms=60_000.0)
    # One that was fine when it was set can be changed otherwise.
    Check.objects.update(timeout_seconds=1)
    changed = slo_change(slo_id=row.id, changes={"objective": 0.9}, actor=ANN, now=NOW)
    assert (changed.objective, changed.threshold_ms) == (0.9, 9_000.0)


# --- Of its own accord ---------------------------------------------------------------------------


def test_services_with_calls_or_checks_get_an_objective_by_themselves() -> None:
    calls("web", NOW - HOUR, NOW, lambda at: (9, 0))
    known("web")
    known("silent")
    make_check("pg", service="store", since=NOW)
    make_check("extra", service="side", since=NOW, critical=False)
    assert slo_defaults_make(now=NOW) == 2
    found = {row.service: row for row in Slo.objects.all()}
    assert {name: row.source for name, row in found.items()} == {"web": "traces", "store": "checks"}
    assert {row.objective for row in found.values()} == {0.999}
    assert {row.origin for row in found.values()} == {"default"}
    assert AuditEntry.objects.filter(action="slo.create").count() == 2
    assert slo_defaults_make(now=NOW) == 0


def test_those_that_nobody_changed_follow_the_target_and_others_do_not() -> None:
    for name in ("web", "mail"):
        calls(name, NOW - HOUR, NOW, lambda at: (9, 0))
        known(name)
    slo_defaults_make(now=NOW)
    mail = Slo.objects.get(service="mail")
    slo_change(slo_id=mail.id, changes={"min_bad": 20}, actor=ANN, now=NOW)
    with config.override(resilience_availability_target=99.5):
        assert slo_defaults_make(now=NOW) == 1
    assert Slo.objects.get(service="web").objective == 0.995
    mail.refresh_from_db()
    assert (mail.objective, mail.origin) == (0.999, "person")


def test_one_that_was_deleted_or_switched_off_is_not_made_again() -> None:
    for name in ("web", "mail"):
        calls(name, NOW - HOUR, NOW, lambda at: (9, 0))
        known(name)
    slo_defaults_make(now=NOW)
    slo_delete(slo_id=Slo.objects.get(service="web").id, actor=ANN, now=NOW)
    mail = Slo.objects.get(service="mail")
    slo_change(slo_id=mail.id, changes={"enabled": False}, actor=ANN, now=NOW)
    assert slo_defaults_make(now=NOW + DAY) == 0
    # A person may set it again.
    assert create(service="web").origin == "person"


# --- By the API ----------------------------------------------------------------------------------

BODY = {"service": "planner", "kind": "availability", "objective": 0.999, "window_days": 30}


def send(client: Client, method: str, path: str, body: Any = None, **headers: str) -> Any:
    answer: HttpResponse = getattr(client, method)(
        f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=headers
    )
    return answer


def test_the_api_sets_reads_changes_and_deletes(operator: Client, viewer: Client) -> None:
    made = send(operator, "post", "slos", BODY)
    assert (made.status_code, made.headers["ETag"]) == (201, '"1"')
    told = made.json()
    assert {name: told[name] for name in BODY} == BODY
    assert (told["budget_left"], told["exhausted_at"], told["state"]) == (None, None, "no_data")
    assert [each["window_seconds"] for each in told["burn_rates"]] == [
        300, 1800, 3600, 21600, 259200,
    ]  # fmt: skip
    path = f"slos/{told['id']}"
    assert viewer.get(f"/api/v1/{path}").json()["id"] == told["id"]
    listed = viewer.get("/api/v1/slos?service=planner").json()
    assert ([each["id"] for each in listed["items"]], listed["next_cursor"]) == ([told["id"]], None)
    assert viewer.get("/api/v1/slos?kind=latency").json()["items"] == []
    # What was answered may be sent back, changed.
    changed = send(
        operator, "put", path, told | {"objective": 0.99, "reason": "x"}, **{"If-Match": '"1"'}
    )
    assert (changed.status_code, changed.json()["objective"]) == (200, 0.99)
    stale = send(operator, "put", path, {"objective": 0.9}, **{"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["current"]["version"]) == (409, 2)
    assert send(viewer, "put", path, {"objective": 0.9}).status_code == 403
    assert send(viewer, "post", "slos", BODY).status_code == 403
    assert operator.delete(f"/api/v1/{path}?reason=gone").status_code == 204
    assert operator.get(f"/api/v1/{path}").status_code == 404
    assert operator.delete(f"/api/v1/{path}").status_code == 404


def test_the_api_takes_and_tells_an_objective_of_runs(operator: Client, still: datetime) -> None:
    probed(still, "search")
    body = {
        "service": "search", "kind": "latency", "source": "checks", "objective": 0.95,
        "threshold_ms": 300, "window_days": 7,
    }  # fmt: skip
    made = send(operator, "post", "slos", body)
    assert made.status_code == 201, made.content
    told = made.json()
    assert {name: told[name] for name in body} == body
    assert (told["unit"], told["min_bad"]) == ("runs", 3)
    assert told["counted_slow_from_ms"] == pytest.approx(324.94, abs=0.01)
    assert (told["bad"], told["total"], told["allowed"]) == (24, 2_880, pytest.approx(144))
    assert told["budget_left"] == pytest.approx(1 - 24 / 144)
    (hour,) = [each for each in told["burn_rates"] if each["window_seconds"] == 3_600]
    assert (hour["bad"], hour["total"], hour["rate"]) == (24, 120, pytest.approx(4))
    for wrong, field in (
        ({"threshold_ms": None}, "threshold_ms"), ({"threshold_ms": 10_000}, "threshold_ms"),
        ({"kind": "availability"}, "threshold_ms"), ({"min_bad": 1.5}, "min_bad"),
    ):  # fmt: skip
        answer = send(operator, "post", "slos", body | {"window_days": 30} | wrong)
        assert answer.status_code == 422, answer.content
        assert [each["field"] for each in answer.json()["errors"]] == [f"body.{field}"]
    assert send(operator, "put", f"slos/{told['id']}", {"source": "traces"}).status_code == 422


def test_the_api_says_of_a_service_that_nothing_is_known_of_it_and_takes_it_all_the_same(
    operator: Client,
) -> None:
    known("planner-mcp-server")
    for name, said in (
        ("planner-mcp-servr", "Of similar names there is planner-mcp-server."),
        ("mailer", "nothing counts until it sends something."),
        ("planner-mcp-server", ""),
    ):
        made = send(operator, "post", "slos", BODY | {"service": name})
        assert made.status_code == 201, made.content
        notes = made.json()["notes"]
        assert [each.startswith(f"Nothing is known of a service {name} yet") for each in notes] == (
            [True] if said else []
        )
        assert " ".join(notes).endswith(said)
    # What was answered may be sent back.
    told = made.json() | {"objective": 0.9}
    assert send(operator, "put", f"slos/{told['id']}", told).status_code == 200


def test_the_api_names_what_is_wrong(operator: Client) -> None:
    for body, field in (
        ({**BODY, "objective": 99.9}, "body.objective"),
        ({**BODY, "goal": 1}, "body.goal"),
        ({"objective": 0.9}, "body.service"),
    ):
        answer = send(operator, "post", "slos", body)
        assert answer.status_code == 422, answer.content
        assert [each["field"] for each in answer.json()["errors"]] == [field]
    row = slo()
    assert send(operator, "put", f"slos/{row.id}", {"kind": "latency"}).status_code == 422
    assert send(operator, "put", f"slos/{row.id}", {"objective": "a"}).status_code == 422
    assert send(operator, "put", f"slos/{row.id}", {}, **{"If-Match": "x"}).status_code == 400
    assert operator.get("/api/v1/slos?cursor=x").status_code == 400


def test_the_list_goes_on_where_it_stopped(viewer: Client) -> None:
    rows = [slo(f"s{number}") for number in range(5)]
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        told = viewer.get(f"/api/v1/slos?limit=2{cursor}").json()
        seen += [each["id"] for each in told["items"]]
        cursor = f"&cursor={told['next_cursor']}"
    assert seen == [str(row.id) for row in rows]
    assert told["next_cursor"] is None


# --- In the admin --------------------------------------------------------------------------------


def test_the_admin_writes_by_the_same_services(admin_client: Client) -> None:
    form = {
        "service": "planner", "kind": "availability", "source": "traces", "objective": "0.999",
        "window_days": "30", "enabled": "on",
    }  # fmt: skip
    path = "/admin/analytics/slo/"
    refusal = admin_client.post(f"{path}add/", form | {"objective": "99.9"})
    assert b"99.9 % is 0.999" in refusal.content
    assert admin_client.post(f"{path}add/", form).status_code == 302
    row = Slo.objects.get()
    assert (row.min_bad, row.created_by) == (10, "admin")
    change = {**form, "objective": "0.99", "min_bad": "10", "seen": "1"}
    assert admin_client.post(f"{path}{row.id}/change/", change).status_code == 302
    stale = admin_client.post(f"{path}{row.id}/change/", change | {"objective": "0.9"})
    assert b"you saw 1" in stale.content
    assert admin_client.post(f"{path}{row.id}/delete/", {"post": "yes"}).status_code == 302
    row.refresh_from_db()
    assert (row.deleted_at is not None, row.version) == (True, 3)
    actions = AuditEntry.objects.order_by("id").values_list("action", flat=True)
    assert [each for each in actions if "refused" not in each] == [
        "slo.create", "slo.change", "slo.delete",
    ]  # fmt: skip
