"""A shop in the store: an hour in which all is well, then minutes in which its stock fails."""

from __future__ import annotations

from datetime import datetime, timedelta

from analytics.models import Release
from analytics.services.ingest import store_spans
from resilience_site.core import journal
from tests.analytics.store.telemetry import (
    batch,
    exception,
    new_span,
    new_trace,
    ns,
    resource,
    span_record,
)

SLOW_MS = 700


def trouble(now: datetime) -> None:
    """Calls of the last 70 minutes; in the last 10 the stock fails, late, on a new instance."""
    records = []
    for minute in range(70):
        at = now - timedelta(minutes=minute, seconds=30)
        bad = minute < 10
        trace, ids = new_trace(), [new_span() for _ in range(3)]
        takes = SLOW_MS if bad else 20
        for depth, service in enumerate(("web", "orders", "stock")):
            instance = f"{service}-{'2' if bad and service == 'stock' else '1'}"
            span = span_record(
                trace, ids[depth], at=at, failed=bad, source=resource(service, instance),
                exceptions=[exception("LockTimeout", "no lock")] if bad and depth == 2 else None,
            )  # fmt: skip
            end = ns(at) + (takes + 10 * (2 - depth)) * 1_000_000
            parent = ids[depth - 1] if depth else ""
            records.append(span._replace(parent_span_id=parent, end_ns=end))
    store_spans(batch(*records), received_at=now)


def release(service: str, now: datetime) -> None:
    """Version 2 came ten minutes ago, version 1 long before."""
    for version, ago in (("1.0", timedelta(days=9)), ("2.0", timedelta(minutes=10))):
        Release.objects.update_or_create(
            service=service, environment="test", version=version,
            defaults={"first_seen": now - ago, "last_seen": now},
        )  # fmt: skip


def graph_refuses(now: datetime) -> None:
    """A planner whose calls to a Graph that sends no telemetry were answered for an hour; in the
    last 10 minutes every second is refused, and others are kept back by its breaker."""
    records = []
    for number in range(140):
        at = now - timedelta(seconds=30 * number + 15)
        bad, kept_back = number < 20, number < 20 and number % 2 == 0
        trace, ids = new_trace(), [new_span() for _ in range(3)]
        planner = resource("planner", "planner-1")
        web = span_record(trace, ids[0], at=at, failed=bad, source=resource("web", "web-1"))
        called = span_record(
            trace, ids[1], at=at, failed=bad, source=planner,
            exceptions=[exception("CallNotPermitted", "breaker open")] if kept_back else None,
        )  # fmt: skip
        records += [web, called._replace(parent_span_id=ids[0])]
        if not kept_back:
            out = span_record(trace, ids[2], at=at, failed=bad, source=planner)
            peer = {"peer.service": "microsoft-graph"}
            records.append(out._replace(parent_span_id=ids[1], kind=3, attributes=peer))
    store_spans(batch(*records), received_at=now)


def told(entry: journal.Entry) -> None:
    journal.append([entry])
