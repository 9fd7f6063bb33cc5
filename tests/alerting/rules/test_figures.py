"""Rules over figures and burn rates: what they compare, and that a trial is what live made."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.domain.rules.conditions import FigureCondition, condition_read
from alerting.domain.rules.windows import Sums, Windows, baseline_ends
from alerting.models import Alert, AlertRule
from alerting.selectors.rule_figures import readings_within
from alerting.services.rules.form import form_check, form_read
from alerting.services.rules.shipped import rules_ship
from tests.alerting.rules.history import START, alerts_live, alerts_tried, at, live, only
from tests.alerting.rules.late_history import chains_seen
from tests.analytics.slos.scenes import calls, known, slo

pytestmark = pytest.mark.django_db
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def shipped() -> Iterator[None]:
    rules_ship(now=at(-10))
    yield
    assert not AlertRule.objects.exclude(fault="").exists()


def chains(count: int, moment: datetime, service: str = "graph") -> None:
    """So many chains that began at a moment."""
    chains_seen(moment, moment, service, count)


def figure(**fields: Any) -> FigureCondition:
    found = condition_read({"type": "figure", "metric": "error_rate", "threshold": 0.1, **fields})
    assert isinstance(found, FigureCondition)
    return found


def held(condition: FigureCondition, minutes: int) -> list[int]:
    """The minutes after START at whose end the condition holds."""
    found = readings_within(condition, START, START + minutes * MINUTE)
    return [int((moment - START) / MINUTE) for moment, readings in found if readings]


def test_a_ratio_is_that_of_the_whole_window_and_needs_enough_calls() -> None:
    failed = {3: 30, 4: 30}
    calls("planner", START, at(1200), lambda moment: (100, failed.get(minute(moment), 0)))
    assert held(figure(window_seconds=120), 20) == [4, 5, 6]
    assert held(figure(window_seconds=300), 20) == [5, 6, 7, 8]
    assert held(figure(window_seconds=120, minimum=201), 20) == []
    assert held(figure(window_seconds=120, services=["other"]), 20) == []


def test_other_figures_can_be_compared_too() -> None:
    calls("planner", START, at(600), lambda moment: (20, 0), slow=10, slow_ms=4000)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE analytics_callrollup SET duration_max_ns = 4000000000")
    slow = figure(metric="latency_p95", threshold=2000, window_seconds=60)
    assert held(slow, 10) == list(range(1, 11))
    many = figure(metric="calls", threshold=90, window_seconds=300, each="site")
    assert held(many, 12) == [5, 6, 7, 8, 9, 10]
    few = figure(metric="calls", op="<", threshold=10, window_seconds=60, each="site")
    assert held(few, 12) == [11, 12]


def test_chains_are_a_spike_from_ten_on_and_three_times_the_same_hour_before(
    shipped: None,
) -> None:
    rule = AlertRule.objects.get(name="error_correlation_spike")
    condition = condition_read(rule.condition)
    assert isinstance(condition, FigureCondition)
    chains(9, at(90))
    assert held(condition, 10) == []
    chains(1, at(90))
    assert held(condition, 10) == [2, 3, 4, 5, 6]
    # Four in each five minutes of this hour, on each of the days before: twelve are needed.
    for day in range(1, 8):
        for slot in range(12):
            chains(4, START - day * DAY + slot * 5 * MINUTE)
    assert held(condition, 10) == []
    chains(2, at(150), "redis")
    (_, readings), *_ = [each for each in readings_within(condition, START, at(600)) if each[1]]
    assert readings[0].facts["value"] == 12
    assert (readings[0].facts["threshold"], readings[0].facts["median"]) == (12, 4)
    assert readings[0].facts["culprit"] == "graph"


def test_windows_of_the_same_hour_lie_within_it() -> None:
    condition = figure(baseline={"ratio": 3, "days": 2}, window_seconds=300)
    ends = baseline_ends(condition, START + 60 * MINUTE)
    assert len(ends) == 24
    assert min(ends) == START - 2 * DAY + 5 * MINUTE
    assert max(ends) == START - DAY + 60 * MINUTE


def test_a_figure_rule_tried_is_what_it_was_live(shipped: None) -> None:
    form = form_read(
        {
            "name": "failing",
            "title": "Calls fail",
            "severity": "page",
            "condition": {"type": "figure", "metric": "error_rate", "threshold": 0.2},
            "for_seconds": 120,
            "keep_firing_seconds": 60,
            "summary": "{{ facts.value|percent }} of {{ facts.count }} calls fail",
        }
    )
    form_check(form)
    AlertRule.objects.create(**form.fields(), created_at=at(0), changed_at=at(0))
    only("failing", "error_correlation_spike")
    bad = {5, 6, 7, 8, 20, 30, 31, 32, 33, 34, 35, 36}
    for minutes in range(60):
        calls(
            "planner", at(minutes * 60), at(minutes * 60 + 60),
            lambda moment: (100, 90 if minute(moment) in bad else 1),
        )  # fmt: skip
        if minutes % 2:
            live([minutes * 60 + 125, minutes * 60 + 165])
    live([4000])
    made = alerts_live("failing", 3800)
    assert len(made) == 2
    assert alerts_tried("failing", 0, 3800, 4000) == made
    first = Alert.objects.filter(rule_name="failing").earliest("fired_at")
    assert first.annotations["summary"].endswith("% of 500 calls fail")
    assert first.state == "resolved"


def test_burning_budgets_are_alerts_by_row_and_a_trial_says_the_same(shipped: None) -> None:
    only("slo_burn_fast", "slo_burn", "slo_burn_slow")
    known("planner")
    slo("planner")
    calls("planner", at(0) - 2 * DAY, at(0), lambda moment: (1000, 0), every=60 * MINUTE)
    live([120])
    outage = range(10, 25)
    calls("planner", at(0), at(7200), lambda moment: (100, 100 if minute(moment) in outage else 0))
    live(range(180, 7200, 300))
    made = alerts_live("slo_burn_fast", 7000)
    assert len(made) == 1
    assert alerts_tried("slo_burn_fast", 0, 7000, 7200) == made
    alert = Alert.objects.get(rule_name="slo_burn_fast")
    assert (alert.severity, alert.state) == ("page", "resolved")
    assert alert.labels["kind"] == "availability"
    # Those of one outage are told apart by the time over which it is so.
    burning = Alert.objects.get(rule_name="slo_burn", fired_at__isnull=False)
    for each, window in ((alert, "1 h"), (burning, "6 h")):
        assert "burns its availability budget " in each.annotations["summary"]
        assert each.annotations["summary"].endswith(f" times too fast over {window}")
    assert alert.annotations["details"].startswith("At 14.4 or faster")


def minute(moment: datetime) -> int:
    return int((moment - START) / MINUTE)


@given(
    width=st.integers(1, 1_440),
    ends=st.lists(st.integers(1, 1_500), min_size=1, max_size=4),
    at=st.sets(st.integers(0, 1_500), max_size=60),
)
@settings(max_examples=40)
def test_a_window_is_all_of_its_minutes_however_many_hours_it_spans(
    width: int, ends: list[int], at: set[int]
) -> None:
    minutes = {START + n * MINUTE: Sums(n, 1, n, (n, 1), {f"s{n % 3}": n}) for n in at}
    windows = Windows(minutes, width * MINUTE)
    for end in ends:
        found = windows.sums(START + end * MINUTE)
        within = [n for n in at if end - width <= n < end]
        assert (found.calls, found.errors) == (sum(within), len(within))
        assert windows.counts(START + end * MINUTE) == (sum(within), len(within))
        assert found.longest_ns == max(within, default=0)
        assert found.buckets == ((sum(within), len(within)) if within else ())
        assert sum(found.by_service.values()) == sum(within)
