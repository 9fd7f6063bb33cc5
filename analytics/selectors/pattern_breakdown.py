"""Where the errors of a pattern come from: operations, instances, environments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import connection

from resilience_site.core.timerange import TimeRange

# Counting more of them would cost by their number and tell no more.
MOST_ERRORS: Final = 1_000
_MOST_ROWS: Final = 6
_FIELDS: Final = ("operation", "instance", "environment")
_NEWEST = """
SELECT operation, instance, environment FROM analytics_errorevent
WHERE pattern_id = ANY(%s) AND occurred_at >= %s AND occurred_at < %s
ORDER BY occurred_at DESC LIMIT %s
"""


@dataclass(frozen=True)
class Share:
    """A value, and how many of the errors that were looked at have it."""

    value: str
    count: int


@dataclass(frozen=True)
class Breakdown:
    """The commonest values of each field among the newest `errors` of a range, and how many values
    each has in all."""

    errors: int
    operations: list[Share]
    instances: list[Share]
    environments: list[Share]
    values: dict[str, int]


def pattern_breakdown(family: Sequence[UUID], within: TimeRange) -> Breakdown:
    """What the newest errors of a pattern's family have in common."""
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, [list(family), within.since, within.until, MOST_ERRORS])
        rows = cursor.fetchall()
    shares = {}
    values = {}
    for position, field in enumerate(_FIELDS):
        counts: dict[str, int] = {}
        for row in rows:
            counts[row[position]] = counts.get(row[position], 0) + 1
        ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        shares[field] = [Share(*pair) for pair in ordered[:_MOST_ROWS]]
        values[f"{field}s"] = len(counts)
    return Breakdown(
        len(rows), shares["operation"], shares["instance"], shares["environment"], values
    )
