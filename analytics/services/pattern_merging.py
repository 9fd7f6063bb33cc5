"""The second pass over messages: patterns of one service and type that one template explains.

At ingest a message decides by itself which pattern it belongs to, so a word that varies makes as
many patterns as there are words. Here the patterns of a service are compared with each other, by
the code that groups a file of messages. The largest becomes the one that the others are shown as
part of (`merged_into`); members keep their rows and counts.

What people did stays: a pattern that somebody parted from another is not put together with it
again, one that was resolved or ignored alone is left alone, and families stay as they are but for
what joins them. Nothing is remembered between runs: what is together already is left as it is.

Each merge is told in the journal, topic patterns: kind `pattern.merged`, key the pattern that is
shown, payload `{"pattern_id", "into_id", "origin", "reason", "template"}`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction

from analytics.choices import MergeOrigin, PatternState
from analytics.domain.fingerprints import MESSAGE_RULE
from analytics.domain.templates.explaining import written
from analytics.domain.templates.refining import Limits, refine
from analytics.domain.templates.tokens import Shape, shape_of_pattern
from analytics.models import ErrorPattern, PatternMerge
from resilience_site.config import config
from resilience_site.core import journal
from resilience_site.core.choices import Topic

MACHINE = "second pass over messages"
# Groups in which nothing was seen for longer do not change.
_RECENT = timedelta(hours=1)
_MOST_GROUPS = 100
_MOST_PATTERNS = 2_000
_MOST_MERGES = 500
MERGE_LOCK = 0x6D65726765
# Ingest took out what varies by its looks, and names of dependencies tell failures apart.
_LIMITS = Limits(looks=False)
_DECIDED = (PatternState.RESOLVED, PatternState.IGNORED)


class Merge(NamedTuple):
    """A pattern that becomes part of another one, and why."""

    pattern: ErrorPattern
    into: ErrorPattern
    reason: str
    template: str


def patterns_merge(*, now: datetime) -> int:
    """Put together what one template explains; returns how many patterns were merged.

    A bounded number a run; the rest follows in the next. Where another worker is at it, this one
    leaves it to that.
    """
    if not (config.error_analytics_enabled and config.error_pattern_analysis_enabled):
        return 0
    merged = 0
    for service, type_ in _groups(now):
        merged += _group_merge(service, type_, _MOST_MERGES - merged, now)
        if merged >= _MOST_MERGES:
            break
    return merged


def _group_merge(service: str, type_: str, most: int, now: datetime) -> int:
    """Merge the patterns of one service and type, in a transaction of its own."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [MERGE_LOCK])
        if not cursor.fetchone()[0]:
            return 0
        merges = _as_decided(_merges_of(service, type_)[:most])
        journal.append(_write(merges, now))
    return len(merges)


_GROUPS = """
SELECT service, type FROM analytics_errorpattern
WHERE rule = %s
GROUP BY service, type
HAVING count(*) > 1 AND max(last_seen) >= %s
    AND bool_or(merged_into IS NULL AND state NOT IN ('resolved', 'ignored'))
ORDER BY max(first_seen) DESC, service, type
LIMIT %s
"""


def _groups(now: datetime) -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(_GROUPS, [MESSAGE_RULE, now - _RECENT, _MOST_GROUPS])
        return cursor.fetchall()


def _merges_of(service: str, type_: str) -> list[Merge]:
    rows = ErrorPattern.objects.filter(service=service, type=type_, rule=MESSAGE_RULE)
    newest = rows.order_by("-last_seen", "-id").values("id")[:_MOST_PATTERNS]
    joined = rows.filter(id__in=newest, merged_into__isnull=False)
    wanted = {*newest.values_list("id", flat=True)}
    wanted |= {into for into in joined.values_list("merged_into", flat=True) if into is not None}
    patterns = list(ErrorPattern.objects.filter(id__in=wanted).order_by("id"))
    families = _Families(patterns)
    shapes = {pattern.id: shape_of_pattern(pattern.template) for pattern in patterns}
    counts: dict[Shape, int] = defaultdict(int)
    for pattern in patterns:
        counts[shapes[pattern.id]] += pattern.count
    templates = refine(counts, _LIMITS)
    alike: dict[Shape, list[ErrorPattern]] = defaultdict(list)
    for pattern in patterns:
        alike[templates[shapes[pattern.id]]].append(pattern)
    merges: list[Merge] = []
    for template, members in alike.items():
        if template and len(members) > 1:
            merges += families.join(members, written(template))
    return merges


class _Families:
    """Which patterns are shown as one, and what people had to say about it."""

    def __init__(self, patterns: Sequence[ErrorPattern]) -> None:
        ids = [pattern.id for pattern in patterns]
        self._members: dict[UUID, set[UUID]] = defaultdict(set)
        for pattern in ErrorPattern.objects.filter(merged_into__in=ids).only("id", "merged_into"):
            assert pattern.merged_into is not None
            self._members[pattern.merged_into].add(pattern.id)
        self._parted: dict[UUID, set[UUID]] = defaultdict(set)
        by_people = PatternMerge.objects.filter(undone_at__isnull=False).exclude(undone_by=MACHINE)
        pairs = by_people.filter(pattern_id__in=ids) | by_people.filter(into_id__in=ids)
        for one, other in pairs.values_list("pattern_id", "into_id"):
            self._parted[one].add(other)
            self._parted[other].add(one)

    def join(self, patterns: Iterable[ErrorPattern], template: str) -> list[Merge]:
        """The merges that bring patterns of one template together."""
        # A decision about a family holds for what joins it; one about a pattern alone does not.
        free = [
            pattern
            for pattern in patterns
            if pattern.merged_into is None
            and (pattern.state not in _DECIDED or self._members[pattern.id])
        ]
        if len(free) < 2:
            return []
        # What people see already stays what they see.
        into = min(free, key=lambda p: (-len(self._members[p.id]), -p.count, p.first_seen, p.id))
        family = {into.id, *self._members[into.id]}
        merges: list[Merge] = []
        for pattern in free:
            # Families of others stay whole: who is shown as part of a pattern stays with it.
            if pattern is into or self._members[pattern.id] or self._parted[pattern.id] & family:
                continue
            family.add(pattern.id)
            reason = f"the template “{template}” explains both"
            merges.append(Merge(pattern, into, reason, template))
        return merges


def _as_decided(merges: Sequence[Merge]) -> list[Merge]:
    """Without what somebody decided about in the meantime; what is left is locked."""
    ids = {merge.pattern.id for merge in merges}
    # Compared without locks, so that ingest waits for the writing only; in the order of ids, as
    # ingest locks them.
    rows = ErrorPattern.objects.select_for_update().filter(id__in=ids).order_by("id")
    free = {row.id for row in rows if row.state not in _DECIDED and row.merged_into is None}
    return [merge for merge in merges if merge.pattern.id in free]


def _write(merges: Sequence[Merge], now: datetime) -> list[journal.Entry]:
    for merge in merges:
        merge.pattern.merged_into = merge.into.id
    ErrorPattern.objects.bulk_update([merge.pattern for merge in merges], ["merged_into"])
    PatternMerge.objects.bulk_create(
        PatternMerge(
            pattern_id=merge.pattern.id, into_id=merge.into.id, origin=MergeOrigin.MACHINE,
            reason=merge.reason, actor=MACHINE, made_at=now, undone_by="",
        )
        for merge in merges
    )  # fmt: skip
    return [
        journal.Entry(
            Topic.PATTERNS, "pattern.merged", str(merge.into.id), str(merge.into.state),
            merge.into.service,
            {
                "pattern_id": str(merge.pattern.id),
                "into_id": str(merge.into.id),
                "origin": str(MergeOrigin.MACHINE),
                "reason": merge.reason,
                "template": merge.template,
            },
        )
        for merge in merges
    ]  # fmt: skip
