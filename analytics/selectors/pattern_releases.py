"""Reads of the versions that patterns were seen in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection


def versions_known(service: str, pattern_ids: Sequence[UUID]) -> dict[str, datetime]:
    """When each version of a service was first seen, by its telemetry or by these patterns."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT version, min(first_seen) FROM ("
            "SELECT version, first_seen FROM analytics_release WHERE service = %s UNION ALL "
            "SELECT version, first_seen FROM analytics_patternrelease WHERE pattern_id = ANY(%s)"
            ") AS known GROUP BY version",
            [service, list(pattern_ids)],
        )
        return dict(cursor.fetchall())


def version_newest(service: str, pattern_ids: Sequence[UUID]) -> str:
    """The version that was first seen last, "" where none is known."""
    known = versions_known(service, pattern_ids)
    return max(known, key=lambda version: (known[version], version), default="")


_OF_FAMILIES = """
SELECT key, version, sum(r.count)::bigint, min(r.first_seen), max(r.last_seen) FROM (
    SELECT id AS key, id AS member FROM unnest(%s::uuid[]) AS asked (id) UNION ALL
    SELECT merged_into, id FROM analytics_errorpattern WHERE merged_into = ANY(%s)
) AS family JOIN analytics_patternrelease AS r ON r.pattern_id = member
GROUP BY key, version ORDER BY min(r.first_seen), version
"""


@dataclass(frozen=True)
class SeenIn:
    """A version that a pattern or its members were seen in, and with how many errors."""

    version: str
    count: int
    first_seen: datetime
    last_seen: datetime


def pattern_releases(pattern_ids: Sequence[UUID]) -> dict[UUID, list[SeenIn]]:
    """The versions that each pattern was seen in, the first one first."""
    found: dict[UUID, list[SeenIn]] = {}
    if pattern_ids:
        with connection.cursor() as cursor:
            cursor.execute(_OF_FAMILIES, [list(pattern_ids)] * 2)
            for key, *row in cursor.fetchall():
                found.setdefault(key, []).append(SeenIn(*row))
    return found


def version_span(pattern_ids: Sequence[UUID]) -> dict[UUID, tuple[str, str]]:
    """The first and the last version that each pattern was seen in; none for those without."""
    return {
        key: (seen[0].version, max(seen, key=lambda each: each.last_seen).version)
        for key, seen in pattern_releases(pattern_ids).items()
    }
