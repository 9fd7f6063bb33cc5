"""Metric points: added up per series and minute, once, with rates of running totals."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.models import MetricRollup, MetricRollupHour, MetricSeries, MetricStream
from analytics.models.partitions import METRIC_ROLLUPS
from analytics.selectors.metrics import series_list, series_points
from analytics.services import metric_series
from analytics.services.catalogue import Catalogue
from analytics.services.ingest_metrics import store_metrics
from analytics.services.metric_hours import metric_hours_sum
from resilience_site.core import partitions
from resilience_site.core.timerange import TimeRange
from tests.analytics.store.conftest import forget_all
from tests.analytics.store.telemetry import NOW, batch, point, resource, together

pytestmark = pytest.mark.usefixtures("store")

MINUTE = timedelta(minutes=1)
BOUNDS = [0.1, 1.0, 10.0]


def store(*points: Any) -> tuple[int, int]:
    result = store_metrics(batch(*points), received_at=datetime.now(UTC))
    assert result.rejections == []
    return result.stored, result.duplicates


def rollup() -> MetricRollup:
    return MetricRollup.objects.get()


def histogram(counts: list[int], total: float = 0.0, **kind: Any) -> Any:
    return point(
        "duration", kind="histogram", count=sum(counts), total=total,
        distribution={"bounds": BOUNDS, "counts": counts}, **kind,
    )  # fmt: skip


# --- gauges and sums --------------------------------------------------------------------------


def test_values_of_a_gauge_keep_their_extremes_mean_and_last() -> None:
    minute = NOW.replace(second=0)
    values = [(10, 3.0), (30, 9.0), (20, -1.0)]
    store(*(point(kind="gauge", value=v, at=minute + timedelta(seconds=s)) for s, v in values))
    store(point(kind="gauge", value=5.0, at=minute + timedelta(seconds=15)))
    row = rollup()
    assert (row.points, row.total, row.minimum, row.maximum) == (4, 16.0, -1.0, 9.0)
    assert (row.last, row.last_at) == (9.0, minute + timedelta(seconds=30))
    assert (row.minute, row.increase) == (minute, None)


def test_delta_sums_add_up() -> None:
    store(point(value=2, temporality=1), point(value=3, temporality=1, at=NOW + timedelta(0, 1)))
    store(point(value=4, temporality=1, at=NOW + timedelta(0, 2)))
    assert (rollup().increase, rollup().points) == (9.0, 3)


def test_a_running_total_counts_what_it_grew_by() -> None:
    began = NOW - timedelta(days=2)
    for seconds, value in [(0, 100), (5, 103), (10, 103), (15, 110)]:
        store(point(value=value, start=began, at=NOW + timedelta(seconds=seconds)))
    points = series_points(
        [MetricSeries.objects.get().id],
        TimeRange(NOW - MINUTE, NOW + 2 * MINUTE),
        timedelta(hours=1) - MINUTE,
        now=datetime.now(UTC),
    )
    assert sum(p.increase or 0 for p in points) == 10
    assert sum(p.resets for p in points) == 0
    assert points[-1].last == 110


def test_a_total_that_began_just_now_counts_wholly() -> None:
    store(point(value=7, start=NOW - timedelta(seconds=30)))
    assert rollup().increase == 7


def test_a_total_that_was_never_compared_and_is_old_says_nothing_of_this_minute() -> None:
    store(point(value=70_000, start=NOW - timedelta(days=2)))
    assert (rollup().increase, rollup().last) == (None, 70_000)


def test_a_new_attribute_of_a_known_process_counts_wholly() -> None:
    began = NOW - timedelta(days=2)
    store(point(value=70_000, start=began, attributes={"outcome": "success"}))
    store(point(value=3, start=began, at=NOW + timedelta(0, 1), attributes={"outcome": "failure"}))
    failures = MetricSeries.objects.get(attributes={"outcome": "failure"})
    assert MetricRollup.objects.get(series_id=failures.id).increase == 3


@pytest.mark.parametrize(
    "start", [NOW - timedelta(days=2), NOW + timedelta(seconds=3)], ids=["same", "later"]
)
def test_a_reset_counts_from_nothing(start: datetime) -> None:
    began = NOW - timedelta(days=2)
    store(point(value=100, start=began))
    store(point(value=4, start=start, at=NOW + timedelta(seconds=5)))
    store(point(value=9, start=start, at=NOW + timedelta(seconds=6)))
    assert (rollup().increase, rollup().resets, rollup().last) == (9, 1, 9)


def test_a_restart_that_has_outgrown_the_former_total_is_a_reset_too() -> None:
    store(point(value=100, start=NOW - timedelta(days=2)))
    store(point(value=120, start=NOW + timedelta(0, 1), at=NOW + timedelta(seconds=5)))
    assert (rollup().increase, rollup().resets) == (120, 1)


def test_a_total_that_arrives_late_adds_nothing() -> None:
    began = NOW - timedelta(days=2)
    store(point(value=100, start=began))
    store(point(value=110, start=began, at=NOW + timedelta(seconds=10)))
    store(point(value=105, start=began, at=NOW + timedelta(seconds=5)))
    store(point(value=112, start=began, at=NOW + timedelta(seconds=12)))
    assert (rollup().increase, rollup().points, rollup().last) == (12, 4, 112)


def test_instances_of_a_service_are_compared_each_with_itself() -> None:
    began, one, two = NOW - timedelta(days=2), resource(), resource(instance="planner-2")
    store(point(value=100, start=began, source=one), point(value=9, start=began, source=two))
    later = NOW + timedelta(seconds=5)
    store(
        point(value=101, start=began, source=one, at=later),
        point(value=11, start=began, source=two, at=later),
    )
    assert (rollup().increase, rollup().resets) == (3, 0)
    assert MetricSeries.objects.count() == 1


def test_a_sum_that_may_fall_is_kept_like_a_gauge() -> None:
    store(
        point(value=5, monotonic=False), point(value=3, monotonic=False, at=NOW + timedelta(0, 1))
    )
    row = rollup()
    assert (row.minimum, row.maximum, row.last, row.resets) == (3, 5, 3, 0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_what_is_no_number_is_a_point_without_value(value: float | None) -> None:
    store(point(kind="gauge", value=value))
    assert (rollup().points, rollup().total, rollup().last) == (1, None, None)


def test_huge_numbers_never_leave_the_range_of_the_store() -> None:
    for second in range(3):
        at = NOW + timedelta(seconds=second)
        store(
            point(kind="gauge", value=1.7e308, at=at),
            histogram([2**64 - 1, 0, 0, 0], 1e308, temporality=1, at=at)._replace(count=2**64 - 1),
        )
    assert {row.count for row in MetricRollup.objects.all()} == {0, 2**63 - 1}


# --- distributions ----------------------------------------------------------------------------


def test_delta_histograms_merge() -> None:
    store(histogram([1, 2, 3, 4], 20.0, temporality=1, minimum=0.01, maximum=40))
    store(histogram([1, 0, 0, 0], 0.05, temporality=1, at=NOW + timedelta(0, 1), minimum=0.05))
    row = rollup()
    assert (row.count, row.total, row.minimum, row.maximum) == (11, 20.05, 0.01, 40)
    assert row.distribution == {"bounds": BOUNDS, "counts": [2, 2, 3, 4]}


def test_running_histograms_count_what_came_to_them() -> None:
    began = NOW - timedelta(days=2)
    store(histogram([10, 10, 10, 10], 99.0, start=began))
    store(histogram([11, 10, 12, 10], 103.0, start=began, at=NOW + timedelta(seconds=5)))
    row = rollup()
    assert (row.count, row.total) == (3, 4.0)
    assert row.distribution == {"bounds": BOUNDS, "counts": [1, 0, 2, 0]}
    store(histogram([1, 0, 0, 0], 0.1, start=began, at=NOW + timedelta(seconds=6)))
    row.refresh_from_db()
    assert (row.count, row.resets) == (4, 1)


def test_exponential_histograms_of_different_scales_merge() -> None:
    def exponential(scale: int, offset: int, counts: list[int], second: int) -> Any:
        return point(
            "size", kind="exponential_histogram", temporality=1, count=sum(counts) + 1, total=1.0,
            at=NOW + timedelta(seconds=second),
            distribution={
                "scale": scale, "zero_count": 1,
                "positive": {"offset": offset, "counts": counts}, "negative": None,
            },
        )  # fmt: skip

    store(exponential(1, 2, [1, 1, 1, 1], 0))
    store(exponential(0, 1, [5], 1))
    row = rollup()
    assert (row.count, row.distribution["zero_count"]) == (11, 2)
    assert row.distribution["scale"] == 0
    assert row.distribution["positive"] == {"offset": 1, "counts": [7, 2]}


def test_summaries_count_what_came_and_keep_their_newest_quantiles() -> None:
    began = NOW - timedelta(days=2)

    def summary(count: int, total: float, p99: float, second: int) -> Any:
        return point(
            "latency", kind="summary", temporality=0, count=count, total=total, start=began,
            at=NOW + timedelta(seconds=second),
            distribution={"quantiles": [{"quantile": 0.99, "value": p99}]},
        )  # fmt: skip

    store(summary(100, 50.0, 0.9, 0))
    store(summary(104, 53.0, 0.7, 1))
    row = rollup()
    assert (row.count, row.total) == (4, 3.0)
    assert row.distribution == {"quantiles": [{"quantile": 0.99, "value": 0.7}]}


def test_numbers_that_no_client_should_send_do_no_harm() -> None:
    odd = point(value=5, temporality=-(2**31))._replace(start_ns=2**64 - 1)
    store(odd, point(value=5)._replace(start_ns=2**64 - 1))
    assert sorted(MetricSeries.objects.values_list("temporality", flat=True)) == [0, 2]


# --- once, and bounded ------------------------------------------------------------------------


def test_a_batch_sent_again_is_added_once() -> None:
    points = [point(value=5, temporality=1), point("free", 3.0, kind="gauge")]
    assert store(*points) == (2, 0)
    assert store(*points) == (0, 2)
    forget_all()
    assert store(*points) == (0, 2)
    assert sorted(MetricRollup.objects.values_list("points", flat=True)) == [1, 1]


def test_a_batch_sent_by_many_at_one_moment_is_added_once() -> None:
    points = [point(value=5, temporality=1), histogram([1, 1, 1, 1], 4.0, temporality=1)]
    results = together(*[lambda: store(*points)] * 4)
    assert sorted(results) == [(0, 2), (0, 2), (0, 2), (2, 0)]
    assert sorted(MetricRollup.objects.values_list("points", flat=True)) == [1, 1]


def test_instances_that_write_at_one_moment_lose_nothing() -> None:
    def export(number: int) -> None:
        source = resource(instance=f"planner-{number}")
        for second in range(10):
            at = NOW.replace(second=0) + timedelta(seconds=second)
            store(histogram([1, 0, 0, 1], 3.0, temporality=1, source=source, at=at))

    together(*[lambda n=n: export(n) for n in range(3)])
    assert rollup().count == 60
    assert rollup().distribution == {"bounds": BOUNDS, "counts": [30, 0, 0, 30]}


@pytest.fixture
def room_for_three(store: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, limit, condition in (("catalogue", 3, "NOT overflow"), ("overflow", 2, "overflow")):
        catalogue = Catalogue("analytics_metricseries", metric_series._COLUMNS, limit, condition)
        monkeypatch.setattr(metric_series.memory, name, catalogue)


@pytest.mark.usefixtures("room_for_three")
def test_series_beyond_the_limit_are_added_up_as_overflow_and_said() -> None:
    points = [point(value=2, temporality=1, attributes={"user": n}) for n in range(10)]
    result = store_metrics(batch(*points), received_at=datetime.now(UTC))
    assert (result.stored, len(result.rejections)) == (10, 1)
    count, reason = result.rejections[0]
    assert count == 0
    assert "7 series of service planner" in reason
    assert "otel.metric.overflow" in reason
    overflow = MetricSeries.objects.get(overflow=True)
    assert overflow.attributes == {"otel.metric.overflow": True}
    assert MetricRollup.objects.get(series_id=overflow.id).increase == 14
    assert MetricSeries.objects.count() == 4


@pytest.mark.usefixtures("room_for_three")
def test_even_endless_names_fill_a_bounded_number_of_series() -> None:
    points = [point(f"metric.{n}", n, kind="gauge") for n in range(20)]
    store_metrics(batch(*points), received_at=datetime.now(UTC))
    assert MetricSeries.objects.count() == 3 + 2 + 1
    last = MetricSeries.objects.get(kind="overflow")
    assert MetricRollup.objects.get(series_id=last.id).points == 15


@pytest.mark.usefixtures("room_for_three")
def test_running_totals_without_room_keep_no_state() -> None:
    points = [
        point(value=2, start=NOW - timedelta(days=1), attributes={"user": n}) for n in range(10)
    ]
    store_metrics(batch(*points), received_at=datetime.now(UTC))
    assert MetricStream.objects.count() == 3


def test_points_past_retention_or_far_ahead_are_refused_one_by_one() -> None:
    ahead = datetime.now(UTC) + timedelta(minutes=11)
    result = store_metrics(
        batch(
            point(value=1, at=NOW - timedelta(days=31)), point(value=1, at=ahead), point(value=1)
        ),
        received_at=datetime.now(UTC),
    )
    assert (result.stored, [r.count for r in result.rejections]) == (1, [1, 1])


def test_odd_attributes_make_one_series_whatever_their_order() -> None:
    store(point(value=1, attributes={"b": "x\0y", "a": [1, None]}, temporality=1))
    store(point(value=1, attributes={"a": [1, None], "b": "x\0y"}, temporality=1, at=NOW + MINUTE))
    assert series_list(service="planner", name="requests").get().attributes == {
        "a": [1, None],
        "b": "xy",
    }


# --- hours ------------------------------------------------------------------------------------


def test_hours_sum_up_minutes_and_follow_late_points() -> None:
    hour = NOW.replace(minute=0, second=0) - timedelta(hours=1)
    for minute in range(3):
        at = hour + timedelta(minutes=minute)
        store(
            point(value=5, temporality=1, at=at),
            point("free", minute, kind="gauge", at=at),
            histogram([1, 0, minute, 0], 2.0, temporality=1, at=at),
        )
    assert metric_hours_sum(now=datetime.now(UTC)) == 3
    names = dict(MetricSeries.objects.values_list("name", "id"))
    by_name = {
        name: MetricRollupHour.objects.get(series_id=series) for name, series in names.items()
    }
    assert by_name["requests"].increase == 15
    free = by_name["free"]
    assert (free.minimum, free.maximum, free.last, free.points) == (0, 2, 2, 3)
    assert (by_name["duration"].count, by_name["duration"].total) == (6, 6.0)
    assert by_name["duration"].distribution == {"bounds": BOUNDS, "counts": [3, 0, 3, 0]}

    store(point(value=1, temporality=1, at=hour + timedelta(minutes=30)))
    metric_hours_sum(now=datetime.now(UTC))
    row = MetricRollupHour.objects.get(series_id=names["requests"])
    assert (row.increase, row.points, row.hour) == (16, 4, hour)


def test_points_are_read_from_hours_once_the_minutes_are_gone() -> None:
    old = NOW.replace(minute=0, second=0) - timedelta(days=10)
    store(
        histogram([0, 8, 0, 0], 4.0, temporality=1, at=old),
        histogram([0, 0, 8, 0], 40.0, temporality=1, at=old + timedelta(minutes=9)),
    )
    now = datetime.now(UTC)
    metric_hours_sum(now=now)
    assert any(METRIC_ROLLUPS.table in name for name in partitions.drop_expired(now))
    assert not MetricRollup.objects.exists()
    series = MetricSeries.objects.get()
    (only,) = series_points([series.id], TimeRange(old, old + timedelta(hours=1)), MINUTE, now=now)
    assert (only.at, only.seconds, only.count, only.mean) == (old, 3600, 16, 44 / 16)
    assert only.quantile(0.5) == pytest.approx(1.0)
    assert only.rate is None


def test_what_comes_after_its_minutes_were_dropped_does_not_take_the_place_of_its_hour() -> None:
    old = NOW - timedelta(days=9)
    store(point(value=1.0, at=old), point(value=3.0, at=old + timedelta(seconds=1)))
    metric_hours_sum(now=old + timedelta(hours=1))
    assert MetricRollupHour.objects.get().points == 2
    MetricRollup.objects.all().delete()
    store(point(value=9.0, at=old + timedelta(seconds=2)))
    metric_hours_sum(now=NOW)
    assert MetricRollupHour.objects.get().points == 2
