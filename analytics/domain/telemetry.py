"""Decoded telemetry: what both OTLP encodings become before anything is derived from it.

Plain tuples, because a request holds thousands of them and building them is most of its cost.
Ids are lower-case hex ("" where absent), times are nanoseconds since the epoch, attribute values
are what JSON can hold (bytes become base64 text).
"""

from __future__ import annotations

from typing import Any, NamedTuple

Attributes = dict[str, Any]


class Resource(NamedTuple):
    """Who sent it: resource attributes, with those that the site reads pulled out."""

    service: str
    environment: str
    instance: str
    version: str
    language: str
    criticality: str
    attributes: Attributes


class SpanEvent(NamedTuple):
    """A timed event on a span; exceptions arrive as events named `exception`."""

    name: str
    time_ns: int
    attributes: Attributes


class SpanLink(NamedTuple):
    """A reference to a span of this or another trace."""

    trace_id: str
    span_id: str
    attributes: Attributes


class SpanRecord(NamedTuple):
    """One finished span. `kind` and `status_code` are OTLP's integer enums."""

    resource: Resource
    scope: str
    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    status_code: int
    status_message: str
    attributes: Attributes
    events: list[SpanEvent]
    links: list[SpanLink]


class LogRecord(NamedTuple):
    """One log record; `severity` is OTLP's number 1..24, 0 when unset."""

    resource: Resource
    scope: str
    time_ns: int
    observed_ns: int
    severity: int
    severity_text: str
    event_name: str
    body: Any
    attributes: Attributes
    trace_id: str
    span_id: str


class MetricPoint(NamedTuple):
    """One numeric data point.

    `kind` is gauge, sum, histogram, exponential_histogram or summary; `temporality` is OTLP's
    integer enum (0 unset, 1 delta, 2 cumulative). `value` is set for gauges and sums; the others
    carry `count`, `sum`, `minimum`, `maximum` and their buckets in `distribution`, as OTLP names
    them (`bounds` and `counts`; `scale`, `zero_count`, `positive`, `negative`; `quantiles`).
    """

    resource: Resource
    scope: str
    name: str
    unit: str
    kind: str
    temporality: int
    monotonic: bool
    start_ns: int
    time_ns: int
    attributes: Attributes
    value: float | None
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs here
    sum: float | None
    minimum: float | None
    maximum: float | None
    distribution: dict[str, Any] | None


class Rejection(NamedTuple):
    """Items refused one by one while their neighbours are stored, and how to mend them."""

    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs here
    reason: str


class Decoded(NamedTuple):
    """A decoded request: its usable items, and what of it had to be refused."""

    items: list[Any]
    rejections: list[Rejection]
