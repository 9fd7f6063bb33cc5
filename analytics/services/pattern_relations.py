"""Finding which pattern precedes which, over the last day, again and again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction

from analytics.choices import DirectedBy
from analytics.domain.relations import Relation, relations
from analytics.models import PatternRelation
from analytics.selectors.relation_onsets import RANGE, WITHIN, onsets_read
from analytics.selectors.rollups import edge_list
from resilience_site.config import config
from resilience_site.core import journal
from resilience_site.core.timerange import TimeRange

# The surest; more no screen shows and no person reads.
MOST_RELATIONS = 1_000
_ONE_AT_A_TIME = 0x72656C61


def pattern_relations_find(*, now: datetime) -> int:
    """Find the relations of the patterns of the last day and keep them in place of the former ones;
    returns how many there are.

    Writes nothing where nothing changed. Journal entry: topic `patterns`, kind `relations.found`,
    empty key, payload `{"relations": N}`.
    """
    if not (
        config.error_analytics_enabled
        and config.error_pattern_analysis_enabled
        and config.error_correlation_enabled
    ):
        return 0
    until = now.replace(second=0, microsecond=0)
    within = TimeRange(until - RANGE, until)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_ONE_AT_A_TIME])
            if not cursor.fetchone()[0]:
                return 0
        found = _find(within)[:MOST_RELATIONS]
        before = _known()
        rows = [_row(each, within) for each in found]
        kept = {(row.before_id, row.after_id) for row in rows}
        gone = [key for pair, key in before.items() if pair not in kept]
        PatternRelation.objects.filter(id__in=gone).delete()
        PatternRelation.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["before_id", "after_id"],
            update_fields=[
                f.name
                for f in PatternRelation._meta.concrete_fields
                if f.name not in ("id", "before_id", "after_id")
            ],
        )
        if gone or kept - before.keys():
            journal.append(
                [journal.Entry("patterns", "relations.found", "", payload={"relations": len(rows)})]
            )
    return len(rows)


def _find(within: TimeRange) -> list[Relation[UUID]]:
    onsets, services = onsets_read(within)
    edges = {(edge.caller, edge.callee) for edge in edge_list(within)}
    return relations(
        onsets,
        length=within.length.total_seconds(),
        within=WITHIN.total_seconds(),
        calls=lambda caller, callee: (services[caller], services[callee]) in edges,
        same_clock=lambda one, other: services[one] == services[other],
    )


def _known() -> Mapping[tuple[UUID, UUID], int]:
    rows = PatternRelation.objects.values_list("before_id", "after_id", "id")
    return {(before, after): key for before, after, key in rows}


def _row(found: Relation[UUID], within: TimeRange) -> PatternRelation:
    return PatternRelation(
        before_id=found.before,
        after_id=found.after,
        support=found.support,
        confidence=found.confidence,
        lift=found.lift,
        lag_seconds=found.lag,
        before_spells=found.before_spells,
        after_spells=found.after_spells,
        expected=found.expected,
        within_seconds=int(WITHIN / timedelta(seconds=1)),
        directed_by=DirectedBy.DEPENDENCY if found.by_dependency else DirectedBy.LAG,
        since=within.since,
        until=within.until,
    )
