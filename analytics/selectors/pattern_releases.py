"""Reads of the versions that patterns were seen in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection

from analytics.models import PatternRelease


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


def pattern_releases(pattern_ids: Sequence[UUID]) -> dict[UUID, list[PatternRelease]]:
    """The versions that each pattern was seen in, the first one first."""
    found: dict[UUID, list[PatternRelease]] = {}
    rows = PatternRelease.objects.filter(pattern_id__in=list(pattern_ids))
    for row in rows.order_by("first_seen", "id"):
        found.setdefault(row.pattern_id, []).append(row)
    return found
