"""Figures over time: the same from hours as from minutes, with gaps where nothing was seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection

from analytics.models import CallRollupHour, ErrorRollupHour
from analytics.selectors.rollups import operation_figures, service_figures
from analytics.selectors.series import METRICS, active_services, series_read
from analytics.services.call_hours import call_hours_sum
from resilience_site.core.problems import Invalid
from resilience_site.core.timerange import TimeRange
from tests.analytics.figures.history import MINUTE, write_calls, write_errors

pytestmark = pytest.mark.usefixtures("store")

NOW = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
HOUR = timedelta(hours=1)
DAY = TimeRange(NOW - timedelta(days=1), NOW)
# Whole within the day, whenever that ends.
SILENT = (NOW - 12 * HOUR).hour


def history() -> None:
    for service, calls in (("planner", 10), ("graph", 30)):
        write_calls(
            service, DAY.since, DAY.until,
            lambda at, calls=calls: (
                None if at.hour == SILENT else (calls, calls // 10, 20.0 + at.hour)
            ),
            every=5 * MINUTE,
        )  # fmt: skip
    write_errors("planner", uuid4(), [(NOW - n * HOUR, n) for n in range(1, 20)])


def values(metric: str, service: str, step: timedelta) -> list[float | None]:
    found = series_read(metric, DAY, now=NOW, service=service, step=step)
    return [None if p.value is None else round(p.value, 9) for p in found.points]


@pytest.mark.parametrize("service", ["planner", "graph", ""])
@pytest.mark.parametrize("metric", sorted(METRICS))
def test_hours_say_what_their_minutes_say(metric: str, service: str) -> None:
    history()
    before = values(metric, service, HOUR)
    assert any(value is not None for value in before) or (metric, service) == ("errors", "graph")
    assert call_hours_sum(now=NOW) > 0
    with connection.cursor() as cursor:
        # Long ranges outlive the minutes: without those of settled hours nothing changes.
        for table in ("callrollup", "errorrollup"):
            cursor.execute(
                f"DELETE FROM analytics_{table} WHERE minute < %s",
                [(NOW - 2 * HOUR).replace(minute=0)],
            )
    after = values(metric, service, HOUR)
    # The first hour of the range is there from its middle only; its hour is whole.
    assert after[1:] == before[1:]


def test_a_range_of_hours_and_the_minutes_at_its_ends_adds_up_to_its_minutes() -> None:
    history()
    within = TimeRange(DAY.since + 17 * MINUTE, NOW - 3 * MINUTE)
    before = service_figures(within)
    call_hours_sum(now=NOW)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE analytics_callrollup SET calls = 0 WHERE minute >= %s AND minute < %s",
            [NOW - 20 * HOUR, NOW - 10 * HOUR],
        )
    assert service_figures(within) == before
    assert before["graph"].calls == 3 * before["planner"].calls > 0
    assert operation_figures("planner", within) == {}


def test_what_arrives_late_is_summed_up_again_and_the_rest_left_alone() -> None:
    history()
    # Minutes note by the real clock when they changed.
    call_hours_sum(now=datetime.now(UTC))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE analytics_callrollup SET changed_at = changed_at - interval '1 day'")
        cursor.execute(
            "UPDATE analytics_errorrollup SET changed_at = changed_at - interval '1 day'"
        )
    assert call_hours_sum(now=datetime.now(UTC)) == 0
    late = (NOW - 10 * HOUR).replace(minute=7)
    write_errors("planner", uuid4(), [(late, 5)])
    assert call_hours_sum(now=datetime.now(UTC)) == 1
    hour = late.replace(minute=0)
    assert sum(ErrorRollupHour.objects.filter(hour=hour).values_list("errors", flat=True)) == 15
    assert CallRollupHour.objects.filter(hour=hour, service="").get().calls == 12 * 40


def test_no_calls_are_a_gap_and_no_errors_are_none() -> None:
    history()
    assert values("error_rate", "planner", HOUR).count(None) == 1
    assert values("error_rate", "nobody", HOUR) == [None] * 25
    assert None not in values("errors", "planner", HOUR)


def test_a_rate_of_the_running_step_is_over_what_has_passed() -> None:
    write_calls("planner", NOW - HOUR, NOW, lambda at: (60, 0, 1.0))
    assert values("traffic", "planner", HOUR)[-2:] == [0.5, 1.0]


def test_a_metric_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(Invalid, match="latency_p95"):
        series_read("luck", DAY, now=NOW)


def test_services_with_figures_are_named_once() -> None:
    history()
    assert active_services(DAY) == ["graph", "planner"]
