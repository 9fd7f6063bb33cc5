"""Running totals beyond what a service may have of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics.models import (
    MetricRollup,
    MetricStream,
)
from analytics.services.ingest import StoreResult
from analytics.services.ingest_metrics import store_metrics
from analytics.services.retention import retention_apply
from tests.analytics.store.conftest import forget_all
from tests.analytics.store.telemetry import (
    NOW,
    batch,
    point,
    resource,
    together,
)
from tests.analytics.store.test_bounded_names import folded

pytestmark = pytest.mark.usefixtures("small")
DAY = timedelta(days=1)


def export(instances: Sequence[int], value: float, at: datetime) -> StoreResult:
    points = [
        point("requests", value, source=resource("planner", f"pod-{n}"), at=at) for n in instances
    ]
    return store_metrics(batch(*points), received_at=datetime.now(UTC))


def increase() -> float:
    return sum(MetricRollup.objects.values_list("increase", flat=True))


def test_running_totals_beyond_the_limit_are_counted_as_points_and_known_ones_go_on() -> None:
    export(range(2), 10.0, NOW)
    result = export(range(8), 20.0, NOW + timedelta(seconds=10))
    assert MetricStream.objects.count() == 3
    [warning] = result.rejections
    assert warning.count == 0
    assert warning.reason.startswith(
        "5 points of service planner, such as requests of pod-7, are beyond its limit of 3 running "
        "totals of metrics"
    )
    before = increase()
    export(range(8), 25.0, NOW + timedelta(seconds=20))
    # Three totals grew by five each; those of the others are not known.
    assert increase() - before == 15.0
    assert sum(MetricRollup.objects.values_list("points", flat=True)) == 18
    assert folded() == {"stream": (10, "requests of pod-7")}


def test_all_processes_together_keep_as_many_running_totals_as_the_limit() -> None:
    def bring(worker: int) -> None:
        export(range(worker * 10, worker * 10 + 10), 1.0, NOW)

    together(*(partial(bring, worker) for worker in range(3)))
    assert MetricStream.objects.count() == 3
    forget_all()
    export(range(50, 60), 1.0, NOW + timedelta(seconds=1))
    assert MetricStream.objects.count() == 3


def test_running_totals_that_fell_silent_make_room() -> None:
    export(range(4), 1.0, NOW)
    retention_apply(now=datetime.now(UTC) + 2 * DAY)
    assert not MetricStream.objects.exists()
    forget_all()
    export([7], 2.0, NOW + timedelta(seconds=5))
    assert MetricStream.objects.get().writer == "pod-7"


def test_a_service_whose_totals_are_refused_is_not_counted_with_each_batch() -> None:
    export(range(4), 1.0, NOW)
    export([8], 1.0, NOW)
    with CaptureQueriesContext(connection) as queries:
        export([9], 1.0, NOW)
    assert not [
        q
        for q in queries.captured_queries
        if "FROM analytics_metricstream s WHERE" in q["sql"] and "LIMIT" in q["sql"]
    ]
    assert MetricStream.objects.count() == 3
