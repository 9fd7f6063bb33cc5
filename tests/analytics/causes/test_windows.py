"""How much is read of a window, whatever its length."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from analytics.domain.fingerprints import MESSAGE_RULE
from analytics.models import ErrorPattern, MetricSeries
from analytics.models.partitions import METRIC_ROLLUPS
from analytics.selectors import cause_windows, causes
from resilience_site.core import partitions
from resilience_site.core.timerange import TimeRange
from tests.analytics.figures.history import write_calls, write_errors

pytestmark = pytest.mark.usefixtures("store")
NOW = datetime.now(UTC).replace(second=0, microsecond=0)
HOUR = TimeRange(NOW - timedelta(hours=1), NOW)


def gauge(service: str, name: str) -> None:
    """A gauge that stood at the number of each minute of the hour."""
    series = MetricSeries.objects.create(
        id=uuid4(),
        service=service,
        scope="",
        name=name,
        unit="1",
        kind="gauge",
        temporality=0,
        monotonic=False,
        attributes={},
        first_seen=NOW,
        last_seen=NOW.date(),
    )
    partitions.ensure(METRIC_ROLLUPS, HOUR.since, HOUR.until)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO analytics_metricrollup "
            "(minute, series_id, points, count, total, last, resets, changed_at) "
            "SELECT %s::timestamptz + n * interval '1 minute', %s, 1, 1, n, n, 0, %s "
            "FROM generate_series(0, 59) AS n",
            [HOUR.since, series.id, NOW],
        )


def test_a_long_window_is_read_in_steps_that_keep_the_peaks_of_resources(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gauge("planner", "process.memory.usage")
    write_calls("planner", HOUR.since, HOUR.until, lambda _: (100, 5, 20.0))
    by_minute = cause_windows.window_read(HOUR).window.series
    assert len(by_minute["planner", "process.memory.usage"]) == 60
    monkeypatch.setattr(cause_windows, "MOST_POINTS", 6)
    in_steps = cause_windows.window_read(HOUR).window.series
    began = HOUR.since.timestamp()
    assert list(in_steps["planner", "process.memory.usage"]) == [
        (began + 600 * n, 10.0 * n + 9) for n in range(6)
    ]
    # Figures of calls are those of the mean minute.
    assert [value for _, value in in_steps["planner", "requests"]] == [100.0] * 6
    assert [value for _, value in in_steps["planner", "error_rate"]] == [0.05] * 6


def stored(type_: str, now: int, before: int = 0) -> None:
    """A pattern with so many errors in the hour and in the one before it."""
    pattern = ErrorPattern.objects.create(
        id=uuid4(), service="shop", type=type_, template="no answer", rule=MESSAGE_RULE, version=1,
        count=1, first_seen=NOW, last_seen=NOW, last_error_id=uuid4(),
    )  # fmt: skip
    at = HOUR.since + timedelta(minutes=5)
    counts = [(at, now), (at - timedelta(hours=1), before)]
    write_errors("shop", pattern.id, [each for each in counts if each[1]])


def test_the_patterns_with_the_most_errors_are_weighed_against_what_they_normally_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored("BusyError", 90, 90)
    # The same words by another way through the code, and what did not happen in the window.
    stored("BusyError", 0, 1)
    stored("NewError", 50)
    stored("RareError", 1)
    stored("FormerError", 0, 500)
    monkeypatch.setattr(cause_windows, "MOST_FAILURES", 2)
    now = cause_windows.window_read(HOUR)
    assert now.window.failures == {
        ("shop", "BusyError: no answer"): 90,
        ("shop", "NewError: no answer"): 50,
    }
    assert now.failures_cut
    baseline = causes.baseline_of(HOUR)
    then = cause_windows.window_read(baseline, now.patterns)
    assert then.window.failures == {("shop", "BusyError: no answer"): 91}
    found = causes.root_cause(HOUR, baseline)
    assert [each.text for each in found.items[0].evidence if each.kind == "stored_errors"] == [
        '50 stored errors "NewError: no answer" in 60 min, normally 0 in 60 min'
    ]
    assert "patterns with the most of them in the window; the others were not" in found.folded
    monkeypatch.setattr(cause_windows, "MOST_FAILURES", 3)
    assert causes.root_cause(HOUR, baseline).folded == ""


def test_what_takes_too_long_to_read_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, viewer: Client
) -> None:
    monkeypatch.setattr(cause_windows, "_LINES", "SELECT pg_sleep(5)")
    monkeypatch.setattr(cause_windows, "_TIMEOUT_MS", 1_000)
    answer = viewer.get("/api/v1/root-cause")
    assert answer.status_code == 422
    assert "took longer than 1 s: choose a shorter one" in answer.json()["detail"]
    page = viewer.get("/root-cause")
    assert page.status_code == 400
    assert "choose a shorter one" in page.content.decode()


@pytest.mark.parametrize("path", ["/root-cause", "/trends", "/report", "/charts/errors.json"])
def test_a_range_at_the_end_of_time_is_a_bad_question(viewer: Client, path: str) -> None:
    for question in (
        "until=9999-12-31T23:59:59Z",
        "since=0001-01-01T00:00:00Z&until=0001-01-01T00:30:00Z",
    ):
        assert viewer.get(f"{path}?{question}").status_code == 400
