"""A trace of ten thousand spans, two hundred deep: put in order, stored and shown in short."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from django.test import Client

from analytics.domain.telemetry import SpanEvent
from analytics.models import CorrelationChain
from analytics.services.chains import chains_build
from analytics.services.ingest import store_spans
from tests.analytics.store.telemetry import (
    NOW,
    batch,
    exception,
    new_trace,
    ns,
    resource,
    span_record,
)
from tests.effort import growth

BRANCHES, DEPTH = 50, 200
FEWER = 12


@pytest.mark.usefixtures("store")
def test_a_huge_and_deep_trace_is_shown_with_its_root_cause(admin_client: Client) -> None:
    # What is done once, such as reading templates, is done before.
    show(admin_client, 1)
    few, many = (partial(show, admin_client, branches) for branches in (FEWER, BRANCHES))
    # Four times as many spans: 4 where the work is linear, 16 where it is quadratic.
    assert growth(few, many) < 9


def show(client: Client, branches: int) -> None:
    """Store such a trace and show it."""
    trace = new_trace()
    spans = []
    for branch in range(branches):
        for depth in range(DEPTH):
            own = f"{branch:08x}{depth:08x}"
            parent = (
                f"{branch:08x}{depth - 1:08x}" if depth else ("" if not branch else f"{0:016x}")
            )
            span = span_record(trace, own, failed=False, source=resource(f"s{depth % 9}"))
            spans.append(span._replace(parent_span_id=parent, start_ns=ns(NOW) + depth))
    deepest = next(
        n for n, span in enumerate(spans) if span.span_id == f"{branches // 7:08x}{DEPTH - 1:08x}"
    )
    event = SpanEvent("exception", ns(NOW) + 5_000_000, exception("DiskFull", "no space"))
    spans[deepest] = spans[deepest]._replace(status_code=2, events=[event])
    store_spans(batch(*spans), received_at=NOW)
    chains_build(now=NOW + timedelta(minutes=1))
    chain = CorrelationChain.objects.get(trace_id=trace)
    assert (chain.root_cause_type, chain.span_count) == ("DiskFull", branches * DEPTH)
    page = client.get(f"/chains/{trace}").content.decode()
    assert "Root cause: DiskFull" in page
    told = client.get(f"/api/v1/chains/{trace}").json()
    assert len(told["path"]) >= DEPTH
