"""What services went through, as it was known while some of it was not found out yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection

from health.domain.availability import MAINTENANCE, Segment, combined, segments, underlying
from health.domain.timeline import UNKNOWN, Turn, stretches
from health.selectors.maintenance import Covering, windows_between

# Those that were found out late are few, and found by when they were.
_LATE: Final = """
SELECT c.service, s.since, s.at FROM health_statechange AS s
JOIN health_check AS c ON c.id = s.check_id
WHERE s.at > %(first)s + %(wait)s AND s.since < %(last)s AND s.at > s.since + %(wait)s
    AND c.critical AND c.service = ANY(%(names)s)
"""
# In the order of writing: what holds at the start, and all that was found out since.
_CHANGES: Final = """
SELECT c.service, c.id, s.id, s.at, s.since, s.from_state, s.state, s.own_state, s.culprit <> ''
FROM health_check AS c LEFT JOIN LATERAL (
    (SELECT * FROM health_statechange WHERE check_id = c.id AND since <= %(start)s
        AND at <= %(first)s + %(wait)s ORDER BY check_id DESC, id DESC LIMIT 1)
    UNION ALL
    (SELECT * FROM health_statechange
        WHERE check_id = c.id AND since > %(start)s AND since < %(last)s)
    UNION ALL
    (SELECT * FROM health_statechange
        WHERE check_id = c.id AND since <= %(start)s AND at > %(first)s + %(wait)s)
) AS s ON true
WHERE c.critical AND c.service = ANY(%(names)s) ORDER BY c.id, s.id
"""


@dataclass(frozen=True)
class KnownPart:
    """Ends at which the same was known of a service, and its columns as they were known then."""

    service: str
    ends: list[datetime]
    segments: Sequence[Segment]


class _Found(NamedTuple):
    """A turn and when it was found out."""

    at: datetime
    turn: Turn


def segments_before_found(
    services: Collection[str], ends: Sequence[datetime], length: timedelta, wait: timedelta
) -> Iterator[KnownPart]:
    """For each of the ascending ends at which a change of a critical check that holds before it was
    not found out within `wait` after it: the columns of the service's `length` before, by what had
    been. Nothing for all other ends. At most three queries."""
    start = ends[0] - length
    asked: dict[str, Any] = {
        "first": ends[0], "last": ends[-1], "start": start, "wait": wait,
        "names": sorted(services),
    }  # fmt: skip
    late: defaultdict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_LATE, asked)
        for service, since, at in cursor.fetchall():
            late[service].append((since, at))
        if not late:
            return
        cursor.execute(_CHANGES, asked | {"names": sorted(late)})
        changes: defaultdict[str, defaultdict[UUID, list[_Found]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for service, check_id, number, at, since, before, state, own, blamed in cursor.fetchall():
            of_check = changes[service][check_id]
            if number is not None:
                before = UNKNOWN if before == MAINTENANCE else before
                of_check.append(_Found(at, Turn(since, before, underlying(state, own, blamed))))
    covering = Covering(windows_between(start, ends[-1]))
    for service, those in late.items():
        for unknown, run in groupby(ends, lambda end, of=those: _unknown(of, end, wait)):  # type: ignore[misc]
            if unknown:
                some = list(run)
                checks = changes[service]
                found = _columns(service, checks, covering, some[0] - length, some, wait)
                yield KnownPart(service, some, found)


def _unknown(
    late: Sequence[tuple[datetime, datetime]], end: datetime, wait: timedelta
) -> frozenset[tuple[datetime, datetime]]:
    return frozenset(each for each in late if each[0] < end and each[1] > end + wait)


def _columns(
    service: str,
    checks: dict[UUID, list[_Found]],
    covering: Covering,
    start: datetime,
    ends: Sequence[datetime],
    wait: timedelta,
) -> Sequence[Segment]:
    """What changes later than the last end is of no account before it."""
    by = ends[-1] + wait
    parts = []
    for check_id, found in checks.items():
        turns = [each.turn for each in found if each.at <= by]
        whole = stretches(turns, start, ends[-1], UNKNOWN)
        parts.append(segments(whole, covering.of(check_id, service)))
    return combined(parts)
