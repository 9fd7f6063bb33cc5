"""How error budgets went over time: how fast they burnt, and what was left of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from analytics.domain.slos.budgets import spending
from analytics.models import Slo
from analytics.selectors.series import SeriesPoint, series_read
from analytics.selectors.slo_counts import day_sums, sums_between
from analytics.selectors.slos import availability_slos
from health.selectors.availability import target
from resilience_site.core.timerange import TimeRange

_HOUR: Final = timedelta(hours=1)
# Of all services together, whose calls are measured by the site's availability target.
TOGETHER_DAYS: Final = 30

# A value and out of how many calls or seconds it was made, by the start of its step.
_Found = dict[datetime, tuple[float | None, int]]


def burn_by_step(at: Sequence[datetime], step: timedelta, service: str, now: datetime) -> _Found:
    """How many times faster than its availability objective allows a service spent its budget in
    each step; that of all services together by the site's target."""
    ends = _ends(at, step, now)
    if not ends:
        return {}
    if not service:
        allowed = 1 - target()
        points = series_read("error_rate", TimeRange(at[0], ends[-1]), now=now, step=step).points
        return {
            point.at: (None if point.value is None else point.value / allowed, point.count)
            for point in points
        }
    slo = availability_slos([service]).get(service)
    if slo is None:
        return {}
    sums = sums_between([slo], [at[0], *ends])[slo.id]
    counts = [sums.between(number, number + 1) for number in range(len(ends))]
    return {
        moment: (slo.terms.burn(count), round(slo.terms.amount(count.total)))
        for moment, count in zip(at, counts, strict=False)
    }


def budget_left_by_step(
    at: Sequence[datetime], step: timedelta, service: str, now: datetime
) -> _Found:
    """The share of a service's error budget that was left at the end of each step, below 0 where
    its availability objective was missed; that of all services together by the site's target, as
    of the last whole hour."""
    ends = _ends(at, step, now)
    if not ends:
        return {}
    if not service:
        return dict(zip(at, _left_together(ends, now), strict=False))
    slo = availability_slos([service]).get(service)
    return {} if slo is None else dict(zip(at, _left(slo, ends), strict=False))


def _ends(at: Sequence[datetime], step: timedelta, now: datetime) -> list[datetime]:
    """The ends of the steps that have begun; that of the running one is the last whole minute."""
    until = now.replace(second=0, microsecond=0)
    return [min(moment + step, until) for moment in at if moment < until]


def _left(slo: Slo, ends: Sequence[datetime]) -> list[tuple[float | None, int]]:
    # As on the page of the objective: the window begins at a whole hour.
    window = timedelta(days=slo.window_days)
    begins = [end.replace(minute=0) - window for end in ends]
    bounds = sorted({*begins, *ends})
    by_hours = all(bound.minute == 0 for bound in bounds[:-1])
    sums = (day_sums if by_hours else sums_between)([slo], bounds)[slo.id]
    place = {bound: number for number, bound in enumerate(bounds)}
    budgets = [
        spending(slo.terms, sums.between(place[begin], place[end]))
        for begin, end in zip(begins, ends, strict=True)
    ]
    return [(each.left, round(each.total)) for each in budgets]


def _left_together(ends: Sequence[datetime], now: datetime) -> list[tuple[float | None, int]]:
    hours = [end.replace(minute=0) for end in ends]
    window = timedelta(days=TOGETHER_DAYS)
    begin = hours[0] - window
    points: list[SeriesPoint] = series_read(
        "error_rate", TimeRange(begin, hours[-1]), now=now, step=_HOUR
    ).points
    calls = np.array([0, *(each.count for each in points)]).cumsum()
    failed = np.array([0, *(each.count * (each.value or 0.0) for each in points)]).cumsum()
    found: list[tuple[float | None, int]] = []
    for hour in hours:
        last, first = (hour - begin) // _HOUR, (hour - window - begin) // _HOUR
        total, bad = int(calls[last] - calls[first]), float(failed[last] - failed[first])
        allowed = total * (1 - target())
        found.append((1 - bad / allowed if allowed >= 1 else None, total))
    return found
