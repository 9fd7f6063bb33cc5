from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from health.domain import latency, score
from health.domain.availability import Availability
from health.domain.reliability import Failure, FailurePolicy, joined, reliability
from health.domain.score import CheckNow, ServiceNow

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def failure(start: float, end: float | None, held_by: str = "") -> Failure:
    """Minutes after noon."""
    ended = None if end is None else NOON + timedelta(minutes=end)
    return Failure(NOON + timedelta(minutes=start), ended, held_by)


def test_mttr_is_the_mean_length_of_what_ended_and_mtbf_the_good_time_per_failure() -> None:
    found = reliability(
        [failure(-10, 10), failure(60, 70), failure(90, None), failure(-50, -40)],
        NOON, NOON + DAY, good_seconds=80_000,
    )  # fmt: skip
    assert (found.mttr, found.repaired) == (900, 2)
    assert (found.mtbf, found.failures) == (40_000, 2)


def test_without_failures_there_is_neither() -> None:
    found = reliability([], NOON, NOON + DAY, good_seconds=86_400)
    assert (found.mttr, found.mtbf, found.repaired, found.failures) == (None, None, 0, 0)


def test_what_is_explained_or_planned_does_not_count_unless_the_policy_says_so() -> None:
    failures = [
        failure(0, 10, held_by)
        for held_by in ("unreachable", "maintenance", "flapping", "recovered")
    ]
    assert reliability(failures, NOON, NOON + DAY, 1.0).failures == 2
    everything = FailurePolicy(frozenset())
    assert reliability(failures, NOON, NOON + DAY, 1.0, everything).failures == 4


def test_failures_of_several_checks_at_once_are_one_of_their_service() -> None:
    assert joined(
        [
            failure(20, 25),
            failure(0, 10),
            failure(5, 15),
            failure(15, 18),
            failure(21, None),
            failure(30, 31),
        ]
    ) == [
        failure(0, 18),
        failure(20, None),
    ]
    assert joined([failure(0, None), failure(1, 2, "unreachable"), failure(3, 4)]) == [
        failure(0, None)
    ]


latencies = st.floats(min_value=0.01, max_value=400_000)


@settings(deadline=None)
@given(st.lists(latencies, min_size=1, max_size=200), st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_within_its_stated_error(values: list[float], share: float) -> None:
    counts: dict[int, int] = {}
    for value in values:
        counts[latency.bucket(value)] = counts.get(latency.bucket(value), 0) + 1
    exact = sorted(values)[max(1, math.ceil(share * len(values) - 1e-9)) - 1]
    assert latency.percentile_ms(counts, share) == pytest.approx(exact, rel=latency.RELATIVE_ERROR)


@settings(deadline=None)
@given(st.lists(st.lists(latencies)))
def test_added_histograms_are_the_histogram_of_all(parts: list[list[float]]) -> None:
    def histogram(values: list[float]) -> dict[int, int]:
        counts: dict[int, int] = {}
        for value in values:
            counts[latency.bucket(value)] = counts.get(latency.bucket(value), 0) + 1
        return counts

    assert latency.merged(map(histogram, parts)) == histogram([v for part in parts for v in part])


def test_there_is_no_percentile_of_nothing_and_extremes_have_a_bucket() -> None:
    assert latency.percentile_ms({}, 0.5) is None
    assert latency.bucket(0) == latency.bucket(-1) == 0
    assert latency.bucket(1e12) == latency.LAST


def check(name: str, state: str, critical: bool = True) -> CheckNow:
    return CheckNow(name, state, critical)


@pytest.mark.parametrize(
    ("checks", "state"),
    [
        ([], "unknown"),
        ([check("a", "up"), check("b", "up")], "up"),
        ([check("a", "up"), check("b", "unknown")], "up"),
        ([check("a", "unknown")], "unknown"),
        ([check("a", "maintenance"), check("b", "maintenance", False)], "maintenance"),
        ([check("a", "maintenance"), check("b", "up")], "up"),
        ([check("a", "maintenance"), check("b", "unknown")], "unknown"),
        ([check("a", "down"), check("b", "unreachable")], "down"),
        ([check("a", "unreachable"), check("b", "up")], "unreachable"),
        ([check("a", "up"), check("b", "down", False)], "degraded"),
        ([check("a", "degraded"), check("b", "up")], "degraded"),
    ],
)  # fmt: skip
def test_the_state_of_a_service_is_its_worst_trouble(checks: list[CheckNow], state: str) -> None:
    assert score.service_state(checks) == state


GOOD = Availability(good=86_400, bad=0, excluded=0)


def test_every_point_that_a_service_loses_is_explained() -> None:
    recent = Availability(good=86_400 - 345.6, bad=345.6, excluded=0)
    found = score.service_score(
        [check("pg", "down"), check("api", "unreachable"), check("disk", "degraded", False), check("tls", "up")],
        recent, 0.999,
    )  # fmt: skip
    assert found.value == 100 - 60 - 5 - 20
    assert [(each.points, each.reason) for each in found.deductions] == [
        (60, "critical check pg is down, and 1 more critical check in trouble"),
        (5, "check disk is degraded"),
        (20, "99.600 % available in the last 24 h, 4.0 times the error budget of 99.900 %"),
    ]


def test_a_healthy_service_has_all_points_and_an_unknown_one_no_score() -> None:
    assert score.service_score([check("a", "up")], GOOD, 0.999) == score.Score(100)
    assert score.service_score([check("a", "up")], None, 0.999) == score.Score(100)
    assert score.service_score([], GOOD, 0.999) == score.Score(None)
    assert score.service_score([check("a", "unknown")], GOOD, 0.999) == score.Score(None)


@settings(deadline=None)
@given(
    st.lists(
        st.builds(CheckNow, st.text(max_size=3), st.sampled_from(score.SEVERITY), st.booleans())
    ),
    st.floats(0, 86_400),
)
def test_a_score_stays_in_bounds_and_is_what_its_deductions_leave(
    checks: list[CheckNow], bad: float
) -> None:
    found = score.service_score(checks, Availability(86_400 - bad, bad, 0), 0.999)
    if found.value is not None:
        assert found.value == max(0, 100 - sum(each.points for each in found.deductions))


def test_what_weighs_more_counts_more_and_a_mean_hides_no_failure() -> None:
    fine = [ServiceNow(f"s{n}", "low", "up", 100) for n in range(20)]
    low = score.overall_score([*fine, ServiceNow("x", "low", "down", 40)])
    assert low.value == 97
    weighty = score.overall_score([*fine, ServiceNow("x", "high", "down", 40)])
    assert weighty.value == 59
    assert weighty.deductions[-1].reason == "at most 59 while x (high) is down"
    assert score.overall_score([ServiceNow("x", "", "unknown", None)]) == score.Score(None)


@pytest.mark.parametrize(
    ("services", "state"),
    [
        ([], "unknown"),
        ([("", "unknown")], "unknown"),
        ([("", "up"), ("", "unknown")], "up"),
        ([("", "down"), ("", "up")], "degraded"),
        ([("", "down")], "down"),
        ([("critical", "unreachable"), ("", "up")], "down"),
        ([("critical", "degraded"), ("", "up")], "degraded"),
        ([("", "maintenance"), ("", "up")], "up"),
        ([("", "maintenance"), ("", "maintenance")], "maintenance"),
    ],
)
def test_the_state_of_the_whole(services: list[tuple[str, str]], state: str) -> None:
    found = [ServiceNow("x", criticality, state, 1) for criticality, state in services]
    assert score.overall_state(found) == state
