"""Reads of versions of services: which appeared when, and what changed with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from analytics.domain.differences.proportions import Change, change, p_value
from analytics.domain.name_limits import OTHER_VERSIONS
from analytics.models import Release
from resilience_site.core.timerange import TimeRange

_Row = tuple[Any, ...]

AROUND = timedelta(minutes=30)
MOST_RELEASES = 100
MOST_PATTERNS = 5

# A version follows another of the same service and environment; `ends_at` is when it was followed.
# Those that had no room, all as one, follow none.
# Read from the index of (service, environment, version): a service has few versions.
_RELEASES = """
SELECT id, service, environment, version, first_seen, last_seen, previous, ends_at FROM (
    SELECT r.*, lag(version) OVER w AS previous, lead(first_seen) OVER w AS ends_at
    FROM analytics_release r
    WHERE %(service)s IN ('', service) AND first_seen < %(until)s
    WINDOW w AS (
        PARTITION BY service, environment, version = %(others)s ORDER BY first_seen, version)
) AS rows
WHERE first_seen >= %(since)s ORDER BY first_seen DESC, id DESC LIMIT %(limit)s
"""

# The bounds of all releases together let the planner leave out days; each release then reads its
# hour by the index of (service, operation, minute). The running minute belongs to neither side.
_CALLS = """
SELECT r.id,
    coalesce(sum(c.calls) FILTER (WHERE c.minute < r.minute), 0)::bigint,
    coalesce(sum(c.errors) FILTER (WHERE c.minute < r.minute), 0)::bigint,
    coalesce(sum(c.calls) FILTER (WHERE c.minute > r.minute), 0)::bigint,
    coalesce(sum(c.errors) FILTER (WHERE c.minute > r.minute), 0)::bigint
FROM unnest(%(ids)s::bigint[], %(services)s::text[], %(minutes)s::timestamptz[])
    AS r (id, service, minute)
JOIN analytics_callrollup c ON c.service = r.service AND c.operation = ''
    AND c.minute >= r.minute - %(around)s AND c.minute <= r.minute + %(around)s
    AND c.minute >= %(oldest)s AND c.minute <= %(newest)s
GROUP BY r.id
"""

_PATTERNS = """
SELECT r.id, count(*), (array_agg(p.id ORDER BY p.count DESC, p.id))[:%(most)s]
FROM unnest(%(ids)s::bigint[], %(services)s::text[], %(starts)s::timestamptz[],
    %(ends)s::timestamptz[]) AS r (id, service, starts, ends)
JOIN analytics_errorpattern p ON p.service = r.service AND p.last_seen >= r.starts
    AND p.first_seen >= r.starts AND p.first_seen < r.ends AND p.merged_into IS NULL
GROUP BY r.id
"""


@dataclass(frozen=True)
class ReleaseEffect:
    """A version and what came with it.

    Calls and errors are the entry calls of the service (of all its environments) in the 30
    minutes before and after the minute in which the version appeared. New patterns are those
    first seen while it was the newest.
    """

    id: int
    service: str
    environment: str
    version: str
    previous: str
    first_seen: datetime
    last_seen: datetime
    calls_before: int
    errors_before: int
    calls_after: int
    errors_after: int
    new_patterns: int
    pattern_ids: tuple[UUID, ...]

    @property
    def folded(self) -> bool:
        """Whether it stands for all versions that had no room; then it began with the first."""
        return self.version == OTHER_VERSIONS

    @property
    def change(self) -> Change:
        return change(self.errors_after, self.calls_after, self.errors_before, self.calls_before)

    @property
    def p_value(self) -> float:
        return p_value(self.errors_after, self.calls_after, self.errors_before, self.calls_before)

    @property
    def ratio_before(self) -> float | None:
        return self.errors_before / self.calls_before if self.calls_before else None

    @property
    def ratio_after(self) -> float | None:
        return self.errors_after / self.calls_after if self.calls_after else None


def release_marks(within: TimeRange, service: str = "") -> list[Release]:
    """Versions that appeared in a range, newest first: the marks of charts."""
    rows = Release.objects.filter(first_seen__gte=within.since, first_seen__lt=within.until)
    if service:
        rows = rows.filter(service=service)
    return list(rows.order_by("-first_seen", "-id")[:MOST_RELEASES])


def release_effects(within: TimeRange, service: str = "") -> list[ReleaseEffect]:
    """Versions that appeared in a range with what came with each, newest first; at most 100."""
    parameters: dict[str, Any] = {
        "service": service,
        "since": within.since,
        "until": within.until,
        "limit": MOST_RELEASES,
        "others": OTHER_VERSIONS,
    }
    with connection.cursor() as cursor:
        cursor.execute(_RELEASES, parameters)
        releases = cursor.fetchall()
    if not releases:
        return []
    counts = _by_release(_CALLS, _call_parameters(releases))
    patterns = _by_release(_PATTERNS, _pattern_parameters(releases, within.until))
    return [_effect(row, counts.get(row[0]), patterns.get(row[0])) for row in releases]


def _effect(row: _Row, counted: _Row | None, found: _Row | None) -> ReleaseEffect:
    release, service, environment, version, first_seen, last_seen, previous, _ = row
    calls_before, errors_before, calls_after, errors_after = counted or (0, 0, 0, 0)
    new_patterns, pattern_ids = found or (0, ())
    return ReleaseEffect(
        id=release,
        service=service,
        environment=environment,
        version=version,
        previous=previous or "",
        first_seen=first_seen,
        last_seen=last_seen,
        calls_before=calls_before,
        errors_before=errors_before,
        calls_after=calls_after,
        errors_after=errors_after,
        new_patterns=new_patterns,
        pattern_ids=tuple(pattern_ids),
    )


def _by_release(query: str, parameters: dict[str, Any]) -> dict[int, _Row]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return {row[0]: row[1:] for row in cursor.fetchall()}


def _call_parameters(releases: Sequence[_Row]) -> dict[str, Any]:
    minutes = [row[4].replace(second=0, microsecond=0) for row in releases]
    return {
        "ids": [row[0] for row in releases],
        "services": [row[1] for row in releases],
        "minutes": minutes,
        "around": AROUND,
        "oldest": min(minutes) - AROUND,
        "newest": max(minutes) + AROUND,
    }


def _pattern_parameters(releases: Sequence[_Row], until: datetime) -> dict[str, Any]:
    return {
        "ids": [row[0] for row in releases],
        "services": [row[1] for row in releases],
        "starts": [row[4] for row in releases],
        "ends": [row[7] or until for row in releases],
        "most": MOST_PATTERNS,
    }
