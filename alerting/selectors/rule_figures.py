"""Figures as rules read them: what holds at the end of each minute of a range."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from django.db import connection

from alerting.domain.rules.catalogue import FIGURES
from alerting.domain.rules.conditions import BurnCondition, Condition, FigureCondition
from alerting.domain.rules.figures import Reading
from alerting.domain.rules.windows import (
    MINUTE,
    Sums,
    Windows,
    baseline_ends,
    meets,
    threshold_of,
)
from analytics.domain.histogram import quantile_ns
from analytics.domain.slos.burning import held_rows
from analytics.selectors.slos import burn_windows, burning, slos_enabled

# Ends of minutes that are worked out together.
_AT_ONCE: Final = 1_440
_CALLS: Final = """
SELECT service, minute, sum(calls)::bigint, sum(errors)::bigint, max(duration_max_ns)::bigint,
    array_agg(buckets::text)
FROM analytics_callrollup
WHERE operation = '' AND minute >= %s AND minute < %s AND (%s::text[] = '{}' OR service = ANY(%s))
GROUP BY 1, 2
"""
_ERRORS: Final = """
SELECT service, minute, 0, sum(errors)::bigint, 0, NULL FROM analytics_errorrollup
WHERE minute >= %s AND minute < %s AND (%s::text[] = '{}' OR service = ANY(%s))
GROUP BY 1, 2
"""
# A chain's start may lie some time before the day on which it was first seen.
_CHAINS: Final = """
SELECT root_cause_service, date_trunc('minute', started_at), count(*), 0, 0, NULL
FROM analytics_correlationchain
WHERE started_at >= %s AND started_at < %s AND (%s::text[] = '{}' OR root_cause_service = ANY(%s))
    AND opened_on >= (%s::timestamptz - interval '1 day')::date
    AND opened_on <= (%s::timestamptz + interval '2 days')::date
GROUP BY 1, 2
"""
_SITE: Final = ""


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
    minutes = _minutes(condition, ends[0] - width, ends[-1])
    before = {end for each in _hours(ends) for end in baseline_ends(condition, each)}
    for run in _runs(before, width):
        for service, known in _minutes(condition, *run).items():
            minutes[service] |= known
    medians: dict[tuple[str, datetime], list[float]] = {}
    windows = {service: Windows(of, width) for service, of in minutes.items()}
    for end in ends:
        found = []
        for service, of in windows.items():
            value, count = _value(condition, of, end)
            if value is None:
                continue
            hour = (end - MINUTE).replace(minute=0)
            if (service, hour) not in medians:
                medians[service, hour] = _baseline(condition, of, end)
            threshold, middle = threshold_of(condition, medians[service, hour])
            if meets(condition.op, value, threshold):
                culprit = service or _culprit(of, end)
                found.append(_reading(condition, service, value, threshold, count, middle, culprit))
        yield end, found


def _hours(ends: list[datetime]) -> list[datetime]:
    """One end of each hour."""
    return list({(end - MINUTE).replace(minute=0): end for end in ends}.values())


def _runs(ends: set[datetime], width: timedelta) -> list[tuple[datetime, datetime]]:
    """The ranges that hold the windows which end there, those that touch joined."""
    runs: list[tuple[datetime, datetime]] = []
    for end in sorted(ends):
        if runs and end - width <= runs[-1][1]:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((end - width, end))
    return runs


def _baseline(condition: FigureCondition, of: Windows, end: datetime) -> list[float]:
    values = [_value(condition, of, each)[0] for each in baseline_ends(condition, end)]
    return [value for value in values if value is not None]


def _value(condition: FigureCondition, of: Windows, end: datetime) -> tuple[float | None, int]:
    """The figure of the window that ends at `end` and out of how many it is; None where there is
    too little to tell."""
    calls, errors = of.counts(end)
    if FIGURES[condition.metric].of_calls and calls < max(1, condition.minimum):
        return None, calls
    match condition.metric:
        case "error_rate":
            return errors / calls, calls
        case "errors":
            return float(errors), errors
        case "latency_p95":
            sums = of.sums(end)
            found = quantile_ns(sums.buckets, 0.95, sums.longest_ns) if sums.buckets else None
            return None if found is None else found / 1e6, calls
        case _:
            return float(calls), calls


def _culprit(of: Windows, end: datetime) -> str:
    """The service where most of it began."""
    counts = of.sums(end).by_service
    return max(counts, key=lambda each: (counts[each], each), default="")


def _minutes(
    condition: FigureCondition, since: datetime, until: datetime
) -> defaultdict[str, dict[datetime, Sums]]:
    """What was counted in each minute of a range, by service; of the whole site under no name."""
    services = condition.services
    parameters: list[Any] = [since, until, services, services]
    statement = _CALLS
    if condition.metric == "errors":
        statement = _ERRORS
    elif condition.metric == "chains":
        statement = _CHAINS
        parameters += [since, until]
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows = cursor.fetchall()
    found: defaultdict[str, dict[datetime, Sums]] = defaultdict(dict)
    if condition.each == "site":
        # Where nothing came the figures are 0, and can be too low.
        found[_SITE] = {}
    of_buckets = condition.metric == "latency_p95"
    for service, minute, calls, errors, longest, buckets in rows:
        sums = Sums(
            calls,
            errors,
            longest,
            _buckets(buckets) if of_buckets else (),
            {service: calls or errors},
        )
        name = _SITE if condition.each == "site" else service
        known = found[name].get(minute)
        found[name][minute] = sums if known is None else known + sums
    return found


def _buckets(texts: list[str]) -> tuple[int, ...]:
    kinds = [[int(count) for count in text[1:-1].split(",")] for text in texts]
    return tuple(sum(column) for column in zip(*kinds, strict=True))


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
    slos = slos_enabled()
    windows = burn_windows(slos, ends)
    for number, end in enumerate(ends):
        found = []
        for slo in slos:
            at = windows[slo.id][number]
            terms = slo.terms
            if any(row.long == condition.long_seconds for row in held_rows(terms, at)):
                row = next(
                    each for each in burning(slo, at) if each.long.seconds == condition.long_seconds
                )
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
                found.append(Reading(labels, slo.service, facts))
        yield end, found
