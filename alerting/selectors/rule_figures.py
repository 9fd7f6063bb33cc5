"""Figures as rules read them: what holds at the end of each minute of a range."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from alerting.domain.rules.conditions import BurnCondition, Condition, FigureCondition
from alerting.domain.rules.figures import Reading
from alerting.domain.rules.known import KnownWindows
from alerting.domain.rules.measures import FIGURES
from alerting.domain.rules.windows import (
    MINUTE,
    baseline_ends,
    meets,
    threshold_of,
)
from alerting.selectors.rule_minutes import CountedMinutes
from analytics.domain.histogram import quantile_ns
from analytics.domain.slos.burning import Windows as BurnWindows
from analytics.domain.slos.burning import held_rows
from analytics.models import Slo
from analytics.selectors.slo_known import windows_known
from analytics.selectors.slo_terms import slos_in_force
from analytics.selectors.slos import burning

# Ends of minutes that are worked out together.
_AT_ONCE: Final = 1_440


def readings_within(
    condition: Condition, since: datetime, until: datetime
) -> Iterator[tuple[datetime, list[Reading]]]:
    """For each minute that ends in (since, until], the figures that meet the condition."""
    ends = _ends(since, until)
    for first in range(0, len(ends), _AT_ONCE):
        some = ends[first : first + _AT_ONCE]
        if isinstance(condition, BurnCondition):
            yield from _burns(condition, some)
        elif isinstance(condition, FigureCondition):
            yield from _figures(condition, some)
        else:
            raise TypeError("a condition over the journal has no figures")


def _ends(since: datetime, until: datetime) -> list[datetime]:
    first = since.replace(second=0, microsecond=0) + MINUTE
    return [first + MINUTE * number for number in range(max(0, (until - first) // MINUTE + 1))]


# --- Figures of services -------------------------------------------------------------------------


def _figures(
    condition: FigureCondition, ends: list[datetime]
) -> Iterator[tuple[datetime, list[Reading]]]:
    width = timedelta(seconds=condition.window_seconds)
    before = {end for each in _hours(ends) for end in baseline_ends(condition, each)}
    counted = CountedMinutes(condition, _hour(ends[0]) if before else ends[0])
    counted.read(ends[0] - width, ends[-1])
    for run in _runs(before, width):
        counted.read(*run)
    known = _Baselines(condition)
    windows = counted.windows(width, ends)
    for end in ends:
        found = []
        for service, of in windows.items():
            value, count = _value(condition, of, end, end)
            if value is None:
                continue
            values, heard = known.of(service, of, end)
            # Nobody knows of a service that was silent then.
            if service and not count and not heard:
                continue
            threshold, middle = threshold_of(condition, values)
            if meets(condition.op, value, threshold):
                culprit = service or _culprit(of, end)
                found.append(_reading(condition, service, value, threshold, count, middle, culprit))
        yield end, found


class _Baselines:
    """What figures are compared with: the same for all of an hour, as it was known when that began."""

    def __init__(self, condition: FigureCondition) -> None:
        self._condition = condition
        self._found: dict[tuple[str, datetime], tuple[list[float], bool]] = {}

    def of(self, service: str, of: KnownWindows, end: datetime) -> tuple[list[float], bool]:
        """The figures of the same hour of the days before, and whether anything was counted then."""
        hour = _hour(end)
        if (service, hour) not in self._found:
            ends = baseline_ends(self._condition, end)
            found = [_value(self._condition, of, each, hour)[0] for each in ends]
            heard = any(of.counts_known(each, hour) != (0, 0) for each in ends)
            self._found[service, hour] = [value for value in found if value is not None], heard
        return self._found[service, hour]


def _hour(end: datetime) -> datetime:
    """The beginning of the hour that a window ends in: at 12:00 it is that of the hour before."""
    return (end - MINUTE).replace(minute=0)


def _hours(ends: list[datetime]) -> list[datetime]:
    """One end of each hour."""
    return list({_hour(end): end for end in ends}.values())


def _runs(ends: set[datetime], width: timedelta) -> list[tuple[datetime, datetime]]:
    """The ranges that hold the windows which end there, those that touch joined."""
    runs: list[tuple[datetime, datetime]] = []
    for end in sorted(ends):
        if runs and end - width <= runs[-1][1]:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((end - width, end))
    return runs


def _value(
    condition: FigureCondition, of: KnownWindows, end: datetime, judged: datetime
) -> tuple[float | None, int]:
    """The figure of the window that ends at `end`, as it was known at `judged`, and out of how many
    it is; None where there is too little to tell."""
    calls, errors = of.counts_known(end, judged)
    if FIGURES[condition.metric].of_calls and calls < max(1, condition.minimum):
        return None, calls
    match condition.metric:
        case "error_rate":
            return errors / calls, calls
        case "errors":
            return float(errors), errors
        case "latency_p95":
            sums = of.sums_known(end, judged)
            found = quantile_ns(sums.buckets, 0.95, sums.longest_ns) if sums.buckets else None
            return None if found is None else found / 1e6, calls
        case _:
            return float(calls), calls


def _culprit(of: KnownWindows, end: datetime) -> str:
    """The service where most of it began."""
    counts = of.sums_known(end, end).by_service
    return max(counts, key=lambda each: (counts[each], each), default="")


def _reading(
    condition: FigureCondition,
    service: str,
    value: float,
    threshold: float,
    count: int,
    middle: float | None,
    culprit: str,
) -> Reading:
    figure = FIGURES[condition.metric]
    facts = {
        "metric": condition.metric,
        "title": figure.title,
        "unit": figure.unit,
        "value": value,
        "threshold": threshold,
        "count": count,
        "median": 0.0 if middle is None else middle,
        "window_seconds": condition.window_seconds,
        "culprit": culprit,
        "link": "/chains"
        if condition.metric == "chains"
        else f"/trends?service={quote(service, safe='')}",
    }
    return Reading({"service": service[:255]} if service else {}, service, facts)


# --- Burn rates ----------------------------------------------------------------------------------


def _burns(
    condition: BurnCondition, ends: list[datetime]
) -> Iterator[tuple[datetime, list[Reading]]]:
    found: dict[datetime, list[Reading]] = {end: [] for end in ends}
    for layer in slos_in_force(ends[0], ends[-1]):
        windows = windows_known([each.slo for each in layer], ends)
        for each in layer:
            terms = each.slo.terms
            for end, at in zip(ends, windows[each.slo.id], strict=True):
                if not any(row.long == condition.long_seconds for row in held_rows(terms, at)):
                    continue
                if each.at(end):
                    found[end].append(_burn_reading(condition, each.slo, at))
    yield from found.items()


def _burn_reading(condition: BurnCondition, slo: Slo, at: BurnWindows) -> Reading:
    row = next(each for each in burning(slo, at) if each.long.seconds == condition.long_seconds)
    labels = {"service": slo.service, "slo": str(slo.id), "kind": str(slo.kind)}
    facts = {
        "slo": str(slo.id),
        "kind": str(slo.kind),
        "objective": slo.objective,
        "value": row.long.burn,
        "threshold": row.threshold,
        "bad": row.long.bad,
        "total": row.long.total,
        "window_seconds": row.long.seconds,
        "short_seconds": row.short.seconds,
        "text": row.words,
        "link": f"/slos/{slo.id}",
    }
    return Reading(labels, slo.service, facts)
