"""Patterns that are shown as one: the pattern that others were put into, and its members.

A pattern's own row counts its own errors alone; whatever is read of it includes its members.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import (
    Aggregate,
    BigIntegerField,
    F,
    Max,
    Min,
    OuterRef,
    QuerySet,
    Subquery,
    Sum,
)
from django.db.models.functions import Cast, Coalesce, Greatest, Least

from analytics.models import ErrorPattern, PatternMerge

# The ids of a family, as SQL: give the pattern's id twice.
FAMILY = (
    "(ARRAY[%s::uuid] || ARRAY(SELECT id FROM analytics_errorpattern WHERE merged_into = %s::uuid))"
)


def families() -> QuerySet[Any]:
    """The patterns that are shown, each with `whole_count`, `whole_first_seen` and
    `whole_last_seen` of it and its members."""
    return with_members(ErrorPattern.objects.filter(merged_into__isnull=True))


def with_members(rows: QuerySet[ErrorPattern]) -> QuerySet[Any]:
    """Patterns with the figures of their families."""

    def of_members(what: Aggregate) -> Subquery:
        inner = ErrorPattern.objects.filter(merged_into=OuterRef("id")).order_by()
        return Subquery(inner.values("merged_into").annotate(figure=what).values("figure"))

    return rows.annotate(
        whole_count=F("count") + Cast(Coalesce(of_members(Sum("count")), 0), BigIntegerField()),
        whole_first_seen=Least("first_seen", of_members(Min("first_seen"))),
        whole_last_seen=Greatest("last_seen", of_members(Max("last_seen"))),
    )


def as_whole(patterns: Iterable[Any]) -> list[ErrorPattern]:
    """The patterns of `families()` whose fields tell their family's figures; not to be saved."""
    whole: list[Any] = list(patterns)
    for pattern in whole:
        pattern.count = pattern.whole_count
        pattern.first_seen = pattern.whole_first_seen
        pattern.last_seen = pattern.whole_last_seen
    return whole


def members(pattern_id: UUID) -> QuerySet[ErrorPattern]:
    """The patterns that are shown as part of one, most errors first."""
    return ErrorPattern.objects.filter(merged_into=pattern_id).order_by("-count", "id")


def members_of(ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """The ids of each pattern's family, itself first."""
    found = {pattern_id: [pattern_id] for pattern_id in ids}
    rows = ErrorPattern.objects.filter(merged_into__in=list(found)).order_by("id")
    for member, into in rows.values_list("id", "merged_into"):
        assert into is not None
        found[into].append(member)
    return found


def family_ids(pattern_id: UUID) -> list[UUID]:
    """The ids of a pattern and of its members."""
    return members_of([pattern_id])[pattern_id]


def family_count(pattern_id: UUID) -> int:
    """How many errors a pattern and its members have."""
    rows = ErrorPattern.objects.filter(id__in=family_ids(pattern_id))
    return sum(rows.values_list("count", flat=True))


def merges_standing(pattern_ids: Sequence[UUID]) -> dict[UUID, PatternMerge]:
    """The merge that holds for each of the patterns that were put into another one."""
    rows = PatternMerge.objects.filter(pattern_id__in=list(pattern_ids), undone_at__isnull=True)
    return {row.pattern_id: row for row in rows.order_by("made_at")}
