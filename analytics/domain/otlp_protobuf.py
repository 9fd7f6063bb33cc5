"""Decode OTLP requests in protobuf encoding.

Every read of a message's field makes a Python object, and a request has tens of thousands of
them: fields are read once, and the likely kind of a value is tried before its kind is asked for.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from analytics.domain import otlp_values as values
from analytics.domain.otlp_values import (
    MAX_ATTRIBUTES,
    MAX_TEXT,
    DecodeError,
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


def decode_traces(body: bytes, *, now_ns: int) -> Decoded:
    """Decode an ExportTraceServiceRequest; raises `DecodeError`."""
    refusals, reader = Refusals(now_ns), Reader()
    spans: list[SpanRecord] = []
    for group in _parse(ExportTraceServiceRequest, body).resource_spans:
        resource = reader.resource(group.resource)
        for scoped in group.scope_spans:
            scope = reader.name(scoped.scope.name)
            for span in scoped.spans:
                record = _span(span, resource, scope, reader, refusals)
                if record is not None:
                    spans.append(record)
    return refusals.decoded(spans)


def decode_logs(body: bytes, *, now_ns: int) -> Decoded:
    """Decode an ExportLogsServiceRequest; raises `DecodeError`."""
    refusals, reader = Refusals(now_ns), Reader()
    records: list[LogRecord] = []
    for group in _parse(ExportLogsServiceRequest, body).resource_logs:
        resource = reader.resource(group.resource)
        for scoped in group.scope_logs:
            scope = reader.name(scoped.scope.name)
            for log in scoped.log_records:
                record = _log(log, resource, scope, reader, refusals)
                if record is not None:
                    records.append(record)
    return refusals.decoded(records)


def decode_metrics(body: bytes, *, now_ns: int) -> Decoded:
    """Decode an ExportMetricsServiceRequest; raises `DecodeError`."""
    refusals, reader = Refusals(now_ns), Reader()
    points: list[MetricPoint] = []
    for group in _parse(ExportMetricsServiceRequest, body).resource_metrics:
        resource = reader.resource(group.resource)
        for scoped in group.scope_metrics:
            scope = reader.name(scoped.scope.name)
            for metric in scoped.metrics:
                kind = metric.WhichOneof("data")
                if kind is not None:
                    points += _points(metric, kind, resource, scope, reader, refusals)
    return refusals.decoded(points)


def _parse(kind: Any, body: bytes) -> Any:
    try:
        return kind.FromString(body)
    except ProtobufError as error:
        raise DecodeError(f"body is not a valid {kind.DESCRIPTOR.name}: {error}") from error


def _span(
    span: Any, resource: Resource, scope: str, reader: Reader, refusals: Refusals
) -> SpanRecord | None:
    trace_id, span_id = span.trace_id.hex(), span.span_id.hex()
    parent_id = span.parent_span_id.hex()
    start_ns, end_ns = span.start_time_unix_nano, span.end_time_unix_nano
    refusal = refusals.span(trace_id, span_id, parent_id, start_ns)
    if refusal:
        refusals.refuse(refusal)
        return None
    kind, status = span.kind, span.status
    code, message = status.code, status.message
    events, links = span.events, span.links
    return SpanRecord(
        resource,
        scope,
        trace_id,
        span_id,
        values.given(parent_id),
        reader.name(span.name),
        kind if 0 <= kind <= values.KINDS else 0,
        start_ns,
        end_ns if end_ns > start_ns else start_ns,
        code if 0 <= code <= values.STATUS_CODES else 0,
        clean(message) if message else "",
        reader.attributes(span.attributes),
        _events(events, start_ns, reader, refusals) if events else [],
        _links(links, reader, refusals) if links else [],
    )


def _events(events: Any, start_ns: int, reader: Reader, refusals: Refusals) -> list[SpanEvent]:
    if len(events) > values.MAX_EVENTS:
        refusals.refuse(values.MANY_EVENTS, 0)
        events = events[: values.MAX_EVENTS]
    return [
        SpanEvent(
            reader.name(event.name),
            event.time_unix_nano or start_ns,
            reader.attributes(event.attributes),
        )
        for event in events
    ]


def _links(links: Any, reader: Reader, refusals: Refusals) -> list[SpanLink]:
    if len(links) > values.MAX_LINKS:
        refusals.refuse(values.MANY_LINKS, 0)
        links = links[: values.MAX_LINKS]
    kept = []
    for link in links:
        trace_id, span_id = link.trace_id.hex(), link.span_id.hex()
        if values.is_link(trace_id, span_id):
            kept.append(SpanLink(trace_id, span_id, reader.attributes(link.attributes)))
        else:
            refusals.refuse(values.BAD_LINKS, 0)
    return kept


def _log(
    log: Any, resource: Resource, scope: str, reader: Reader, refusals: Refusals
) -> LogRecord | None:
    trace_id, span_id = log.trace_id.hex(), log.span_id.hex()
    time_ns, observed_ns = log.time_unix_nano, log.observed_time_unix_nano
    refusal = refusals.log(trace_id, span_id, time_ns, observed_ns)
    if refusal:
        refusals.refuse(refusal)
        return None
    severity = log.severity_number
    return LogRecord(
        resource,
        scope,
        time_ns,
        observed_ns,
        severity if 0 <= severity <= values.SEVERITIES else 0,
        reader.name(log.severity_text),
        reader.name(log.event_name),
        reader.value(log.body),
        reader.attributes(log.attributes),
        values.given(trace_id),
        values.given(span_id),
    )


def _points(
    metric: Any, kind: str, resource: Resource, scope: str, reader: Reader, refusals: Refusals
) -> list[MetricPoint]:
    name, unit = reader.name(metric.name), reader.name(metric.unit)
    data, read = getattr(metric, kind), _FIGURES[kind]
    temporality = 0 if kind in ("gauge", "summary") else data.aggregation_temporality
    if not 0 <= temporality <= values.TEMPORALITIES:
        temporality = 0
    monotonic = kind == "sum" and data.is_monotonic
    points = []
    for point in data.data_points:
        if point.flags & values.NO_RECORDED_VALUE:
            continue
        figures, time_ns = read(point), point.time_unix_nano
        refusal = refusals.point(kind, name, time_ns, figures)
        if refusal:
            refusals.refuse(refusal)
            continue
        attributes, start_ns = reader.attributes(point.attributes), point.start_time_unix_nano
        points.append(
            MetricPoint(
                resource, scope, name, unit, kind, temporality, monotonic, start_ns, time_ns,
                attributes, *figures,
            )
        )  # fmt: skip
    return points


def _number(point: Any) -> Figures:
    kind = point.WhichOneof("value")
    value = None if kind is None else float(getattr(point, kind))
    return Figures(value, 0, None, None, None, None)


def _histogram(point: Any) -> Figures:
    counts = _counts(point)
    buckets = {"bounds": list(point.explicit_bounds), "counts": counts} if counts else None
    return _observations(point, buckets)


def _exponential_histogram(point: Any) -> Figures:
    buckets = {
        "scale": point.scale,
        "zero_count": point.zero_count,
        "positive": _buckets(point.positive),
        "negative": _buckets(point.negative),
    }
    return _observations(point, buckets)


def _buckets(buckets: Any) -> dict[str, Any]:
    return {"offset": buckets.offset, "counts": _counts(buckets)}


def _counts(holder: Any) -> list[int]:
    return list(holder.bucket_counts[: values.MAX_BUCKETS + 1])


def _observations(point: Any, buckets: dict[str, Any] | None) -> Figures:
    return Figures(
        None,
        point.count,
        point.sum if point.HasField("sum") else None,
        point.min if point.HasField("min") else None,
        point.max if point.HasField("max") else None,
        buckets,
    )


def _summary(point: Any) -> Figures:
    quantiles = [
        {"quantile": values.number(q.quantile), "value": values.number(q.value)}
        for q in point.quantile_values
    ]
    return Figures(None, point.count, point.sum, None, None, {"quantiles": quantiles})


_FIGURES: dict[str, Callable[[Any], Figures]] = {
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

    def resource(self, resource: Any) -> Resource:
        """The resource of a group; the same object for equal ones."""
        key = resource.SerializeToString()
        known = self._resources.get(key)
        if known is None:
            known = values.resource_of(self.attributes(resource.attributes))
            self._resources[key] = known
        return known

    def attributes(self, pairs: Iterable[Any]) -> Attributes:
        """Clean attributes; of equal keys the last one counts."""
        found: Attributes = {}
        known = self.clean
        for pair in pairs:
            key, value = pair.key, pair.value
            if key not in known:
                key = self.name(key)
            text = value.string_value
            if not text:
                found[key] = self.value(value, 1)
            elif len(text) > MAX_TEXT or "\0" in text:
                found[key] = clean(text, values.MAX_STACK if key == values.STACK else MAX_TEXT)
            else:
                found[key] = text
        return found if len(found) <= MAX_ATTRIBUTES else values.first(found)

    def value(self, value: Any, depth: int = 1) -> Any:
        """An AnyValue as JSON can hold it."""
        whole = value.int_value
        if whole:
            return whole
        kind = value.WhichOneof("value")
        if kind == "string_value":
            return clean(value.string_value)
        if kind == "int_value":
            return 0
        if kind == "double_value":
            return values.number(value.double_value)
        if kind == "bool_value":
            return value.bool_value
        if kind == "bytes_value":
            return b64encode(value.bytes_value[: values.MAX_BYTES]).decode()
        if kind not in ("array_value", "kvlist_value"):
            return None
        if depth > values.MAX_DEPTH:
            return values.TOO_DEEP
        if kind == "array_value":
            elements = value.array_value.values[: values.MAX_ELEMENTS]
            return [self.value(element, depth + 1) for element in elements]
        pairs = value.kvlist_value.values
        return values.first({self.name(p.key): self.value(p.value, depth + 1) for p in pairs})
