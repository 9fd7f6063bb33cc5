"""Windows of burn rates as they were known at their ends.

Calls that came late are in the figures of their minutes and hours; what of them was not known yet
is taken away. Of checks, the few ends at which a change of state was not found out yet are worked
out again without it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np
from django.db import connection

from analytics.choices import SloSource
from analytics.domain.histogram import BUCKETS
from analytics.domain.known import (
    KNOWN_AFTER,
    MINUTE,
    Ints,
    Late,
    minute_number,
    minute_start,
    missing,
)
from analytics.domain.slos.burning import Windows
from analytics.domain.slos.objectives import WINDOWS
from analytics.models import Slo
from analytics.selectors.slo_beside import BESIDE, Beside
from analytics.selectors.slo_counts import first_slow_bucket, time_spent
from analytics.selectors.slos import burn_windows
from health.selectors.known_timelines import segments_before_found

_LONGEST: Final = timedelta(seconds=WINDOWS[-1])
# What was stored while hours were being summed up may have come too late for them.
_SUMMING: Final = timedelta(minutes=5)
# The newest hour is summed up at every run, unless nothing comes at all.
_SUMMED: Final = """
SELECT max(changed_at) FROM analytics_callrolluphour
WHERE hour >= (SELECT max(hour) FROM analytics_callrolluphour)
"""
_UNSUMMED: Final = """
SELECT DISTINCT date_trunc('hour', minute, 'UTC') FROM analytics_latefigure
WHERE kind = 'calls' AND minute >= %s AND minute < %s AND known_from > %s
"""
_LATE: Final = f"""
SELECT {BESIDE}, service, concat_ws(',', extract(epoch FROM minute)::bigint / 60,
    extract(epoch FROM known_from)::bigint / 60, calls, errors), buckets::text
FROM analytics_latefigure
WHERE kind = 'calls' AND minute >= %(late_since)s AND minute < %(late_until)s
    AND known_from > %(late_after)s AND service = ANY(%(services)s::text[])
"""


class _Row(NamedTuple):
    """A late part, its minute and the first end that knows of it as numbers of minutes."""

    minute: int
    known: int
    calls: int
    errors: int
    buckets: list[int]


def windows_known(slos: Iterable[Slo], ends: Sequence[datetime]) -> dict[UUID, list[Windows]]:
    """As `burn_windows`, with what was known at each of the ends, each a minute after the one
    before."""
    wanted = list(slos)
    if not wanted or not ends:
        return burn_windows(wanted, ends)
    calls = [each for each in wanted if each.source == SloSource.TRACES]
    others = [each for each in wanted if each.source != SloSource.TRACES]
    found = burn_windows(others, ends)
    found |= _before_found([each for each in others if each.terms.of_time], found, ends)
    return found | _of_calls(calls, ends)


# --- Calls ---------------------------------------------------------------------------------------


def _of_calls(slos: Sequence[Slo], ends: Sequence[datetime]) -> dict[UUID, list[Windows]]:
    if not slos:
        return {}
    found, late = _read(slos, ends)
    return {
        each.id: _less(found[each.id], _late(each, late[each.service]))
        if each.service in late
        else found[each.id]
        for each in slos
    }


def _read(
    slos: Sequence[Slo], ends: Sequence[datetime]
) -> tuple[dict[UUID, list[Windows]], dict[str, list[_Row]]]:
    """All that is there, and what of it came late, by service. Hours that something came to since
    they were summed up are read by their minutes, once more where it came just now."""
    within = {"late_since": ends[0] - _LONGEST, "late_until": ends[-1], "late_after": ends[0]}
    with connection.cursor() as cursor:
        cursor.execute(_SUMMED)
        (summed,) = cursor.fetchone()
        since = None if summed is None else summed - _SUMMING - KNOWN_AFTER
        hours: frozenset[datetime] = frozenset()
        if since is not None:
            cursor.execute(_UNSUMMED, [within["late_since"], ends[-1], since])
            hours = frozenset(row[0] for row in cursor.fetchall())
    timed = any(first_slow_bucket(each) is not None for each in slos)
    while True:
        beside = Beside(_LATE, dict(within), hours)
        found = burn_windows(slos, ends, beside)
        late: defaultdict[str, list[_Row]] = defaultdict(list)
        for service, counts, buckets in beside.rows:
            minute, known, calls, errors = (int(each) for each in counts.split(","))
            durations = [int(each) for each in buckets[1:-1].split(",")] if timed else []
            late[service].append(_Row(minute, known, calls, errors, durations))
        fresh = {
            minute_start(row.minute).replace(minute=0)
            for rows in late.values()
            for row in rows
            if since is not None and row.known > minute_number(since)
        } - hours
        if not fresh:
            return found, late
        hours |= fresh


def _late(slo: Slo, rows: Sequence[_Row]) -> Late:
    """What was bad, and all, of late calls."""
    slow = first_slow_bucket(slo)
    bad = [row.errors if slow is None else sum(row.buckets[slow - 1 : BUCKETS]) for row in rows]
    minutes, known, calls = (
        np.array([getattr(row, name) for row in rows], dtype=np.int64)
        for name in ("minute", "known", "calls")
    )
    return Late(minutes, known, np.stack([np.array(bad, dtype=np.int64), calls], axis=1))


def _less(windows: Sequence[Windows], late: Late) -> list[Windows]:
    first, count = minute_number(windows[0].at), len(windows)
    less: list[Ints] = [
        missing(late, first, count, timedelta(seconds=seconds) // MINUTE) for seconds in WINDOWS
    ]
    bad, total = (np.stack([each[:, n] for each in less], axis=1).tolist() for n in (0, 1))
    return [
        Windows(
            each.at,
            tuple(a - b for a, b in zip(each.bad, bad[n], strict=True)),
            tuple(a - b for a, b in zip(each.total, total[n], strict=True)),
        )
        for n, each in enumerate(windows)
    ]


# --- Time ----------------------------------------------------------------------------------------


def _before_found(
    slos: Sequence[Slo], found: Mapping[UUID, Sequence[Windows]], ends: Sequence[datetime]
) -> dict[UUID, list[Windows]]:
    """Of the services of which something was found out late, the ends before that."""
    again: dict[str, dict[datetime, Windows]] = {}
    names = {each.service for each in slos}
    for part in segments_before_found(names, ends, _LONGEST, KNOWN_AFTER) if names else ():
        bounds = sorted(
            {*part.ends, *(end - timedelta(seconds=s) for end in part.ends for s in WINDOWS)}
        )
        sums = time_spent(part.segments, bounds)
        place = {bound: number for number, bound in enumerate(bounds)}
        for end in part.ends:
            counts = [
                sums.between(place[end - timedelta(seconds=seconds)], place[end])
                for seconds in WINDOWS
            ]
            again.setdefault(part.service, {})[end] = Windows(
                end, tuple(each.bad for each in counts), tuple(each.total for each in counts)
            )
    return {
        each.id: [again[each.service].get(windows.at, windows) for windows in found[each.id]]
        for each in slos
        if each.service in again
    }
