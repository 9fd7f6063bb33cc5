"""Spans as COPY rows."""

from __future__ import annotations

from collections.abc import Sequence

from analytics.domain.errors import time_uuid_hex
from analytics.domain.telemetry import Attributes, SpanRecord
from analytics.services import copying
from analytics.services.copying import NULL, Clock

TABLE = "analytics_span"
COLUMNS = (
    "id", "started_at", "service", "instance", "environment", "scope", "operation", "trace_id",
    "span_id", "parent_span_id", "kind", "status", "status_message", "duration_ns", "attributes",
    "events", "links",
)  # fmt: skip
_STACK = "exception.stacktrace"


def span_key(span: SpanRecord) -> str:
    """The id of a span (32 hex digits): its start, its span id and a piece of its trace id."""
    return time_uuid_hex(span.start_ns, bytes.fromhex(span.span_id + span.trace_id[-4:]))


def rows_of(spans: Sequence[SpanRecord], ids: Sequence[str]) -> list[str]:
    """The spans as COPY rows, in the order of `COLUMNS`."""
    clock, escape, json = Clock(), copying.text, copying.json
    prefixes: dict[tuple[int, str, str], str] = {}
    rows = []
    for span, span_id in zip(spans, ids, strict=True):
        resource = span.resource
        key = (id(resource), span.scope, span.name)
        prefix = prefixes.get(key)
        if prefix is None:
            prefix = prefixes[key] = "\t".join(
                map(
                    escape,
                    (
                        resource.service,
                        resource.instance,
                        resource.environment,
                        span.scope,
                        span.name,
                    ),
                )
            )
        message = escape(span.status_message) if span.status_message else ""
        rows.append(
            f"{span_id}\t{clock.text(span.start_ns)}\t{prefix}\t{span.trace_id}\t{span.span_id}\t"
            f"{span.parent_span_id}\t{span.kind}\t{span.status_code}\t{message}\t"
            f"{max(0, span.end_ns - span.start_ns)}\t{json(span.attributes)}\t"
            f"{_events(span) if span.events else NULL}\t{_links(span) if span.links else NULL}"
        )
    return rows


def _events(span: SpanRecord) -> str:
    return copying.json(
        [
            {"name": e.name, "time_ns": e.time_ns, "attributes": _without_stack(e.attributes)}
            for e in span.events
        ]
    )


def _without_stack(attributes: Attributes) -> Attributes:
    # The stack trace is stored once, with the error event.
    if _STACK not in attributes:
        return attributes
    return {key: value for key, value in attributes.items() if key != _STACK}


def _links(span: SpanRecord) -> str:
    return copying.json([link._asdict() for link in span.links])
