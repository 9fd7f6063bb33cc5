"""Error budgets in words: what is left, how often it is spent, and what that rests on."""

from __future__ import annotations

import pytest

from analytics.domain.slos.budgets import spending
from analytics.domain.slos.objectives import CHECKS, LATENCY, MILLION, Count
from analytics.domain.slos.words import basis_words, budget_words, left_words
from tests.analytics.slos.test_arithmetic import objective


@pytest.mark.parametrize(
    ("spent", "left", "of_service"),
    [
        (
            None,
            "not enough data",
            "not enough data to say what is left of its error budget",
        ),
        (0.0, "100 % left", "100 % of its error budget left"),
        (0.41, "59 % left", "59 % of its error budget left"),
        (0.99999, "<0.01 % left", "<0.01 % of its error budget left"),
        (1.0, "gone, all of it spent", "error budget gone, all of it spent"),
        (1.004, "gone, all of it spent", "error budget gone, all of it spent"),
        (1.4, "gone, spent 1.4 times", "error budget gone, spent 1.4 times"),
        (328.4, "gone, spent 328 times", "error budget gone, spent 328 times"),
        (999.7, "gone, spent 1,000 times", "error budget gone, spent 1,000 times"),
        (99_901.0, "gone, spent 99,901 times", "error budget gone, spent 99,901 times"),
    ],
)
def test_a_budget_is_left_or_gone_and_how_many_times(
    spent: float | None, left: str, of_service: str
) -> None:
    assert (left_words(spent), budget_words(spent)) == (left, of_service)


@pytest.mark.parametrize(
    ("given", "bad", "total", "words"),
    [
        ({}, 504, 2_716, "504 failed of 2.72 allowed, 2,716 calls"),
        ({}, 288, 696_000, "288 failed of 696 allowed, 696,000 calls"),
        ({}, 1, 1, "1 failed of 0.001 allowed, 1 call"),
        ({}, 0, 0, "no calls"),
        (
            {"source": CHECKS},
            97 * MILLION,
            97 * MILLION,
            "1 min 37 s down of 97 ms allowed, 1 min 37 s counted",
        ),
        ({"source": CHECKS}, 0, 0, "no counted time"),
        (
            {"source": CHECKS, "kind": LATENCY, "objective": 0.99},
            24,
            2_880,
            "24 too slow of 29 allowed, 2,880 runs",
        ),
    ],
)
def test_what_a_budget_rests_on_is_told_in_its_own_unit(
    given: dict[str, object], bad: int, total: int, words: str
) -> None:
    terms = objective(**given)
    assert basis_words(terms, spending(terms, Count(bad, total))) == words
