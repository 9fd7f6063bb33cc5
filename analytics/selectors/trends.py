"""How a figure goes over any range: its points, and what is more than chance in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from analytics.domain.forecasts.grid import Floats, bridged
from analytics.domain.forecasts.seasons import DAY, WEEK, repetition
from analytics.domain.trends.changes import LEAST as CHANGES_NEED
from analytics.domain.trends.changes import changes_of
from analytics.domain.trends.comparison import LEAST as WEEKS_NEED
from analytics.domain.trends.comparison import compared
from analytics.domain.trends.slopes import LEAST as SLOPE_NEEDS
from analytics.domain.trends.slopes import slope_of
from analytics.selectors.series import Metric, Series, SeriesPoint
from analytics.selectors.trend_series import trend_series, trend_step
from resilience_site.config import config
from resilience_site.core.timerange import TimeRange

_A_WEEK: Final = timedelta(weeks=1)


@dataclass(frozen=True)
class ChangeMark:
    """The level changed at `at`, from `before` to `after` (medians, in the metric's unit)."""

    at: datetime
    before: float
    after: float


@dataclass(frozen=True)
class Rhythm:
    """The series repeats itself every `seconds`; `strength` 0..1 is how strongly."""

    seconds: float
    strength: float


@dataclass(frozen=True)
class WeekOnWeek:
    """The range beside the same a week before: means of the `pairs` steps that both have.

    `ratio` is the change by the value before, None where that was 0; `significant` where more
    steps moved to one side than chance explains.
    """

    now: float
    before: float
    change: float
    ratio: float | None
    pairs: int
    significant: bool


@dataclass(frozen=True)
class Drift:
    """The slope per day, in the metric's unit, and whether it is more than chance."""

    per_day: float
    significant: bool


@dataclass(frozen=True)
class Trend:
    """A figure over a range and what is to be said of it.

    `changes` is None, as `rhythm`, `week` and `drift` are, where the data are too few; `missing`
    says for each of those names what would be needed. `rhythm` is None also where there is none.
    """

    service: str
    operation: str
    metric: Metric
    since: datetime
    until: datetime
    step: timedelta
    points: list[SeriesPoint]
    changes: list[ChangeMark] | None
    rhythm: Rhythm | None
    week: WeekOnWeek | None
    drift: Drift | None
    missing: dict[str, str]


def trend_read(
    metric: str,
    within: TimeRange,
    *,
    now: datetime,
    service: str = "",
    operation: str = "",
    step: timedelta | None = None,
) -> Trend:
    """The trend of a metric of `TREND_METRICS` of one service (of all, where none is named).

    With trends switched off (ERROR_TREND_ANALYSIS) there are the points alone.
    """
    series, before = _read(metric, within, now, service, operation, step)
    # The step that still runs is shown, but nothing is concluded from its part.
    values = _floats(series, now)
    if not config.error_trend_analysis:
        off = "switched off by ERROR_TREND_ANALYSIS"
        return _trend(series, within, None, None, None, None, dict.fromkeys(_PARTS, off))
    missing: dict[str, str] = {}
    rhythm = _rhythm(values, series.step, missing)
    changes = _changes(series, values, rhythm, missing)
    drift = _drift(values, series.step, missing)
    week = _week(values, _floats(before, now), missing)
    return _trend(series, within, changes, rhythm, week, drift, missing)


def _read(
    metric: str,
    within: TimeRange,
    now: datetime,
    service: str,
    operation: str,
    step: timedelta | None,
) -> tuple[Series, Series]:
    """The range and the one a week before it; what they share is read once."""
    step = step or trend_step(metric, within)

    def read(part: TimeRange) -> Series:
        return trend_series(metric, part, now=now, service=service, operation=operation, step=step)

    earlier = TimeRange(within.since - _A_WEEK, within.until - _A_WEEK)
    if within.length < _A_WEEK or _A_WEEK % step:
        return read(within), read(earlier)
    whole = read(TimeRange(earlier.since, within.until))
    shift = _A_WEEK // step
    return (
        replace(whole, points=whole.points[shift:]),
        replace(whole, points=whole.points[:-shift]),
    )


_PARTS: Final = ("changes", "rhythm", "week", "drift")


def _trend(
    series: Series,
    within: TimeRange,
    changes: list[ChangeMark] | None,
    rhythm: Rhythm | None,
    week: WeekOnWeek | None,
    drift: Drift | None,
    missing: dict[str, str],
) -> Trend:
    return Trend(
        series.service, series.operation, series.metric, within.since, within.until, series.step,
        series.points, changes, rhythm, week, drift, missing,
    )  # fmt: skip


def _floats(series: Series, now: datetime) -> Floats:
    values = [
        point.value if point.value is not None and point.at + series.step <= now else np.nan
        for point in series.points
    ]
    return np.array(values, dtype=np.float64)


def _rhythm(values: Floats, step: timedelta, missing: dict[str, str]) -> Rhythm | None:
    seen = int(np.isfinite(values).sum())
    seasons = [
        (length, round(length / step.total_seconds()))
        for length in (DAY, WEEK)
        if length / step.total_seconds() >= 4
    ]
    least = min((2 * season for _, season in seasons), default=0)
    if not seasons or seen < least:
        missing["rhythm"] = (
            f"not enough data: needs two days in steps of at most 6 h, has {seen} steps"
        )
        return None
    found = [
        Rhythm(length, repetition(bridged(values, season), season))
        for length, season in seasons
        if seen >= 2 * season
    ]
    # The shorter one explains the longer, unless that one says clearly more.
    best = max(found, key=lambda each: each.strength - (0.1 if each.seconds == WEEK else 0.0))
    return best if best.strength > 0 else None


def _changes(
    series: Series, values: Floats, rhythm: Rhythm | None, missing: dict[str, str]
) -> list[ChangeMark] | None:
    season = round(rhythm.seconds / series.step.total_seconds()) if rhythm else 1
    found = changes_of(values, season)
    if found is None:
        missing["changes"] = _needs(CHANGES_NEED, values)
        return None
    return [ChangeMark(series.points[each.index].at, each.before, each.after) for each in found]


def _drift(values: Floats, step: timedelta, missing: dict[str, str]) -> Drift | None:
    found = slope_of(values)
    if found is None:
        missing["drift"] = _needs(SLOPE_NEEDS, values)
        return None
    return Drift(found.per_step * DAY / step.total_seconds(), found.significant)


def _week(values: Floats, before: Floats, missing: dict[str, str]) -> WeekOnWeek | None:
    length = min(len(values), len(before))
    found = compared(values[:length], before[:length])
    if found is None:
        both = int((np.isfinite(values[:length]) & np.isfinite(before[:length])).sum())
        missing["week"] = (
            f"not enough data: needs {WEEKS_NEED} steps that the week before has too, has {both}"
        )
        return None
    return WeekOnWeek(
        found.now, found.before, found.change, found.ratio, found.pairs, found.significant
    )


def _needs(least: int, values: Floats) -> str:
    return f"not enough data: needs {least} steps, has {int(np.isfinite(values).sum())}"
