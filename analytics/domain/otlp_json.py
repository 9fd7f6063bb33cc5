"""Decode OTLP requests in JSON encoding.

OTLP/JSON is protobuf's JSON mapping with hex ids and enums as integers only. Unknown names are
ignored, null stands for a field's default, and a value of the wrong type spoils the whole request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from analytics.domain import otlp_values as values
from analytics.domain.otlp_fields import (
    INT32,
    INT64,
    UINT32,
    UINT64,
    Json,
    base64_of,
    double,
    enum_of,
    flag_of,
    hex_of,
    list_of,
    object_of,
    objects_of,
    optional_double,
    parse,
    text_of,
    time_of,
    whole,
)
from analytics.domain.otlp_values import (
    MAX_ATTRIBUTES,
    MAX_TEXT,
    Figures,
    Names,
    Refusals,
    clean,
)
from analytics.domain.telemetry import (
    Attributes,
    Decoded,
    LogRecord,
    MetricPoint,
    Resource,
    SpanEvent,
    SpanLink,
    SpanRecord,
)

_KINDS = {
    "gauge": "gauge",
    "sum": "sum",
    "histogram": "histogram",
    "exponentialHistogram": "exponential_histogram",
    "summary": "summary",
}


def decode_traces(body: bytes, *, now_ns: int) -> Decoded:
    """Decode an ExportTraceServiceRequest; raises `DecodeError`."""
    refusals, reader = Refusals(now_ns), Reader()
    spans: list[SpanRecord] = []
    for group in objects_of(parse(body), "resourceSpans"):
        resource = reader.resource(object_of(group, "resource"))
        for scoped in objects_of(group, "scopeSpans"):
            scope = reader.name(text_of(object_of(scoped, "scope"), "name"))
            for span in objects_of(scoped, "spans"):
                record = _span(span, resource, scope, reader, refusals)
                if record is not None:
                    spans.append(record)
    return refusals.decoded(spans)


def decode_logs(body: bytes, *, now_ns: int) -> Decoded:
    """Decode an ExportLogsServiceRequest; raises `DecodeError`."""
    refusals, reader = Refusals(now_ns), Reader()
    records: list[LogRecord] = []
    for group in objects_of(parse(body), "resourceLogs"):
        resource = reader.resource(object_of(group, "resource"))
        for scoped in objects_of(group, "scopeLogs"):
            scope = reader.name(text_of(object_of(scoped, "scope"), "name"))
            for log in objects_of(scoped, "logRecords"):
                record = _log(log, resource, scope, reader, refusals)
                if record is not None:
                    records.append(record)
    return refusals.decoded(records)


def decode_metrics(body: bytes, *, now_ns: int) -> Decoded:
    """Decode an ExportMetricsServiceRequest; raises `DecodeError`."""
    refusals, reader = Refusals(now_ns), Reader()
    points: list[MetricPoint] = []
    for group in objects_of(parse(body), "resourceMetrics"):
        resource = reader.resource(object_of(group, "resource"))
        for scoped in objects_of(group, "scopeMetrics"):
            scope = reader.name(text_of(object_of(scoped, "scope"), "name"))
            for metric in objects_of(scoped, "metrics"):
                points += _points(metric, resource, scope, reader, refusals)
    return refusals.decoded(points)


def _span(
    span: Json, resource: Resource, scope: str, reader: Reader, refusals: Refusals
) -> SpanRecord | None:
    trace_id, span_id = hex_of(span, "traceId"), hex_of(span, "spanId")
    parent_id = hex_of(span, "parentSpanId")
    start_ns, end_ns = time_of(span, "startTimeUnixNano"), time_of(span, "endTimeUnixNano")
    refusal = refusals.span(trace_id, span_id, parent_id, start_ns)
    if refusal:
        refusals.refuse(refusal)
        return None
    kind, status = enum_of(span, "kind"), object_of(span, "status")
    code, message = enum_of(status, "code"), text_of(status, "message")
    return SpanRecord(
        resource,
        scope,
        trace_id,
        span_id,
        values.given(parent_id),
        reader.name(text_of(span, "name")),
        kind if 0 <= kind <= values.KINDS else 0,
        start_ns,
        end_ns if end_ns > start_ns else start_ns,
        code if 0 <= code <= values.STATUS_CODES else 0,
        clean(message) if message else "",
        reader.attributes(span),
        _events(span, start_ns, reader, refusals),
        _links(span, reader, refusals),
    )


def _events(span: Json, start_ns: int, reader: Reader, refusals: Refusals) -> list[SpanEvent]:
    events = objects_of(span, "events")
    if len(events) > values.MAX_EVENTS:
        refusals.refuse(values.MANY_EVENTS, 0)
        events = events[: values.MAX_EVENTS]
    return [
        SpanEvent(
            reader.name(text_of(event, "name")),
            time_of(event, "timeUnixNano") or start_ns,
            reader.attributes(event),
        )
        for event in events
    ]


def _links(span: Json, reader: Reader, refusals: Refusals) -> list[SpanLink]:
    links = objects_of(span, "links")
    if len(links) > values.MAX_LINKS:
        refusals.refuse(values.MANY_LINKS, 0)
        links = links[: values.MAX_LINKS]
    kept = []
    for link in links:
        trace_id, span_id = hex_of(link, "traceId"), hex_of(link, "spanId")
        if values.is_link(trace_id, span_id):
            kept.append(SpanLink(trace_id, span_id, reader.attributes(link)))
        else:
            refusals.refuse(values.BAD_LINKS, 0)
    return kept


def _log(
    log: Json, resource: Resource, scope: str, reader: Reader, refusals: Refusals
) -> LogRecord | None:
    trace_id, span_id = hex_of(log, "traceId"), hex_of(log, "spanId")
    time_ns, observed_ns = time_of(log, "timeUnixNano"), time_of(log, "observedTimeUnixNano")
    refusal = refusals.log(trace_id, span_id, time_ns, observed_ns)
    if refusal:
        refusals.refuse(refusal)
        return None
    severity = enum_of(log, "severityNumber")
    return LogRecord(
        resource,
        scope,
        time_ns,
        observed_ns,
        severity if 0 <= severity <= values.SEVERITIES else 0,
        reader.name(text_of(log, "severityText")),
        reader.name(text_of(log, "eventName")),
        reader.value(object_of(log, "body")),
        reader.attributes(log),
        values.given(trace_id),
        values.given(span_id),
    )


def _points(
    metric: Json, resource: Resource, scope: str, reader: Reader, refusals: Refusals
) -> list[MetricPoint]:
    name, unit = reader.name(text_of(metric, "name")), reader.name(text_of(metric, "unit"))
    field = next((key for key in _KINDS if metric.get(key) is not None), None)
    if field is None:
        return []
    data, kind = object_of(metric, field), _KINDS[field]
    read = _FIGURES[kind]
    temporality = 0 if kind in ("gauge", "summary") else enum_of(data, "aggregationTemporality")
    if not 0 <= temporality <= values.TEMPORALITIES:
        temporality = 0
    monotonic = kind == "sum" and flag_of(data, "isMonotonic")
    points = []
    for point in objects_of(data, "dataPoints"):
        if whole(point.get("flags"), "flags", 0, UINT32) & values.NO_RECORDED_VALUE:
            continue
        figures, time_ns = read(point), time_of(point, "timeUnixNano")
        start_ns, attributes = time_of(point, "startTimeUnixNano"), reader.attributes(point)
        refusal = refusals.point(kind, name, time_ns, figures)
        if refusal:
            refusals.refuse(refusal)
            continue
        points.append(
            MetricPoint(
                resource, scope, name, unit, kind, temporality, monotonic, start_ns, time_ns,
                attributes, *figures,
            )
        )  # fmt: skip
    return points


def _number(point: Json) -> Figures:
    value = optional_double(point, "asDouble")
    as_int = point.get("asInt")
    if value is None and as_int is not None:
        value = float(whole(as_int, "asInt", *INT64))
    return Figures(value, 0, None, None, None, None)


def _histogram(point: Json) -> Figures:
    counts = _counts(point)
    bounds = [double(each, "explicitBounds") for each in list_of(point, "explicitBounds")]
    return _observations(point, {"bounds": bounds, "counts": counts} if counts else None)


def _exponential_histogram(point: Json) -> Figures:
    buckets = {
        "scale": whole(point.get("scale"), "scale", *INT32),
        "zero_count": whole(point.get("zeroCount"), "zeroCount", 0, UINT64),
        "positive": _buckets(object_of(point, "positive")),
        "negative": _buckets(object_of(point, "negative")),
    }
    return _observations(point, buckets)


def _buckets(buckets: Json) -> Json:
    offset = whole(buckets.get("offset"), "offset", *INT32)
    return {"offset": offset, "counts": _counts(buckets)}


def _counts(holder: Json) -> list[int]:
    counts = list_of(holder, "bucketCounts")[: values.MAX_BUCKETS + 1]
    return [whole(each, "bucketCounts", 0, UINT64) for each in counts]


def _observations(point: Json, buckets: Json | None) -> Figures:
    return Figures(
        None,
        whole(point.get("count"), "count", 0, UINT64),
        optional_double(point, "sum"),
        optional_double(point, "min"),
        optional_double(point, "max"),
        buckets,
    )


def _summary(point: Json) -> Figures:
    quantiles = [
        {
            "quantile": values.number(double(each.get("quantile"), "quantile")),
            "value": values.number(double(each.get("value"), "value")),
        }
        for each in objects_of(point, "quantileValues")
    ]
    count = whole(point.get("count"), "count", 0, UINT64)
    total = double(point.get("sum"), "sum")
    return Figures(None, count, total, None, None, {"quantiles": quantiles})


_FIGURES: dict[str, Callable[[Json], Figures]] = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "exponential_histogram": _exponential_histogram,
    "summary": _summary,
}


class Reader(Names):
    """Reads the parts that recur in a request."""

    def __init__(self) -> None:
        super().__init__()
        self._resources: dict[bytes, Resource] = {}

    def resource(self, resource: Json) -> Resource:
        """The resource of a group; the same object for equal ones."""
        attributes = self.attributes(resource)
        key = orjson.dumps(attributes)
        known = self._resources.get(key)
        if known is None:
            known = self._resources[key] = values.resource_of(attributes)
        return known

    def attributes(self, holder: Json) -> Attributes:
        """Clean attributes of an object that has some; of equal keys the last one counts."""
        found: Attributes = {}
        known = self.clean
        for pair in objects_of(holder, "attributes"):
            key, value = pair.get("key"), pair.get("value")
            if type(key) is not str:
                key = text_of(pair, "key")
            if key not in known:
                key = self.name(key)
            text = value.get("stringValue") if type(value) is dict else None
            if type(text) is not str:
                found[key] = self.value(object_of(pair, "value"))
            elif len(text) > MAX_TEXT or "\0" in text:
                found[key] = clean(text, values.MAX_STACK if key == values.STACK else MAX_TEXT)
            else:
                found[key] = text
        return found if len(found) <= MAX_ATTRIBUTES else values.first(found)

    def value(self, value: Json, depth: int = 1) -> Any:
        """An AnyValue as JSON can hold it."""
        field = next((key for key in _VALUES if value.get(key) is not None), None)
        if field is None:
            return None
        read = _VALUES[field]
        if read is not None:
            return read(value, field)
        if depth > values.MAX_DEPTH:
            return values.TOO_DEEP
        entries = objects_of(object_of(value, field), "values")
        if field == "arrayValue":
            return [self.value(each, depth + 1) for each in entries[: values.MAX_ELEMENTS]]
        return values.first(
            {
                self.name(text_of(each, "key")): self.value(object_of(each, "value"), depth + 1)
                for each in entries
            }
        )


# Arrays and key-value lists hold values themselves: they are read where the depth is known.
_VALUES: dict[str, Callable[[Json, str], Any] | None] = {
    "stringValue": lambda value, key: clean(text_of(value, key)),
    "boolValue": flag_of,
    "intValue": lambda value, key: whole(value[key], key, *INT64),
    "doubleValue": lambda value, key: values.number(double(value[key], key)),
    "arrayValue": None,
    "kvlistValue": None,
    "bytesValue": base64_of,
}
