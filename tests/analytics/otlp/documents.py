"""OTLP/JSON requests written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from analytics.domain import otlp_json
from analytics.domain.telemetry import MetricPoint, SpanRecord
from tests.analytics.otlp.messages import NOW_NS

# Real data that stands beside the checkout where it is developed, and is absent elsewhere.
DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "otlp"


def span_json(**fields: Any) -> dict[str, Any]:
    span = {
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "EEE19B7EC3C1B174",
        "name": "GET /orders",
        "startTimeUnixNano": str(NOW_NS),
        "endTimeUnixNano": NOW_NS + 1000,
    }
    return span | fields


def traces_body(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> bytes:
    group = {"resource": pairs(resource or {}), "scopeSpans": [{"spans": list(spans)}]}
    return orjson.dumps({"resourceSpans": [group]})


def pairs(attributes: dict[str, Any]) -> dict[str, Any]:
    return {"attributes": [{"key": k, "value": v} for k, v in attributes.items()]}


def one_span(**fields: Any) -> SpanRecord:
    decoded = otlp_json.decode_traces(traces_body(span_json(**fields)), now_ns=NOW_NS)
    assert decoded.rejections == []
    (span,) = decoded.items
    assert isinstance(span, SpanRecord)
    return span


def attribute_of(value: Any, key: str = "k") -> Any:
    return one_span(**pairs({key: value})).attributes[key]


def logs_body(**fields: Any) -> bytes:
    return orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [fields]}]}]})


def metric_body(**metric: Any) -> bytes:
    return orjson.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})


def one_point(**metric: Any) -> MetricPoint:
    decoded = otlp_json.decode_metrics(metric_body(name="m", unit="s", **metric), now_ns=NOW_NS)
    (point,) = decoded.items
    assert isinstance(point, MetricPoint)
    return point
