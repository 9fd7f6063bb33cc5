"""What was good and bad of objectives between moments: from traces' figures and from checks.

Checks are asked two ways: availability is their time by state, latency how many of their runs were
too slow (`analytics.selectors.slo_runs`).

Calls are summed up from hours wherever these say all that their minutes do, and from minutes where
an hour is cut or not settled yet; both are whole numbers, so that it makes no difference which. Time
is counted in microseconds from the changes of state themselves. Thus the same two moments always
have the same counts between them, whatever else is asked for along with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from analytics.choices import SloKind, SloSource
from analytics.domain.histogram import BUCKETS, UPPER_NS, bucket
from analytics.domain.slos.objectives import MILLION
from analytics.models import Slo
from analytics.selectors.slo_beside import BESIDE, Beside
from analytics.selectors.slo_runs import of_runs, run_slow_from_ms
from analytics.selectors.slo_sums import Sums
from health.domain.availability import DEFAULT, Segment
from health.selectors.seconds import service_bands
from health.selectors.timelines import WantedService, service_segments

Span = tuple[datetime, datetime]
_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
# With more cuts than this, the minutes of the whole range are read.
_MOST_SPANS: Final = 48

_PART: Final = (
    "SELECT s.number, r.{column} AS at, r.calls, {bad} AS bad "
    "FROM wanted AS s JOIN {table} AS r ON r.service = s.service "
    "WHERE r.operation = '' AND r.service = ANY(%(services)s::text[]) "
    "AND r.{column} >= %(from_{place})s AND r.{column} < %(to_{place})s"
)
# One row for each objective: three arrays as texts, which are read far faster than rows.
_CALLS: Final = """
WITH wanted (number, service, slow_from) AS (
    SELECT * FROM unnest(%(numbers)s::int[], %(names)s::text[], %(slow_from)s::int[])
), bands AS (
    SELECT number, width_bucket(at, %(bounds)s::timestamptz[]) AS band, {calls} AS calls, {bad} AS bad
    FROM ({parts}) AS rows {grouped}
)
SELECT number, string_agg(band::text, ','), string_agg(bad::text, ','),
    string_agg(calls::text, ',')
FROM bands GROUP BY number
"""
# With so many bounds hardly two rows lie between the same two: to sort them would cost more.
_DENSE: Final = 1_000
_SINGLE: Final = {"calls": "calls", "bad": "bad", "grouped": ""}
_GROUPED: Final = {
    "calls": "sum(calls)::bigint", "bad": "sum(bad)::bigint", "grouped": "GROUP BY 1, 2",
}  # fmt: skip
_SETTLED: Final = "SELECT max(hour) - interval '1 hour' FROM analytics_callrolluphour"


def sums_between(
    slos: Iterable[Slo], bounds: Sequence[datetime], beside: Beside | None = None
) -> dict[UUID, Sums]:
    """For each objective the sums up to each of the ascending `bounds`, which are whole minutes.

    At most two queries for all objectives of traces, four for all of the time of checks and three
    for all of their runs.
    """
    calls, time, runs = _by_what_counts(slos)
    return {**_of_calls(calls, bounds, beside), **_of_time(time, bounds), **of_runs(runs, bounds)}


def day_sums(slos: Iterable[Slo], bounds: Sequence[datetime]) -> dict[UUID, Sums]:
    """The same over weeks, where all bounds but the last are whole hours: time is taken from the
    hours of checks, to the rounding of those. A constant number of queries."""
    calls, time, runs = _by_what_counts(slos)
    return {**_of_calls(calls, bounds), **_of_hours(time, bounds), **of_runs(runs, bounds)}


def slow_from_ms(threshold_ms: float) -> float:
    """From how long on a call counts as too slow, in milliseconds.

    Durations are counted in buckets whose bounds grow by a quarter. The calls in the bucket that
    the threshold lies in cannot be told apart: all of them count as quick enough, so that no call
    is called slow that was not. It is the bound of that bucket, at most a quarter above the
    threshold.
    """
    return UPPER_NS[bucket(round(threshold_ms * 1e6))] / 1e6


def slow_from(slo: Slo) -> float | None:
    """From how many milliseconds on something counts as too slow; None where nothing does."""
    if slo.threshold_ms is None:
        return None
    return (run_slow_from_ms if slo.terms.of_runs else slow_from_ms)(slo.threshold_ms)


def _by_what_counts(slos: Iterable[Slo]) -> tuple[list[Slo], list[Slo], list[Slo]]:
    """Those of calls, of time and of runs."""
    wanted = list(slos)
    calls = [each for each in wanted if each.source == SloSource.TRACES]
    time = [each for each in wanted if each.terms.of_time]
    return calls, time, [each for each in wanted if each.terms.of_runs]


# --- Calls ---------------------------------------------------------------------------------------


def _of_calls(
    slos: Sequence[Slo], bounds: Sequence[datetime], beside: Beside | None = None
) -> dict[UUID, Sums]:
    if not slos:
        return {}
    bands = np.zeros((2, len(slos), len(bounds)), dtype=np.int64)
    parts, parameters = _parts(bounds, _bad(slos), beside.minutely if beside else frozenset())
    services = sorted({each.service for each in slos})
    parameters |= {
        "numbers": list(range(len(slos))),
        "names": [each.service for each in slos],
        "slow_from": [first_slow_bucket(each) for each in slos],
        "services": services,
        "bounds": list(bounds),
    }
    with connection.cursor() as cursor:
        how = _SINGLE if len(bounds) > _DENSE else _GROUPED
        statement = _CALLS.format(parts=" UNION ALL ".join(parts), **how)
        if beside:
            statement, parameters = beside.joined(statement), parameters | beside.parameters
        cursor.execute(statement, parameters)
        for number, *texts in cursor.fetchall():
            if beside and number == BESIDE:
                beside.rows.append((texts[0], texts[1], texts[2]))
                continue
            band, bad, calls = (np.fromstring(text, np.int64, sep=",") for text in texts)
            np.add.at(bands[0, number], band, bad)
            np.add.at(bands[1, number], band, calls)
    summed = np.cumsum(bands, axis=2)
    return {each.id: Sums(summed[0, number], summed[1, number]) for number, each in enumerate(slos)}


def first_slow_bucket(slo: Slo) -> int | None:
    """The first bucket that is too slow, counted from 1 as PostgreSQL does."""
    if slo.kind != SloKind.LATENCY or slo.threshold_ms is None:
        return None
    return bucket(round(slo.threshold_ms * 1e6)) + 2


def _bad(slos: Iterable[Slo]) -> str:
    """What of a row of calls is bad: those that failed, or those in the buckets that are too slow.
    Adding each bucket by its subscript is several times faster than unnesting."""
    cases = [
        f"WHEN s.slow_from = {first} THEN "
        + (" + ".join(f"r.buckets[{each}]::bigint" for each in range(first, BUCKETS + 1)) or "0")
        for first in sorted({first_slow_bucket(each) or 0 for each in slos} - {0})
    ]
    return f"CASE {' '.join(cases)} ELSE r.errors END" if cases else "r.errors"


def _parts(
    bounds: Sequence[datetime], bad: str, minutely: Set[datetime]
) -> tuple[list[str], dict[str, Any]]:
    """The SQL of the rows that a range with these bounds is made of, and its parameters."""
    with connection.cursor() as cursor:
        cursor.execute(_SETTLED)
        settled = cursor.fetchone()[0]
    minutes = _minute_spans(bounds, settled, minutely)
    hours = _rest((bounds[0], bounds[-1]), minutes)
    parts: list[str] = []
    parameters: dict[str, Any] = {}
    for table, column, spans in (
        ("analytics_callrollup", "minute", minutes),
        ("analytics_callrolluphour", "hour", hours),
    ):
        for since, until in spans:
            place = len(parts)
            parts.append(_PART.format(table=table, column=column, place=place, bad=bad))
            parameters |= {f"from_{place}": since, f"to_{place}": until}
    return parts, parameters


def _minute_spans(
    bounds: Sequence[datetime], settled: datetime | None, minutely: Set[datetime]
) -> list[Span]:
    """Where minutes have to be read: in hours that a bound cuts, in those that are asked for by
    their minutes, and after the settled hours."""
    first, last = bounds[0], bounds[-1]
    if settled is None:
        return [(first, last)]
    cut = sorted({_hour(each) for each in bounds if each != _hour(each)} | minutely)
    spans = [(max(each, first), min(each + _HOUR, last)) for each in cut]
    if settled < last:
        spans.append((max(settled, first), last))
    joined: list[Span] = []
    for since, until in sorted(span for span in spans if span[0] < span[1]):
        if joined and since <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(until, joined[-1][1])
        else:
            joined.append((since, until))
    return joined if len(joined) <= _MOST_SPANS else [(first, last)]


def _rest(within: Span, taken: Sequence[Span]) -> list[Span]:
    """What of a range is not taken."""
    rest = []
    at, end = within
    for since, until in taken:
        if at < since:
            rest.append((at, since))
        at = until
    return [*rest, (at, end)] if at < end else rest


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


# --- Time ----------------------------------------------------------------------------------------


def _of_time(slos: Sequence[Slo], bounds: Sequence[datetime]) -> dict[UUID, Sums]:
    """By the worst critical check of each service at each moment. Down and unreachable are bad, up
    and degraded good; maintenance and what is not known count for neither."""
    if not slos:
        return {}
    services = {each.service for each in slos}
    wanted = [WantedService(name, bounds[0], bounds[-1]) for name in sorted(services)]
    segments: Mapping[str, Sequence[Segment]] = service_segments(wanted)
    places = np.array([_microseconds(each) for each in bounds], dtype=np.int64)
    of_service = {name: _spent(segments.get(name, ()), places) for name in services}
    return {each.id: of_service[each.service] for each in slos}


def _of_hours(slos: Sequence[Slo], bounds: Sequence[datetime]) -> dict[UUID, Sums]:
    if not slos:
        return {}
    found = service_bands({each.service for each in slos}, bounds[:-1], bounds[-1])
    summed = {}
    for name, bands in found.items():
        counted = [DEFAULT.apply(each) for each in bands]
        bad, good = (
            np.array([0, *(round(each * MILLION) for each in seconds)], dtype=np.int64).cumsum()
            for seconds in ([each.bad for each in counted], [each.good for each in counted])
        )
        summed[name] = Sums(bad, bad + good)
    return {each.id: summed[each.service] for each in slos}


def time_spent(segments: Sequence[Segment], bounds: Sequence[datetime]) -> Sums:
    """What was bad, and all, of segments up to each bound."""
    return _spent(segments, np.array([_microseconds(each) for each in bounds], dtype=np.int64))


def _spent(segments: Sequence[Segment], bounds: NDArray[np.int64]) -> Sums:
    bad = _covered(segments, DEFAULT.bad, bounds)
    return Sums(bad, bad + _covered(segments, DEFAULT.good, bounds))


def _covered(
    segments: Sequence[Segment], columns: frozenset[str], bounds: NDArray[np.int64]
) -> NDArray[np.int64]:
    """How many microseconds up to each bound the segments in one of the columns take."""
    starts, ends = [], []
    for each in segments:
        if each.column in columns:
            starts.append(_microseconds(each.start))
            ends.append(_microseconds(each.end))
    if not starts:
        return np.zeros(len(bounds), dtype=np.int64)
    begun, over = np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64)
    before = np.concatenate(([0], np.cumsum(over - begun)))
    # All that began before a bound, less what of the last one lies after it.
    place = np.searchsorted(begun, bounds, side="left")
    last = np.maximum(place - 1, 0)
    beyond = np.where(place > 0, np.maximum(over[last] - bounds, 0), 0)
    return before[place] - beyond


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
