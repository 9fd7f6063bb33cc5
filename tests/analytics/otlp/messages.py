"""Generated OTLP messages, and how OTLP/JSON writes them."""

from __future__ import annotations

import math
from base64 import b64encode
from typing import Any

import orjson
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.message import Message
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1 import common_pb2 as common
from opentelemetry.proto.logs.v1 import logs_pb2 as logs
from opentelemetry.proto.metrics.v1 import metrics_pb2 as metrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as trace

NOW_NS = 1_790_000_000_000_000_000
_HEX = {"trace_id", "span_id", "parent_span_id"}
_WIDE = {Field.TYPE_INT64, Field.TYPE_UINT64, Field.TYPE_FIXED64, Field.TYPE_SFIXED64}


def to_json(message: Message, *, numbers: bool = False, upper: bool = False) -> Any:
    """A message as OTLP/JSON; `numbers` writes 64-bit integers as numbers, `upper` ids in
    capitals."""

    def scalar(field: Field, value: Any) -> Any:
        if field.type == Field.TYPE_MESSAGE:
            return to_json(value, numbers=numbers, upper=upper)
        if field.type == Field.TYPE_BYTES:
            if field.name not in _HEX:
                return b64encode(value).decode()
            return value.hex().upper() if upper else value.hex()
        if field.type in _WIDE:
            return value if numbers else str(value)
        if field.type == Field.TYPE_DOUBLE and not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return value

    return {
        field.json_name: (
            [scalar(field, each) for each in value] if field.is_repeated else scalar(field, value)
        )
        for field, value in message.ListFields()
    }


def json_body(message: Message, **how: bool) -> bytes:
    return orjson.dumps(to_json(message, **how))


texts = st.text(max_size=12)
uint64 = st.integers(0, 2**64 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)
doubles = st.floats()
times = st.sampled_from([0, 1, 1_790_000_000, NOW_NS, NOW_NS + 5, 2**64 - 1]) | uint64
enums = st.integers(-(2**31), 2**31 - 1) | st.integers(0, 30)
trace_ids = st.sampled_from([b"", bytes(16), b"\xab" * 16, b"\x01" * 15]) | st.binary(
    min_size=16, max_size=16
)
span_ids = st.sampled_from([b"", bytes(8), b"\xcd" * 8, b"\x01" * 9]) | st.binary(
    min_size=8, max_size=8
)


def few(strategy: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, max_size=most)


def pairs_of(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = texts | st.sampled_from(
        ["service.name", "exception.stacktrace", "deployment.environment"]
    )
    return st.builds(common.KeyValue, key=keys, value=value)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda found: common.AnyValue(array_value=common.ArrayValue(values=found)), few(inner)
    ) | st.builds(
        lambda found: common.AnyValue(kvlist_value=common.KeyValueList(values=found)),
        few(pairs_of(inner)),
    )


any_values = st.recursive(
    st.builds(common.AnyValue)
    | st.builds(common.AnyValue, string_value=texts)
    | st.builds(common.AnyValue, bool_value=st.booleans())
    | st.builds(common.AnyValue, int_value=int64 | st.just(0))
    | st.builds(common.AnyValue, double_value=doubles)
    | st.builds(common.AnyValue, bytes_value=st.binary(max_size=9)),
    _containers,
    max_leaves=5,
)
attributes = few(pairs_of(any_values))
resources = st.builds(Resource, attributes=attributes)
scopes = st.builds(common.InstrumentationScope, name=texts)

spans = st.builds(
    trace.Span,
    trace_id=trace_ids,
    span_id=span_ids,
    parent_span_id=span_ids,
    name=texts,
    kind=enums,
    start_time_unix_nano=times,
    end_time_unix_nano=times,
    attributes=attributes,
    events=few(
        st.builds(trace.Span.Event, name=texts, time_unix_nano=times, attributes=attributes)
    ),
    links=few(
        st.builds(trace.Span.Link, trace_id=trace_ids, span_id=span_ids, attributes=attributes)
    ),
    status=st.builds(trace.Status, code=enums, message=texts),
)
log_records = st.builds(
    logs.LogRecord,
    time_unix_nano=times,
    observed_time_unix_nano=times,
    severity_number=enums,
    severity_text=texts,
    event_name=texts,
    body=any_values,
    attributes=attributes,
    trace_id=trace_ids,
    span_id=span_ids,
)
_point: dict[str, Any] = {
    "start_time_unix_nano": times,
    "time_unix_nano": times,
    "attributes": attributes,
    "flags": st.sampled_from([0, 0, 0, 1, 2]),
}
_maybe = st.none() | doubles
_numbers = few(
    st.builds(metrics.NumberDataPoint, as_double=doubles, **_point)
    | st.builds(metrics.NumberDataPoint, as_int=int64, **_point)
    | st.builds(metrics.NumberDataPoint, **_point)
)
_observed: dict[str, Any] = {**_point, "count": uint64, "sum": _maybe, "min": _maybe, "max": _maybe}
_counts = few(uint64)
_exponential = st.builds(
    metrics.ExponentialHistogramDataPoint.Buckets,
    offset=st.integers(-(2**31), 2**31 - 1),
    bucket_counts=_counts,
)
_data = (
    st.builds(lambda points: {"gauge": metrics.Gauge(data_points=points)}, _numbers)
    | st.builds(
        lambda points, temporality, monotonic: {
            "sum": metrics.Sum(
                data_points=points, aggregation_temporality=temporality, is_monotonic=monotonic
            )
        },
        _numbers,
        enums,
        st.booleans(),
    )
    | st.builds(
        lambda points, temporality: {
            "histogram": metrics.Histogram(data_points=points, aggregation_temporality=temporality)
        },
        few(
            st.builds(
                metrics.HistogramDataPoint,
                bucket_counts=_counts,
                explicit_bounds=few(doubles),
                **_observed,
            )
        ),
        enums,
    )
    | st.builds(
        lambda points, temporality: {
            "exponential_histogram": metrics.ExponentialHistogram(
                data_points=points, aggregation_temporality=temporality
            )
        },
        few(
            st.builds(
                metrics.ExponentialHistogramDataPoint,
                scale=st.integers(-(2**31), 2**31 - 1),
                zero_count=uint64,
                positive=_exponential,
                negative=_exponential,
                **_observed,
            )
        ),
        enums,
    )
    | st.builds(
        lambda points: {"summary": metrics.Summary(data_points=points)},
        few(
            st.builds(
                metrics.SummaryDataPoint,
                count=uint64,
                sum=doubles,
                quantile_values=few(
                    st.builds(
                        metrics.SummaryDataPoint.ValueAtQuantile, quantile=doubles, value=doubles
                    )
                ),
                **_point,
            )
        ),
    )
    | st.just({})
)
any_metrics = st.builds(
    lambda name, unit, data: metrics.Metric(name=name, unit=unit, **data), texts, texts, _data
)

trace_requests = st.builds(
    lambda groups: ExportTraceServiceRequest(resource_spans=groups),
    few(
        st.builds(
            trace.ResourceSpans,
            resource=resources,
            scope_spans=few(st.builds(trace.ScopeSpans, scope=scopes, spans=few(spans)), 2),
        ),
        2,
    ),
)
log_requests = st.builds(
    lambda groups: ExportLogsServiceRequest(resource_logs=groups),
    few(
        st.builds(
            logs.ResourceLogs,
            resource=resources,
            scope_logs=few(
                st.builds(logs.ScopeLogs, scope=scopes, log_records=few(log_records)), 2
            ),
        ),
        2,
    ),
)
metric_requests = st.builds(
    lambda groups: ExportMetricsServiceRequest(resource_metrics=groups),
    few(
        st.builds(
            metrics.ResourceMetrics,
            resource=resources,
            scope_metrics=few(
                st.builds(metrics.ScopeMetrics, scope=scopes, metrics=few(any_metrics)), 2
            ),
        ),
        2,
    ),
)
