"""Names of operations, peers, log templates and running totals are bounded per service, by all
processes together, and what came beyond is counted and said."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from analytics.choices import NameKind
from analytics.models import (
    CallName,
    CallRollup,
    EdgePending,
    EdgeRollup,
    EdgeSighting,
    FoldedName,
    LogTemplate,
    PeerAlias,
    Span,
)
from analytics.models.partitions import hour_retention
from analytics.selectors.ingest_status import ingest_status
from analytics.selectors.name_limits import folded_list, folded_totals
from analytics.services import catalogue, edges, folds, ingest, metric_series, metric_streams
from analytics.services.edges import aliases_write, edges_resolve
from analytics.services.ingest import StoreResult, store_spans
from analytics.services.ingest_logs import store_logs
from analytics.services.ingest_metrics import store_metrics
from analytics.services.retention import retention_apply
from resilience_site.config import config
from resilience_site.probes.checks import backlog
from tests.analytics.store.conftest import forget_all
from tests.analytics.store.telemetry import (
    batch,
    log,
    new_span,
    new_trace,
    point,
    resource,
    span_record,
    together,
)
from tests.runtime.own_lines import lines

pytestmark = pytest.mark.usefixtures("small")
CLIENT = 3
DAY = timedelta(days=1)
OTHER_OPERATIONS, OTHER_PEERS = "(other operations)", "(other peers)"


def call(name: str, peer: str = "", service: str = "planner") -> Any:
    source = resource(service)
    record = span_record(new_trace(), new_span(), failed=False, source=source)
    return record._replace(
        name=name, kind=CLIENT, attributes={"server.address": peer} if peer else {}
    )


def send(*names: str, at: datetime | None = None) -> StoreResult:
    return store_spans(
        batch(*(call(name, f"host-{name}") for name in names)),
        received_at=at or datetime.now(UTC),
    )


def operations() -> dict[str, int]:
    rows = CallRollup.objects.filter(service="planner").exclude(operation="")
    return dict(rows.values_list("operation", "calls"))


def peers() -> dict[str, int]:
    return dict(EdgeRollup.objects.values_list("callee", "calls"))


def folded() -> dict[str, tuple[int | None, str]]:
    rows = folded_list(now=datetime.now(UTC), service="planner")
    return {row.kind: (row.items, row.example) for row in rows}


def test_operations_and_peers_beyond_the_limit_are_counted_as_others_and_known_ones_go_on() -> None:
    send("a", "b", "c")
    send("d", "a", "e", "d")
    assert operations() == {"a": 2, "b": 1, "c": 1, OTHER_OPERATIONS: 3}
    assert peers() == {"host-a": 2, "host-b": 1, "host-c": 1, OTHER_PEERS: 3}
    # Nothing is lost, and other services are as free as ever.
    assert Span.objects.filter(service="planner", operation="d").count() == 2
    store_spans(batch(call("d", service="depot")), received_at=datetime.now(UTC))
    assert CallRollup.objects.filter(service="depot", operation="d").exists()


def test_a_process_that_starts_again_keeps_to_what_the_database_holds() -> None:
    send("a", "b", "c")
    forget_all()
    send("x", "b", "y")
    assert operations() == {"a": 1, "b": 2, "c": 1, OTHER_OPERATIONS: 2}
    assert peers() == {"host-a": 1, "host-b": 2, "host-c": 1, OTHER_PEERS: 2}


def test_workers_that_bring_new_names_at_once_keep_to_the_limit_together() -> None:
    def bring(worker: int) -> None:
        send(*(f"w{worker}-{n}" for n in range(20)))
        store_logs(
            batch(*(log(f"{letter * (worker + 3)} done") for letter in "abcdefgh")),
            received_at=datetime.now(UTC),
        )

    together(*(partial(bring, worker) for worker in range(4)))
    assert CallName.objects.filter(kind="operation").count() == 3
    assert CallName.objects.filter(kind="peer").count() == 3
    assert LogTemplate.objects.exclude(template="(other)").count() == 3
    assert operations()[OTHER_OPERATIONS] == 4 * 20 - 3
    assert folded()["peer"][0] == 4 * 20 - 3
    assert folded()["template"][0] == 4 * 8 - 3


def test_names_that_came_no_more_make_room_and_those_in_use_keep_theirs() -> None:
    now = datetime.now(UTC)
    send("old", "used", "too", at=now)
    for day in (1, 2):
        send("used", "too", at=now + day * DAY)
        retention_apply(now=now + day * DAY)
    # First come, first served.
    send("young", "newer", "old", at=now + 2 * DAY)
    assert set(operations()) == {"old", "used", "too", "young", OTHER_OPERATIONS}
    assert operations()[OTHER_OPERATIONS] == 2


def test_known_names_cost_no_query_each_and_new_ones_two_a_batch_where_there_is_no_room() -> None:
    send("a", "b", "c")

    def asked(*names: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            send(*names)
        return len([q for q in queries.captured_queries if "analytics_callname" in q["sql"]])

    assert asked(*"abc" * 20) == 0
    # Of operations and of peers: whether they are there, and how many there are.
    assert asked("a", *(f"n{n}" for n in range(50))) == 4


def test_names_that_found_no_room_are_not_looked_up_again_for_half_a_minute() -> None:
    # At noon, as all that is remembered goes with the day.
    now = (datetime.now(UTC) + DAY).replace(hour=12)

    def asked(*names: str, after: int) -> int:
        with CaptureQueriesContext(connection) as queries:
            send(*names, at=now + timedelta(seconds=after))
        return len([q for q in queries.captured_queries if "analytics_callname" in q["sql"]])

    send("a", "b", "c", "d", at=now)
    assert asked("d", "e", after=1) == 4
    assert asked("d", "e", "a", after=2) == 0
    # Another process may have found room for it: whether it is there is asked, of each kind.
    assert asked("f", "d", after=3) == 2
    assert asked("f", "d", after=30) == 0
    CallName.objects.filter(name__in=["c", "host-c"]).delete()
    assert asked("d", after=30) == 0
    asked("d", after=32)
    assert set(operations()) == {"a", "b", "c", "d", OTHER_OPERATIONS}
    assert set(peers()) == {"host-a", "host-b", "host-c", "host-d", OTHER_PEERS}


def test_another_limit_is_heeded_at_once() -> None:
    send("a", "b", "c", "d")
    send("d")
    with config.override(resilience_max_operations=4):
        send("d")
    assert operations()["d"] == 1


def test_a_resource_and_an_address_are_read_once_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[str] = Counter()

    def counted(module: ModuleType, name: str) -> None:
        made = getattr(module, name)

        def count(of: Any) -> Any:
            read[name] += 1
            return made(of)

        monkeypatch.setattr(module, name, count)

    counted(ingest, "_observed")
    counted(edges, "peer_of")
    source = resource("planner")
    spans = [call("a", "host-a")._replace(resource=source) for _ in range(20)]
    answers = [
        span_record(span.trace_id, new_span(), failed=False, source=resource("depot"))._replace(
            parent_span_id=span.span_id
        )
        for span in spans[:5]
    ]
    store_spans(batch(*spans, *answers), received_at=datetime.now(UTC))
    assert read == {"_observed": 1 + 5, "peer_of": 20}
    assert peers() == {"host-a": 20, "depot": 5}
    assert PeerAlias.objects.get().service == "depot"


def test_a_name_forges_no_line_of_the_log_and_takes_no_query_along(
    caplog: pytest.LogCaptureFixture,
) -> None:
    send("a", "b", "c")
    with caplog.at_level(logging.WARNING, "analytics"):
        send("GET /x\n2026-01-01 ERROR\x1b[31m all\r is lost?token=hush")
    written = lines(caplog, "Service planner has")
    assert len(written) == 2
    assert not [line for line in written if "hush" in line or not line.isprintable()]
    assert folded()["operation"] == (1, "GET /x 2026-01-01 ERROR[31m all is lost")


def test_an_address_without_room_is_no_alias_of_a_service_and_counts_no_call_twice() -> None:
    send("a", "b", "c")
    parent = call("d", "host-d")
    child = span_record(parent.trace_id, new_span(), failed=False, source=resource("depot"))
    child = child._replace(parent_span_id=parent.span_id)
    store_spans(batch(child), received_at=datetime.now(UTC))
    store_spans(batch(parent), received_at=datetime.now(UTC))
    assert EdgePending.objects.exists()
    assert edges_resolve(now=datetime.now(UTC)) == 1
    assert not PeerAlias.objects.exists()
    assert peers()["depot"] == 1
    assert folded()["peer"] == (1, "host-d")


def test_log_records_of_further_templates_are_counted_as_one_and_said() -> None:
    words = ["alpha", "beta", "gamma", "delta", "epsilon"]
    store_logs(batch(*map(log, words)), received_at=datetime.now(UTC))
    result = store_logs(batch(log("zeta"), log("alpha")), received_at=datetime.now(UTC))
    assert folded() == {"template": (3, "zeta")}
    assert result.stored == 2
    assert result.rejections == [
        (
            0,
            "1 log records of service planner, such as zeta, are beyond its limit of 3 log "
            "templates and were counted under (other); log what varies as attributes, not in the "
            "message",
        )
    ]


def test_the_state_of_ingest_the_metrics_and_the_log_say_it_for_an_hour(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert ingest_status(now=datetime.now(UTC)).names_words == ""
    with caplog.at_level(logging.WARNING, "analytics"):
        send(*"abcdef")
        send("g")
    now = datetime.now(UTC)
    assert ingest_status(now=now).names_words == (
        "more names than are kept apart in planner (operations), planner (addresses that it "
        "calls): what comes under further ones is counted together"
    )
    [outcome] = [each for each in backlog(is_down=False) if each.name == "ingest:names"]
    assert (outcome.status, outcome.output) == ("warn", ingest_status(now=now).names_words)
    assert folded_totals(now=now) == [("operation", 4, 1), ("peer", 4, 1)]
    assert ingest_status(now=now + timedelta(hours=2)).names_words == ""
    assert folded_totals(now=now + timedelta(hours=2)) == [("operation", 4, 0), ("peer", 4, 0)]
    # Once a day, not with each batch.
    assert sorted(line.split(",")[0] for line in lines(caplog, "Service planner has")) == [
        "Service planner has 3 addresses that it calls",
        "Service planner has 3 operations",
    ]


@pytest.mark.usefixtures("soon_after")
def test_the_screens_and_the_api_say_what_is_counted_together_and_what_to_do(
    viewer: Client,
) -> None:
    send(*"abcde")
    body = viewer.get("/api/v1/limits", {"service": "planner"}).json()
    [row] = [each for each in body["items"] if each["kind"] == "operation"]
    first = FoldedName.objects.get(kind="operation").first_at
    assert datetime.fromisoformat(row.pop("first_at")) == first
    assert row.pop("last_at")
    assert row == {
        "service": "planner", "kind": "operation", "most": 3, "kept_as": OTHER_OPERATIONS,
        "items": 2, "of": "spans", "example": "e", "now": True,
        "advice": "Name spans by their route (GET /plans/{id}), not by their arguments; or keep "
        "more apart by RESILIENCE_MAX_OPERATIONS.",
    }  # fmt: skip
    assert {each["kind"]: each["most"] for each in body["limits"]}["stream"] == 3
    assert viewer.get("/api/v1/limits", {"service": "depot"}).json()["items"] == []
    page = viewer.get("/limits").content.decode()
    assert "RESILIENCE_MAX_OPERATIONS" in page
    assert "Name spans by their route" in page
    service = viewer.get("/services/planner").content.decode()
    assert "More names than are kept apart" in service
    assert "the limit of operations" in service
    assert "the limit of addresses" in service
    assert "addresses that it calls" in viewer.get("/site-health").content.decode()
    overview = viewer.get("/").content.decode()
    assert "planner (operations)" in overview.partition('id="ingest-panel"')[2]


def test_what_a_process_remembers_of_names_is_bounded_and_decides_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalogue, "_MAX_REMEMBERED", 4)
    monkeypatch.setattr(folds, "_MOST_REMEMBERED", 4)
    monkeypatch.setattr(metric_streams, "_MOST_REMEMBERED", 4)
    for n in range(12):
        service = f"pod-{n}"
        store_spans(
            batch(*(call(f"{letter}{n}", service=service) for letter in "abcd")),
            received_at=datetime.now(UTC),
        )
        source = [resource(service, str(instance)) for instance in range(4)]
        store_metrics(
            batch(*(point("requests", 1.0, source=each) for each in source)),
            received_at=datetime.now(UTC),
        )
    rooms = ingest.memory.names._rooms
    # At most a batch more than the bound.
    assert len(rooms[NameKind.OPERATION]._catalogue._known) <= 4 + 3
    assert len(metric_series.memory.streams._full) <= 4 + 1
    assert CallName.objects.filter(kind="operation").count() == 12 * 3
    assert folded_totals(now=datetime.now(UTC)) == [("operation", 12, 12), ("stream", 12, 12)]


def test_what_was_said_before_today_is_forgotten_and_what_was_said_today_is_not_said_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(folds, "_MOST_REMEMBERED", 4)
    now = datetime.now(UTC)
    with caplog.at_level(logging.WARNING, "analytics"):
        for name, at in (("old", now), ("pod", now + DAY), ("pod", now + DAY)):
            for n in range(6):
                named = (call(letter, service=f"{name}-{n}") for letter in "abcd")
                store_spans(batch(*named), received_at=at)
    assert set(folds._said.values()) == {(now + DAY).date()}
    assert len(lines(caplog, "Service pod-")) == 6


def test_what_is_remembered_of_refused_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_MOST_REFUSED", 6)
    now = datetime.now(UTC)
    refusals = catalogue.Refusals()
    for n in range(40):
        refusals.note(f"pod-{n % 4}", 3, now, {f"{n}-{each}" for each in range(3)})
        held = [ids for _, _, ids in refusals._full.values()]
        assert sum(map(len, held)) + len(held) <= 6 + 3 + 1
    assert refusals.of("pod-3", 3, now) is not None
    assert refusals.of("pod-3", 3, now - timedelta(minutes=5)) is None


def test_addresses_and_pairs_that_are_not_seen_for_as_long_as_hours_are_kept_are_forgotten() -> (
    None
):
    now = datetime.now(UTC)
    at = now - hour_retention() - DAY
    aliases_write({("shop", "10.0.0.1:80", "bank"), ("shop", "10.0.0.2:80", "bank")}, at)
    # Told once a day that it is still in use.
    aliases_write({("shop", "10.0.0.2:80", "bank")}, at + 50 * DAY)
    for callee, told in (("bank", at), ("depot", now)):
        EdgeSighting.objects.create(caller="shop", callee=callee, told_at=told)
    retention_apply(now=now)
    assert list(PeerAlias.objects.values_list("peer", flat=True)) == ["10.0.0.2:80"]
    assert list(EdgeSighting.objects.values_list("callee", flat=True)) == ["depot"]
