"""Every figure that has a trend: those of calls, those that patterns, chains, gauges, objectives and
the health of services add to them, and those that apps above register."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from analytics.selectors.error_totals import pattern_counts
from analytics.selectors.figure_hours import radius_by_step, saturation_by_step
from analytics.selectors.rollups import step_for
from analytics.selectors.series import (
    METRICS,
    Metric,
    Series,
    SeriesPoint,
    series_read,
    steps,
)
from analytics.selectors.slo_trends import budget_left_by_step, burn_by_step
from analytics.selectors.sources import HOUR
from health.domain.availability import DEFAULT, Availability, total
from health.selectors.availability import critical_services
from health.selectors.failures import NONE, failures_by_step
from health.selectors.seconds import service_bands
from resilience_site.core.problems import Invalid
from resilience_site.core.timerange import TimeRange, parse_range

_FURTHER: Final = (
    Metric("saturation", "Share used of the fullest resource", "1"),
    Metric("health_score", "Availability by health checks", "1", more_is_worse=False),
    Metric("mttr", "Mean time to repair", "s"),
    Metric("mtbf", "Mean time between failures", "s", more_is_worse=False),
    Metric("impact_radius", "Services that a chain of errors crosses", "services"),
    Metric("patterns", "Patterns with errors", "patterns"),
    Metric("error_budget_burn", "Burn rate of the error budget", "×"),
    Metric("error_budget_left", "Error budget left", "1", more_is_worse=False),
)
SHORTEST: Final = timedelta(minutes=5)
LONGEST: Final = timedelta(days=92)
MOST_STEPS: Final = 2_500
_DEFAULT: Final = timedelta(hours=24)
_BY_HOURS: Final = timedelta(hours=12)
_HEALTH: Final = frozenset({"health_score", "mttr", "mtbf"})
_HEALTH_BY_HOURS: Final = timedelta(hours=6)
TREND_METRICS: Final = METRICS | {metric.name: metric for metric in _FURTHER}

# A value and out of how many it was made, by the start of its step.
Found = dict[datetime, tuple[float | None, int]]
# What gives it: the starts of the steps, their length, whose it is ("" is all services), and now.
Read = Callable[[Sequence[datetime], timedelta, str, datetime], Found]


def trend_register(metric: Metric, read: Read) -> None:
    """Add a figure that an app above owns; called from its `AppConfig.ready`."""
    TREND_METRICS[metric.name] = metric
    _READS[metric.name] = read


def trend_metric(name: str) -> Metric:
    """The metric of a name; raises `Invalid` that lists those there are."""
    if name not in TREND_METRICS:
        known = ", ".join(TREND_METRICS)
        raise Invalid.field("query.metric", f"There is no {name[:40]!r}; choose {known}.")
    return TREND_METRICS[name]


def trend_range(
    since: str | None, until: str | None, *, now: datetime, step: timedelta | None = None
) -> TimeRange:
    """The range of a trend, the last 24 hours by default.

    Raises `Invalid` where it is under 5 minutes, over 92 days, or of too many steps.
    """
    within = parse_range(since, until, now=now, default=_DEFAULT, longest=LONGEST)
    if within.length < SHORTEST:
        raise Invalid.field(
            "query.since", "The range is shorter than 5 minutes; choose a longer one."
        )
    if step is not None and within.length / step > MOST_STEPS:
        raise Invalid.field(
            "query.step", f"The range has more than {MOST_STEPS:,} such steps; choose longer ones."
        )
    return within


def trend_step(name: str, within: TimeRange) -> timedelta:
    """The steps of a range: whole hours from half a day on (from 6 hours on for figures of health),
    as those are summed up already and cost the same however many services there are."""
    step = step_for(within)
    by_hours = _HEALTH_BY_HOURS if name in _HEALTH else _BY_HOURS
    return max(step, HOUR) if within.length >= by_hours else step


def trend_series(
    name: str,
    within: TimeRange,
    *,
    now: datetime,
    service: str = "",
    operation: str = "",
    step: timedelta | None = None,
) -> Series:
    """Any metric over time, as `series_read` gives those of calls.

    `count` of a point: calls, errors, resources, repaired outages (mttr), outages that began
    (mtbf), good and bad seconds (health_score), chains (impact_radius), patterns, calls or seconds of
    the step (error_budget_burn) and of the objective's window (error_budget_left).
    """
    metric = trend_metric(name)
    step = step or trend_step(name, within)
    if name in METRICS:
        return series_read(name, within, now=now, service=service, operation=operation, step=step)
    if operation:
        raise Invalid.field("query.operation", f"{metric.title} is told by service, not operation.")
    at = steps(within, step)
    found = _READS[name](at, step, service, now)
    points = [SeriesPoint(moment, *found.get(moment, (None, 0))) for moment in at]
    return Series(service, operation, metric, step, points)


# --- Patterns --------------------------------------------------------------------


def _patterns(at: Sequence[datetime], step: timedelta, service: str, now: datetime) -> Found:
    counted = pattern_counts(TimeRange(at[0], at[-1] + step), step, service)
    return {moment: (float(count), count) for moment, count in counted.items()}


# --- Health --------------------------------------------------------------------------------------


def _availabilities(
    at: Sequence[datetime], names: Sequence[str], until: datetime
) -> list[Availability]:
    """The good and bad seconds of each step, of the services together, as far as time has come."""
    until = until.replace(second=0, microsecond=0)
    past = [moment for moment in at if moment < until]
    if not past or not names:
        return []
    bands = service_bands(names, past, until)
    return [DEFAULT.apply(total(step)) for step in zip(*bands.values(), strict=True)]


def _health_score(at: Sequence[datetime], step: timedelta, service: str, now: datetime) -> Found:
    found = _availabilities(at, _watched(service), min(now, at[-1] + step))
    return {
        moment: (each.ratio, round(each.good + each.bad))
        for moment, each in zip(at, found, strict=False)
    }


def _mttr(at: Sequence[datetime], step: timedelta, service: str, now: datetime) -> Found:
    found = failures_by_step(_watched(service), at[0], at[-1] + step, step)
    return {moment: (each.mttr, each.repaired) for moment, each in found.items()}


def _mtbf(at: Sequence[datetime], step: timedelta, service: str, now: datetime) -> Found:
    names = _watched(service)
    seconds = _availabilities(at, names, min(now, at[-1] + step))
    found = failures_by_step(names, at[0], at[-1] + step, step)
    return {
        moment: (each.good / began if began else None, began)
        for moment, each in zip(at, seconds, strict=False)
        for began in (found.get(moment, NONE).failures,)
    }


def _watched(service: str) -> list[str]:
    watched = critical_services()
    return [name for name in watched if name == service] if service else watched


_READS: Final[dict[str, Read]] = {
    "saturation": saturation_by_step,
    "health_score": _health_score,
    "mttr": _mttr,
    "mtbf": _mtbf,
    "impact_radius": radius_by_step,
    "patterns": _patterns,
    "error_budget_burn": burn_by_step,
    "error_budget_left": budget_left_by_step,
}
