"""What checks went through, from their changes of state and the maintenance windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection

from health.domain.availability import MAINTENANCE, Segment, combined, segments, underlying
from health.domain.timeline import UNKNOWN, Turn, stretches
from health.selectors.arrays import array_text
from health.selectors.maintenance import Covering, windows_between

# In the order of writing: the last one written holds from its `since` on, whatever stood there.
# What holds at the start is found from the newest backwards, so recent starts cost one row.
_CHANGES: Final = """
SELECT k.id, c.since, c.from_state, c.state, c.own_state, c.culprit <> ''
FROM unnest(%s::uuid[], %s::timestamptz[], %s::timestamptz[]) AS k (id, start, until)
CROSS JOIN LATERAL (
    (SELECT * FROM health_statechange WHERE check_id = k.id AND since <= k.start
     ORDER BY check_id DESC, id DESC LIMIT 1)
    UNION ALL
    (SELECT * FROM health_statechange
     WHERE check_id = k.id AND since > k.start AND since < k.until)
) c ORDER BY c.id
"""


# Of most checks nothing changes within the time: only in which states a service's are is read. The
# others are told one by one.
_OF_SERVICES: Final = """
SELECT k.name, each.id, CASE WHEN each.id IS NULL THEN b.state END,
    CASE WHEN each.id IS NULL THEN b.own_state END, CASE WHEN each.id IS NULL THEN b.culprit <> '' END
FROM unnest(%(names)s::text[], %(starts)s::timestamptz[], %(untils)s::timestamptz[],
    %(covered)s::bool[]) AS k (name, start, until, covered)
JOIN health_check c ON c.service = k.name AND c.critical
LEFT JOIN LATERAL (
    SELECT * FROM health_statechange WHERE check_id = c.id AND since <= k.start
    ORDER BY check_id DESC, id DESC LIMIT 1
) b ON true
CROSS JOIN LATERAL (SELECT CASE WHEN k.covered OR c.id = ANY(%(checks)s::uuid[]) OR EXISTS (
    SELECT FROM health_statechange
    WHERE check_id = c.id AND since > k.start AND since < k.until
) THEN c.id END AS id) AS each
GROUP BY 1, 2, 3, 4, 5
"""


@dataclass(frozen=True)
class Wanted:
    """A check of `service` from `start` to `until`."""

    check_id: UUID
    service: str
    start: datetime
    until: datetime


def segments_of(wanted: Sequence[Wanted]) -> dict[UUID, list[Segment]]:
    """For each check the columns of its whole time, without gaps; two queries.

    What no change tells of is unknown.
    """
    if not wanted:
        return {}
    turns = _turns(wanted)
    windows = Covering(
        windows_between(min(each.start for each in wanted), max(each.until for each in wanted))
    )
    return {
        each.check_id: segments(
            stretches(turns.get(each.check_id, ()), each.start, each.until, UNKNOWN),
            windows.of(each.check_id, each.service),
        )
        for each in wanted
    }


@dataclass(frozen=True)
class WantedService:
    """A service from `start` to `until`."""

    name: str
    start: datetime
    until: datetime


def service_segments(wanted: Sequence[WantedService]) -> dict[str, list[Segment]]:
    """For each service that has critical checks the columns of the worst of them at each moment,
    without gaps; at most four queries."""
    if not wanted:
        return {}
    windows = windows_between(min(w.start for w in wanted), max(w.until for w in wanted))
    with connection.cursor() as cursor:
        cursor.execute(
            _OF_SERVICES,
            {
                "names": array_text(each.name for each in wanted),
                "starts": array_text(each.start for each in wanted),
                "untils": array_text(each.until for each in wanted),
                "covered": [
                    any(window.everything or each.name in window.services for window in windows)
                    for each in wanted
                ],
                "checks": array_text({check for window in windows for check in window.checks}),
            },
        )
        rows = cursor.fetchall()
    ranges = {each.name: each for each in wanted}
    parts: dict[str, list[list[Segment]]] = {}
    single = []
    for name, check_id, *base in rows:
        start, until = ranges[name].start, ranges[name].until
        if check_id is not None:
            single.append(Wanted(check_id, name, start, until))
        else:
            column = UNKNOWN if base[0] is None else underlying(*base)
            parts.setdefault(name, []).append([Segment(start, until, column)])
    segments_of_single = segments_of(single)
    for each in single:
        parts.setdefault(each.service, []).append(segments_of_single[each.check_id])
    return {name: combined(of_checks) for name, of_checks in parts.items()}


def _turns(wanted: Sequence[Wanted]) -> dict[UUID, list[Turn]]:
    turns: dict[UUID, list[Turn]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            _CHANGES,
            [
                array_text(each.check_id for each in wanted),
                array_text(each.start for each in wanted),
                array_text(each.until for each in wanted),
            ],
        )
        for check_id, since, before, state, own_state, blamed in cursor.fetchall():
            turns.setdefault(check_id, []).append(
                Turn(
                    since,
                    UNKNOWN if before == MAINTENANCE else before,
                    underlying(state, own_state, blamed),
                )
            )
    return turns
