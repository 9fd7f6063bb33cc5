"""Reads of the relationship map: which pattern precedes which, and how many errors they had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from analytics.models import ErrorPattern, PatternRelation
from resilience_site.core.formatting import percent
from resilience_site.core.timerange import TimeRange

# Of the API's list of patterns, and of what one page tells.
MOST_PATTERNS = 500
MOST_RELATIONS = 200


@dataclass(frozen=True)
class Related:
    """A relation with the patterns at both ends."""

    relation: PatternRelation
    before: ErrorPattern
    after: ErrorPattern

    @property
    def confidence_text(self) -> str:
        """The share of the first one's spells that were followed, in per cent."""
        return percent(self.relation.confidence, 1)

    @property
    def expected_text(self) -> str:
        """The share by chance, in per cent."""
        return percent(self.relation.expected, 1)


@dataclass(frozen=True)
class RelationMap:
    """The relations that are shown, surest first, out of `total`; `within` is the day that they were found in, None where
    none is known."""

    relations: list[Related]
    total: int
    within: TimeRange | None

    @property
    def left_out(self) -> int:
        return self.total - len(self.relations)


def relation_map(service: str = "", limit: int = MOST_RELATIONS) -> RelationMap:
    """The relations of all patterns, or of those of one service with any other."""
    rows = PatternRelation.objects.all()
    if service:
        of_service = ErrorPattern.objects.filter(service=service).values("id")
        rows = rows.filter(Q(before_id__in=of_service) | Q(after_id__in=of_service))
    found = list(_surest(rows))
    shown = _joined(found[:limit])
    within = TimeRange(found[0].since, found[0].until) if found else None
    return RelationMap(shown, len(found), within)


def pattern_related(pattern_id: UUID) -> list[Related]:
    """The relations of one pattern, what comes before it and what comes after, surest first."""
    rows = PatternRelation.objects.filter(Q(before_id=pattern_id) | Q(after_id=pattern_id))
    return _joined(_surest(rows)[:MOST_RELATIONS])


def patterns_seen(
    within: TimeRange, service: str = "", limit: int = MOST_PATTERNS
) -> list[tuple[ErrorPattern, int]]:
    """The patterns with errors in a range, each with their number, most first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COALESCE(p.merged_into, p.id) AS shown, sum(r.errors)::bigint AS errors "
            "FROM analytics_errorrollup r JOIN analytics_errorpattern p ON p.id = r.pattern_id "
            "WHERE r.minute >= %s AND r.minute < %s AND (%s = '' OR r.service = %s) "
            "GROUP BY shown ORDER BY errors DESC, shown LIMIT %s",
            [_minute(within.since), within.until, service, service, limit],
        )
        counts = dict(cursor.fetchall())
    patterns = ErrorPattern.objects.in_bulk(counts)
    return [(patterns[key], count) for key, count in counts.items() if key in patterns]


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _surest(rows: QuerySet[PatternRelation]) -> QuerySet[PatternRelation]:
    return rows.order_by("-confidence", "-support", "-lift", "id")


def _joined(rows: Iterable[PatternRelation]) -> list[Related]:
    found = list(rows)
    ends = {key for row in found for key in (row.before_id, row.after_id)}
    patterns: Mapping[UUID, ErrorPattern] = ErrorPattern.objects.in_bulk(ends)
    return [
        Related(row, patterns[row.before_id], patterns[row.after_id])
        for row in found
        if row.before_id in patterns and row.after_id in patterns
    ]
