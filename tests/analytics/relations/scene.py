"""Requests and errors of two services, web and the planner that it calls."""

from __future__ import annotations

from datetime import timedelta

from analytics.services.edges import edges_resolve
from analytics.services.ingest import store_spans
from analytics.services.ingest_logs import store_logs
from tests.analytics.store.telemetry import (
    NOW,
    batch,
    exception,
    exception_log,
    log,
    new_span,
    new_trace,
    resource,
    span_record,
)


def request_of(
    user: str = "", tier: str = "", *, failed: bool = True, fallback: bool = False
) -> str:
    """A call of web, which calls planner, which fails where `failed`; returns its trace."""
    trace, entry, inner = new_trace(), new_span(), new_span()
    told = {name: value for name, value in (("enduser.id", user), ("enduser.tier", tier)) if value}
    web = span_record(trace, entry, failed=False, source=resource("web"))._replace(attributes=told)
    exceptions = [exception()] if failed else []
    planner = span_record(trace, inner, failed=failed, exceptions=exceptions)
    store_spans(batch(web, planner._replace(parent_span_id=entry)), received_at=NOW)
    if fallback:
        served = log("served", trace=trace, span=inner, event_name="resilience.fallback.served")
        store_logs(batch(served), received_at=NOW)
    return trace


def call_between() -> None:
    """A call of web to planner that went well: it shows the edge."""
    request_of(failed=False)
    edges_resolve(now=NOW)


def fail(service: str, seconds: float) -> None:
    """An error of a service without any id, so long after `NOW`."""
    at = NOW + timedelta(seconds=seconds)
    store_logs(batch(exception_log(at=at)._replace(resource=resource(service))), received_at=at)
