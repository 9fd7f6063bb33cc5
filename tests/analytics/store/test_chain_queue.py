"""The queue of chains: each is built soon, looked at once more, and written only if it grew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from analytics.models import ChainPending, CorrelationChain
from analytics.services import chains
from analytics.services.chains import SETTLE_AFTER, chains_build
from analytics.services.ingest import store_spans
from analytics.tasks import chains_refresh
from tests.analytics.store.telemetry import (
    NOW,
    batch,
    exception,
    new_span,
    new_trace,
    resource,
    span_record,
)

pytestmark = pytest.mark.usefixtures("store")


def receive(*records: object) -> None:
    store_spans(batch(*records), received_at=datetime.now(UTC))


def settle_time() -> datetime:
    return datetime.now(UTC) + SETTLE_AFTER + timedelta(seconds=1)


def test_a_chain_names_its_parts_and_its_root_cause() -> None:
    trace, caller, callee = new_trace(), new_span(), new_span()
    graph = span_record(
        trace, callee, exceptions=[exception("Timeout", "graph 'ö' \\ took 9 s")],
        at=NOW + timedelta(microseconds=123_457), source=resource("graph"),
    )._replace(parent_span_id=caller)  # fmt: skip
    receive(span_record(trace, caller, at=NOW, source=resource('pl{a},n"er')), graph)
    assert chains_build(now=datetime.now(UTC)) == 1
    [chain] = CorrelationChain.objects.all()
    assert chain.trace_id == trace
    assert chain.root_cause_service == "graph"
    assert chain.root_cause_type == "Timeout"
    assert chain.root_cause_message == "graph 'ö' \\ took 9 s"
    assert chain.root_cause_operation == "load plan"
    assert chain.services == ["graph", 'pl{a},n"er']
    assert (chain.error_count, chain.span_count, chain.gap_count) == (2, 2, 0)
    assert chain.started_at == NOW
    assert chain.ended_at == NOW + timedelta(microseconds=123_457 + 10_000)


def test_the_second_look_writes_nothing_where_nothing_came() -> None:
    trace = new_trace()
    receive(span_record(trace, new_span(), exceptions=[exception()]))
    chains_build(now=datetime.now(UTC))
    [before] = CorrelationChain.objects.values("updated_at", "span_count")
    assert chains_build(now=settle_time()) == 1
    [after] = CorrelationChain.objects.values("updated_at", "span_count")
    assert before == after
    assert not ChainPending.objects.exists()


def test_the_second_look_takes_in_what_came_while_the_chain_was_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trace, first = new_trace(), new_span()
    receive(span_record(trace, first, exceptions=[exception()]))

    # Neither side sees the other: the span's batch no chain yet, the builder no such span.
    monkeypatch.setattr("analytics.services.ingest.requeue_late", lambda *_: None)
    chains_build(now=datetime.now(UTC))
    child = span_record(trace, new_span(), failed=False)._replace(parent_span_id=first)
    receive(child)
    chains_build(now=settle_time())
    [chain] = CorrelationChain.objects.all()
    assert chain.span_count == 2
    assert chain.ended_at >= NOW + timedelta(milliseconds=10)


def test_one_task_works_through_more_than_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains.chains_build, "__kwdefaults__", {"limit": 2})
    for _ in range(5):
        receive(span_record(new_trace(), new_span(), exceptions=[exception()]))
    chains_refresh()
    assert CorrelationChain.objects.count() == 5
    # The second looks are due later, all of them.
    assert ChainPending.objects.filter(settling=True).count() == 5
    chains_build(now=settle_time())
    assert ChainPending.objects.count() == 3


def test_no_plan_of_the_database_takes_more_than_a_batch() -> None:
    for _ in range(5):
        receive(span_record(new_trace(), new_span(), exceptions=[exception()]))
    # What is left are loops, which look once more for each row; statistics may lead there as well.
    with transaction.atomic(), connection.cursor() as cursor:
        for way in ("hashjoin", "hashagg", "mergejoin", "sort", "material", "memoize"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        assert chains_build(now=datetime.now(UTC), limit=2) == 2
