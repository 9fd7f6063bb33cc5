"""Burn rates and budgets against a model that looks at every single second."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.domain.slos.budgets import days_until_gone, spending
from analytics.domain.slos.burning import NONE, Windows, burning, held_rows
from analytics.domain.slos.objectives import (
    CHECKS,
    HOUR,
    LATENCY,
    MILLION,
    PAGE,
    TABLE,
    TICKET,
    TRACES,
    WINDOWS,
    Count,
    Objective,
)

AT = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)
THREE_DAYS = WINDOWS[-1]
OBJECTIVES = st.sampled_from([0.5, 0.9, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999])


def objective(**fields: object) -> Objective:
    given: dict[str, object] = {
        "kind": "availability", "source": TRACES, "objective": 0.999, "window_days": 30,
        "min_bad": 10,
    }  # fmt: skip
    return Objective(**given | fields)  # type: ignore[arg-type]


def windows(counts: dict[int, tuple[int, int]]) -> Windows:
    found = [counts.get(window, (0, 0)) for window in WINDOWS]
    return Windows(AT, tuple(bad for bad, _ in found), tuple(total for _, total in found))


class Seconds:
    """The model: of each second of three days whether time was counted in it and whether it was
    bad, and nothing but sums over slices of that."""

    def __init__(self, stretches: list[tuple[int, str]]) -> None:
        bad = bytearray(THREE_DAYS)
        counted = bytearray(THREE_DAYS)
        at = THREE_DAYS
        for length, state in stretches:
            first = max(0, at - length)
            counted[first:at] = bytes([state != "unknown"]) * (at - first)
            bad[first:at] = bytes([state == "down"]) * (at - first)
            at = first
        counted[:at] = bytes([1]) * at
        self.bad, self.counted = bad, counted

    def of(self, window: int) -> tuple[int, int]:
        first = THREE_DAYS - window
        return self.bad.count(1, first), self.counted.count(1, first)

    def windows(self) -> Windows:
        return windows(
            {
                each: (bad * MILLION, total * MILLION)
                for each in WINDOWS
                for bad, total in [self.of(each)]
            }
        )

    def burn(self, target: float, window: int) -> Fraction | None:
        bad, total = self.of(window)
        return Fraction(bad, total) / (1 - Fraction(str(target))) if total else None


@given(
    st.lists(
        st.tuples(st.integers(1, 9_000), st.sampled_from(["up", "down", "down", "unknown"])),
        max_size=12,
    ),
    OBJECTIVES,
    st.integers(7, 90),
    st.integers(0, 300),
)
def test_rows_hold_exactly_where_a_model_of_seconds_says_so(
    stretches: list[tuple[int, str]], target: float, days: int, least: int
) -> None:
    model = Seconds(stretches)
    terms = objective(source=CHECKS, objective=target, window_days=days, min_bad=least)
    found = burning(terms, model.windows())
    for row, told in zip(TABLE, found, strict=True):
        # Of the budget, this share goes within the long window; never less than evenly.
        rate = max(Fraction(1), Fraction(row.percent, 100) * days * 86_400 / row.long)
        burns = [model.burn(target, each) for each in (row.long, row.short)]
        over = all(burn is not None and burn >= rate for burn in burns)
        enough = model.of(row.long)[0] >= max(1, least)
        assert (told.over, told.guard, told.holds) == (over, enough, over and enough)
        assert told.threshold == pytest.approx(float(rate))
        for window, burn in zip((told.long, told.short), burns, strict=True):
            assert window.burn == (None if burn is None else pytest.approx(float(burn)))
    held = [row for row, told in zip(TABLE, found, strict=True) if told.holds]
    assert held_rows(terms, model.windows()) == held


@given(
    st.lists(st.tuples(st.integers(0, THREE_DAYS - 1), st.booleans()), max_size=300),
    OBJECTIVES,
    st.integers(7, 90),
    st.integers(0, 9),
)
def test_rows_of_runs_hold_exactly_where_a_model_of_single_runs_says_so(
    runs: list[tuple[int, bool]], target: float, days: int, least: int
) -> None:
    terms = objective(
        kind=LATENCY, source=CHECKS, objective=target, window_days=days, min_bad=least,
        threshold_ms=300.0,
    )  # fmt: skip

    def within(window: int) -> list[bool]:
        return [slow for ago, slow in runs if ago < window]

    counted = {each: (sum(within(each)), len(within(each))) for each in WINDOWS}
    found = burning(terms, windows(counted))
    for row, told in zip(TABLE, found, strict=True):
        rate = max(Fraction(1), Fraction(row.percent, 100) * days * 86_400 / row.long)
        of_both = [within(each) for each in (row.long, row.short)]
        over = all(
            of and Fraction(sum(of), len(of)) >= rate * (1 - Fraction(str(target)))
            for of in of_both
        )
        enough = sum(of_both[0]) >= max(1, least)
        assert (told.over, told.guard, told.holds) == (over, enough, over and enough)
        assert (told.long.bad, told.long.total) == counted[row.long]
        if not of_both[1] and told.reachable:
            assert "Not enough data: no runs in the last" in told.words
    held = [row for row, told in zip(TABLE, found, strict=True) if told.holds]
    assert held_rows(terms, windows(counted)) == held


def test_two_slow_runs_call_nobody_and_a_slowdown_does() -> None:
    terms = objective(kind=LATENCY, source=CHECKS, min_bad=3, threshold_ms=300.0)
    # A run each 30 s: two of an hour's 120, and of the last five minutes' ten, are 16.7 times too many.
    hiccup = dict.fromkeys(WINDOWS, (2, 120)) | {300: (2, 10)}
    found = burning(terms, windows(hiccup))
    assert (found[0].over, found[0].guard, found[0].holds) == (True, False, False)
    assert found[0].words == (
        "At 14.4 or faster, but held back: 2 runs too slow in the last 1 h, and 3 runs are needed. "
        "Burns at 16.7 (1.67 %: 2 of 120 runs too slow, last 1 h) and burns at 200 (20 %: 2 of "
        "10 runs too slow, last 5 min)."
    )
    assert burning(terms, windows(hiccup | {3_600: (3, 120)}))[0].holds


def test_a_budget_of_less_than_one_run_tells_nothing() -> None:
    terms = objective(kind=LATENCY, source=CHECKS, threshold_ms=300.0)
    found = spending(terms, Count(1, 999))
    assert (found.enough, found.left, found.gone) == (False, None, False)
    found = spending(terms, Count(1, 4_000))
    assert (found.enough, found.left, found.bad) == (True, pytest.approx(0.75), 1)


def test_the_table_of_30_days_is_that_of_the_workbook() -> None:
    assert [(row.severity, row.rate(30), row.long, row.short) for row in TABLE] == [
        (PAGE, 14.4, HOUR, 300), (PAGE, 6.0, 6 * HOUR, 1_800), (TICKET, 1.0, 72 * HOUR, 6 * HOUR),
    ]  # fmt: skip
    assert [row.rate(7) for row in TABLE] == pytest.approx([3.36, 1.4, 1.0])
    assert [row.rate(90) for row in TABLE] == pytest.approx([43.2, 18.0, 3.0])


@pytest.mark.parametrize(("row", "seconds"), [(0, 52), (1, 130), (2, 260)])
def test_a_whole_outage_is_found_as_soon_as_the_workbook_says(row: int, seconds: int) -> None:
    terms = objective(source=CHECKS, min_bad=0)
    over = [
        burning(terms, Seconds([(after, "down")]).windows())[row].over
        for after in (seconds - 1, seconds)
    ]
    assert over == [False, True]


def test_a_burn_exactly_at_the_threshold_holds_and_one_failure_less_does_not() -> None:
    # 14.4 × 0.1 % of 10,000 calls.
    at = windows(dict.fromkeys(WINDOWS, (144, 10000)))
    below = windows(dict.fromkeys(WINDOWS, (143, 10000)))
    assert burning(objective(), at)[0].holds
    assert not burning(objective(), below)[0].holds


def test_two_failed_probes_in_30_seconds_call_nobody() -> None:
    # Each holds until the next one: a minute of the hour, and 16.7 times the budget.
    found = burning(objective(source=CHECKS, min_bad=90), Seconds([(60, "down")]).windows())
    assert (found[0].over, found[0].guard, found[0].holds) == (True, False, False)
    assert found[0].words == (
        "At 14.4 or faster, but held back: 1 min down in the last 1 h, and 1 min 30 s are needed. "
        "Burns at 16.7 (1.67 %: 1 min of 1 h down, last 1 h) and burns at 200 (20 %: 1 min of "
        "5 min down, last 5 min)."
    )
    assert burning(objective(source=CHECKS, min_bad=90), Seconds([(90, "down")]).windows())[0].holds


def test_few_failed_calls_of_few_call_nobody() -> None:
    found = burning(objective(), windows(dict.fromkeys(WINDOWS, (2, 120))))
    assert [row.holds for row in found] == [False, False, False]
    assert "2 calls failed in the last 1 h, and 10 calls are needed" in found[0].words


def test_without_calls_there_is_not_enough_data_and_no_nought() -> None:
    found = burning(objective(), Windows(AT, NONE, NONE))
    assert [row.holds for row in found] == [False] * 3
    assert {row.long.burn for row in found} == {None}
    assert found[0].words == "Not enough data: no calls in the last 1 h and 5 min."


def test_a_rate_that_no_outage_reaches_says_so() -> None:
    found = burning(objective(objective=0.9), windows(dict.fromkeys(WINDOWS, (9, 9))))
    assert [row.reachable for row in found] == [False, True, True]
    assert not found[0].holds
    assert found[0].words == "Can never reach 14.4: with everything bad the budget burns at 10."


@given(st.integers(0, 10**9), st.integers(0, 10**9), OBJECTIVES)
def test_a_budget_is_what_the_objective_allows_of_all_calls(
    bad: int, good: int, target: float
) -> None:
    total = bad + good
    terms = objective(objective=target)
    found = spending(terms, Count(bad, total))
    exact = total * (1 - Fraction(str(target)))
    assert found.allowed == pytest.approx(float(exact))
    assert found.enough == (exact >= 1 or bad >= terms.min_bad)
    if found.enough:
        assert found.left == pytest.approx(float(1 - bad / exact))
        assert found.gone == (bad >= exact)
    else:
        assert (found.spent, found.left, found.gone) == (None, None, False)


def test_what_would_call_somebody_is_enough_to_say_that_the_budget_is_gone() -> None:
    # 766 calls may fail 0.766 times, and 134 did.
    found = spending(objective(), Count(134, 766))
    assert (found.enough, found.gone, found.spent) == (True, True, pytest.approx(134 / 0.766))
    few = spending(objective(), Count(objective().min_bad - 1, 766))
    assert (few.enough, few.left) == (False, None)
    young = objective(source=CHECKS, min_bad=90)
    assert spending(young, Count(90 * MILLION, 600 * MILLION)).gone
    assert spending(young, Count(89 * MILLION, 600 * MILLION)).left is None


def test_a_budget_of_30_days_is_43_minutes() -> None:
    month = spending(objective(source=CHECKS), Count(0, 30 * 86_400 * MILLION))
    assert month.allowed == pytest.approx(43.2 * 60)
    assert (month.left, month.gone) == (1.0, False)
    young = spending(objective(source=CHECKS), Count(0, 3_599 * MILLION))
    assert (young.enough, young.left) == (False, None)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 5_000)), min_size=7, max_size=40),
    st.integers(0, 60),
    st.integers(0, 5_000),
    st.sampled_from([0.9, 0.99, 0.999]),
)
def test_the_end_of_a_budget_is_where_a_model_of_small_steps_finds_it(
    past: list[tuple[int, int]], bad: int, good: int, target: float
) -> None:
    days = [Count(each, each + well) for each, well in past]
    terms = objective(objective=target, window_days=len(days))
    found = days_until_gone(terms, days, bad, bad + good)
    # Of each step, in millionths: how far what is bad in it is above what may be.
    steps, share = 24, MILLION - round(target * MILLION)
    parts = [MILLION * day.bad - share * day.total for day in days for _ in range(steps)]
    parts += [MILLION * bad - share * (bad + good)] * (steps * len(days))
    summed = [0, *accumulate(parts)]
    width = steps * len(days)
    gone = next(
        (step for step in range(width + 1) if summed[step + width] - summed[step] >= 0), None
    )
    if not any(day.total for day in days):
        assert found is None or gone is not None
    elif gone is None:
        # Between two steps nothing is more than at both of them: what changes, changes evenly.
        assert found is None or found == pytest.approx(len(days), rel=1e-6)
    else:
        assert found == pytest.approx(gone / steps, abs=1 / steps + 1e-6)


def test_what_calls_too_slow_says_so() -> None:
    terms = objective(kind=LATENCY, objective=0.99, threshold_ms=500.0)
    found = burning(terms, windows(dict.fromkeys(WINDOWS, (200, 1000))))
    assert "200 of 1,000 calls too slow" in found[0].words
