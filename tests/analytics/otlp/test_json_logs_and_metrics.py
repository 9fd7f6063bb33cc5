"""Log records and metric points in OTLP/JSON."""

from __future__ import annotations

from typing import Any

import pytest

from analytics.domain import otlp_json, otlp_values
from analytics.domain.telemetry import LogRecord
from tests.analytics.otlp.documents import logs_body, metric_body, one_point
from tests.analytics.otlp.messages import NOW_NS


def test_a_log_record_needs_neither_ids_nor_times() -> None:
    body = logs_body(body={"stringValue": "hello"}, severityNumber=17, eventName="e")
    (record,) = otlp_json.decode_logs(body, now_ns=NOW_NS).items
    assert isinstance(record, LogRecord)
    assert record[2:11] == (0, 0, 17, "", "e", "hello", {}, "", "")


def test_a_log_record_with_a_broken_trace_id_is_refused() -> None:
    decoded = otlp_json.decode_logs(logs_body(traceId="abc"), now_ns=NOW_NS)
    assert decoded == ([], [(1, otlp_values.BAD_LOG_TRACE_ID)])


def test_metric_points_of_each_kind() -> None:
    at = {"timeUnixNano": NOW_NS}
    gauge = one_point(gauge={"dataPoints": [at | {"asInt": "-3"}]})
    assert (gauge.kind, gauge.value, gauge.temporality) == ("gauge", -3.0, 0)
    total = one_point(
        sum={"dataPoints": [at | {"asDouble": 2}], "aggregationTemporality": 2, "isMonotonic": True}
    )
    assert (total.value, total.temporality, total.monotonic) == (2.0, 2, True)
    observed = at | {"count": "3", "sum": 6.5, "min": 1}
    histogram = one_point(
        histogram={
            "dataPoints": [observed | {"bucketCounts": ["1", 2], "explicitBounds": [2.5]}],
            "aggregationTemporality": 1,
        }
    )
    assert histogram[10:] == (None, 3, 6.5, 1.0, None, {"bounds": [2.5], "counts": [1, 2]})
    exponential = one_point(
        exponentialHistogram={
            "dataPoints": [
                observed | {"scale": 2, "positive": {"offset": -1, "bucketCounts": ["3"]}}
            ]
        }
    )
    assert exponential.kind == "exponential_histogram"
    assert exponential.distribution == {
        "scale": 2,
        "zero_count": 0,
        "positive": {"offset": -1, "counts": [3]},
        "negative": {"offset": 0, "counts": []},
    }
    quantiles = [{"quantile": 0.5, "value": 2}]
    summary = one_point(summary={"dataPoints": [observed | {"quantileValues": quantiles}]})
    assert (summary.count, summary.sum) == (3, 6.5)
    assert summary.distribution == {"quantiles": [{"quantile": 0.5, "value": 2.0}]}


@pytest.mark.parametrize(
    ("metric", "rejections"),
    [
        ({"name": "m", "gauge": {"dataPoints": [{"flags": 1}]}}, []),
        ({"name": "m", "gauge": {"dataPoints": [{}]}}, [(1, otlp_values.NO_VALUE)]),
        ({"gauge": {"dataPoints": [{"asInt": 1}]}}, [(1, otlp_values.NO_METRIC_NAME)]),
        (
            {"name": "m", "histogram": {"dataPoints": [{"bucketCounts": [1, 2, 3]}]}},
            [(1, otlp_values.BAD_BUCKETS)],
        ),
        (
            {
                "name": "m",
                "exponentialHistogram": {
                    "dataPoints": [{"positive": {"bucketCounts": [1] * 5000}}]
                },
            },
            [(1, otlp_values.MANY_BUCKETS)],
        ),
        ({"name": "m"}, []),
    ],
)
def test_metric_points_that_tell_nothing_are_not_kept(
    metric: dict[str, Any], rejections: list[tuple[int, str]]
) -> None:
    assert otlp_json.decode_metrics(metric_body(**metric), now_ns=NOW_NS) == ([], rejections)
