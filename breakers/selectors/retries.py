"""What retries cost and what they bring, by service and dependency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from breakers.models import RetryBudget
from breakers.selectors.bins import binned, summed, total, trend
from breakers.selectors.instances import GONE, is_silent
from resilience_site.core.timerange import TimeRange

RETRIED = "retried"
SUCCEEDED = "succeeded"
BUDGET_EXHAUSTED = "budget_exhausted"
BY_BUDGET = (BUDGET_EXHAUSTED, "request_budget")
# Of `breakers.runtime.RetryBudget`, whose gauges tell of its last minute.
BUDGET_SECONDS = 60


@dataclass(frozen=True)
class Budget:
    """The retry budgets of a dependency, summed over the instances that are heard of.

    `calls` are first attempts, `retries` further ones, both in the last `window_seconds`; `left`
    is how many more are allowed now. Numbers that no instance told are None.
    """

    calls: int | None
    retries: int | None
    left: int | None
    instances: int
    silent: int
    window_seconds: int = BUDGET_SECONDS

    @property
    def amplification(self) -> float | None:
        """Attempts per call, 1 where nothing is retried; None without calls."""
        if not self.calls or self.retries is None:
            return None
        return (self.calls + self.retries) / self.calls


@dataclass(frozen=True)
class RetryFigures:
    """The retries of one dependency in a window of `window_seconds`.

    Told are the calls whose first attempt failed and was, or might have been, tried again:
    `retried` further attempts in all, and of each call how it ended, `by_outcome`. `delay_ms` is
    the mean wait before a further attempt.
    """

    service: str
    dependency: str
    window_seconds: float
    retried: int
    by_outcome: dict[str, int]
    by_classification: dict[str, int]
    delay_ms: float | None
    budget: Budget | None
    trend: list[float | None] = field(default_factory=list)

    @property
    def ended(self) -> int:
        """Calls that had a failure and ended, well or not: the denominator of what follows."""
        return sum(self.by_outcome.values())

    @property
    def attempts(self) -> int:
        """Attempts that these calls made in all."""
        return self.ended + self.retried

    @property
    def succeeded(self) -> int:
        """Calls that a further attempt saved."""
        return self.by_outcome.get(SUCCEEDED, 0)

    @property
    def refused(self) -> int:
        """Calls that a budget, the dependency's or the request's own, allowed no further attempt."""
        return sum(self.by_outcome.get(outcome, 0) for outcome in BY_BUDGET)

    @property
    def failed(self) -> int:
        """Calls that ended in failure, for whatever reason."""
        return self.ended - self.succeeded


def retry_figures(
    within: TimeRange, *, now: datetime, service: str = "", dependency: str = ""
) -> list[RetryFigures]:
    """Figures of each dependency that was retried in a range, or that has a budget now; those
    refused by a budget first, then the most retried."""
    exact = {"service": service, "dependency": dependency}
    counted: dict[_Key, list[_Counted]] = {}
    names = ("service", "dependency", "classification", "outcome")
    sums = ("sum(attempts)::bigint", "sum(delay_ms)")
    for name, of, *rest in binned("breakers_retryrollup", names, sums, within, exact):
        counted.setdefault((name, of), []).append(_Counted(*rest))
    budgets = _budgets(exact, now)
    seconds = within.length.total_seconds()
    figures = [
        _figures(key, seconds, counted.get(key, []), budgets.get(key))
        for key in counted.keys() | budgets.keys()
    ]
    return sorted(figures, key=lambda f: (-f.refused, -f.retried, f.service, f.dependency))


_Key = tuple[str, str]


class _Counted(NamedTuple):
    """Records of one kind in one part of the range."""

    classification: str
    outcome: str
    part: int
    records: int
    delay_ms: float


def _figures(
    key: _Key, seconds: float, counted: Sequence[_Counted], budget: Budget | None
) -> RetryFigures:
    ends = _ends(counted)
    further = [each for each in counted if each.outcome == RETRIED]
    retried = sum(each.records for each in further)
    return RetryFigures(
        service=key[0],
        dependency=key[1],
        window_seconds=seconds,
        retried=retried,
        by_outcome=ends,
        # The kind of failure that led to each further attempt, or to there being none.
        by_classification=summed(
            (each.classification, each.records)
            for each in counted
            if each.outcome != SUCCEEDED and not _by_budget_alone(each)
        ),
        delay_ms=sum(each.delay_ms for each in further) / retried if retried else None,
        budget=budget,
        trend=trend((each.part, each.records) for each in further),
    )


def _ends(counted: Sequence[_Counted]) -> dict[str, int]:
    """Calls by how they ended. A budget's refusal may be told twice, as the end of the call and by
    an event of its own, which names no kind of failure: the larger number is that of the calls."""
    ended = summed(
        (each.outcome, each.records)
        for each in counted
        if each.outcome != RETRIED and not _by_budget_alone(each)
    )
    refused = sum(each.records for each in counted if _by_budget_alone(each))
    if refused > ended.get(BUDGET_EXHAUSTED, 0):
        ended[BUDGET_EXHAUSTED] = refused
    return summed(ended.items())


def _by_budget_alone(each: _Counted) -> bool:
    return each.outcome == BUDGET_EXHAUSTED and not each.classification


def _budgets(exact: Mapping[str, str], now: datetime) -> dict[_Key, Budget]:
    told: dict[_Key, list[RetryBudget]] = {}
    wanted = {column: value for column, value in exact.items() if value}
    for row in RetryBudget.objects.filter(last_seen__gt=now - GONE, **wanted):
        told.setdefault((row.service, row.dependency), []).append(row)
    budgets = {}
    for key, rows in told.items():
        live = [row for row in rows if not is_silent(row.last_seen, now)]
        budgets[key] = Budget(
            calls=total(row.calls for row in live),
            retries=total(row.retries for row in live),
            left=total(row.left for row in live),
            instances=len(live),
            silent=len(rows) - len(live),
        )
    return budgets
