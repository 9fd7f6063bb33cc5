"""Moving patterns on by their figures, minute by minute.

Only patterns that were seen in the last hour, that escalate, or for which something is due are
looked at, batch by batch in the order of their ids, and a limit is worked out once an hour for those
that might pass it. What it decides rests on the figures alone, so a run that is missed or comes
twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q

from analytics.choices import PatternState
from analytics.domain.pattern_limits import LEAST
from analytics.domain.pattern_states import (
    AGED,
    BACK,
    Change,
    Rules,
    Standing,
    comes_back,
    follow,
)
from analytics.models import ErrorPattern, PatternRelease
from analytics.selectors.pattern_families import as_whole, families, members_of
from analytics.selectors.pattern_history import HOUR, hour_of, last_hours, limits
from analytics.selectors.pattern_releases import versions_known
from analytics.services.patterns import told
from resilience_site.config import config
from resilience_site.core import journal

_LOCK = 0x7061747465726E
# More limits than these wait for the next minute.
_MOST_LIMITS: Final = 500
# So many patterns are read and moved in one transaction: ingest waits for those it holds.
_BATCH: Final = 1_000
# Of those that merely grew old, which can wait, in one run.
_MOST_AGED: Final = 1_000
MOST_VERSIONS: Final = 50


def rules() -> Rules:
    """How long states last, with what the installation says about it."""
    return Rules(new_for=timedelta(hours=config.resilience_pattern_new_hours))


def patterns_follow(*, now: datetime) -> int:
    """Move on each pattern that its figures or its terms say so of; returns how many.

    A bounded number of those that merely grew old; the rest follows in the next run. Where another
    worker is at it, this one leaves it to that.
    """
    if not (config.error_analytics_enabled and config.error_pattern_analysis_enabled):
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return 0
    try:
        return _Run(now).all_batches()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


class _Run:
    """One run over all patterns that may have to be moved on, and what is left of its bounds."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._limits_left = _MOST_LIMITS
        self._aged_left = _MOST_AGED

    def all_batches(self) -> int:
        """Look at every candidate; returns how many were moved on."""
        moved, after = 0, UUID(int=0)
        while True:
            with transaction.atomic():
                patterns = _candidates(self._now, after, aged=self._aged_left > 0)
                moved += self._batch(patterns)
            if len(patterns) < _BATCH:
                return moved
            after = patterns[-1].id

    def _batch(self, patterns: Sequence[ErrorPattern]) -> int:
        now = self._now
        family = members_of([pattern.id for pattern in patterns])
        hours = last_hours(family, now)
        self._limits_left -= _renew_limits(patterns, family, hours, now, self._limits_left)
        entries = []
        for pattern in patterns:
            change = _change(pattern, *hours[pattern.id], family[pattern.id], now)
            if change is None or (change.kind == AGED and not self._aged_left):
                continue
            before, (in_hour, _) = str(pattern.state), hours[pattern.id]
            if _move(pattern, change, now):
                self._aged_left -= change.kind == AGED
                entries.append(
                    told(
                        change.kind, pattern, before=before, in_hour=in_hour,
                        reason=change.reason, limit=pattern.escalates_above,
                    )
                )  # fmt: skip
        journal.append(entries)
        return len(entries)


def _candidates(now: datetime, after: UUID, *, aged: bool) -> list[ErrorPattern]:
    """The next patterns that something may be due for, in the order of ids as ingest locks them;
    with `aged` those too that merely grew old. Whatever a family's members do, the one that it is
    shown as is asked about."""
    lasts = rules()
    members = ErrorPattern.objects.filter(merged_into=OuterRef("id"))
    old = Q(state=PatternState.NEW, first_seen__lte=now - lasts.new_for)
    due = (
        (old if aged else Q(id__in=[]))
        | Q(last_seen__gte=now - HOUR)
        | Exists(members.filter(last_seen__gte=now - HOUR))
        | Q(state=PatternState.ESCALATING)
        | Q(state=PatternState.REGRESSED, state_changed_at__lte=now - lasts.regressed_for)
        | Q(state=PatternState.IGNORED, ignored_until__lte=now)
        | Q(state=PatternState.IGNORED, ignored_until_count__isnull=False)
        | Q(state=PatternState.RESOLVED)
        & Exists(members.filter(last_seen__gt=OuterRef("state_changed_at")))
    )
    return as_whole(families().filter(due, id__gt=after).order_by("id")[:_BATCH])


def _change(
    pattern: ErrorPattern, in_hour: int, hour_before: int, family: Sequence[UUID], now: datetime
) -> Change | None:
    since = pattern.state_changed_at or pattern.first_seen
    if pattern.state == PatternState.RESOLVED:
        return _back(pattern, family, since)
    standing = Standing(
        str(pattern.state), since, pattern.first_seen, pattern.count, pattern.escalates_above,
        pattern.ignored_until, pattern.ignored_until_count, pattern.ignored_until_escalating,
    )  # fmt: skip
    return follow(standing, in_hour, hour_before, now, rules())


def _back(pattern: ErrorPattern, family: Sequence[UUID], since: datetime) -> Change | None:
    """What ingest leaves: errors of members bring the pattern back that they are shown as."""
    later = PatternRelease.objects.filter(pattern_id__in=family, last_seen__gt=since)
    why = comes_back(
        resolved_at=since,
        resolved_in=pattern.resolved_in_version,
        seen_at=pattern.last_seen,
        versions=set(later.values_list("version", flat=True)),
        known=versions_known(pattern.service, family) if pattern.resolved_in_version else {},
    )
    return Change(PatternState.REGRESSED, BACK, why) if why else None


def _move(pattern: ErrorPattern, change: Change, now: datetime) -> bool:
    """Move a pattern on unless somebody was quicker."""
    standing = ErrorPattern.objects.filter(
        id=pattern.id, state=pattern.state, state_changed_at=pattern.state_changed_at
    )
    new: dict[str, object] = {"state_changed_at": now, "state_reason": change.reason}
    if pattern.state == PatternState.IGNORED:
        new |= {
            "ignored_until": None, "ignored_until_count": None, "ignored_until_escalating": False,
        }  # fmt: skip
    if pattern.state == PatternState.ESCALATING:
        new["limit_at"] = None
    pattern.state = change.state
    return bool(standing.update(state=change.state, **new))


def _renew_limits(
    patterns: Sequence[ErrorPattern],
    family: Mapping[UUID, Sequence[UUID]],
    hours: Mapping[UUID, tuple[int, int]],
    now: datetime,
    most: int,
) -> int:
    """Work out the limits of this hour, at most so many; returns how many. That of an escalation
    stays what it was exceeded at."""
    hour = hour_of(now)
    closed = (PatternState.ESCALATING, PatternState.RESOLVED)
    stale = [
        pattern
        for pattern in patterns
        if hours[pattern.id][0] > LEAST
        and pattern.state not in closed
        and (pattern.limit_at is None or pattern.limit_at < hour)
    ]
    stale.sort(key=lambda pattern: (pattern.limit_at is not None, pattern.limit_at or hour))
    chosen = {pattern.id: pattern for pattern in stale[:most]}
    found = limits(
        {key: family[key] for key in chosen},
        {key: pattern.first_seen for key, pattern in chosen.items()},
        now,
    )
    for key in sorted(found):
        limit = found[key].value
        ErrorPattern.objects.filter(id=key).update(escalates_above=limit, limit_at=now)
        chosen[key].escalates_above = limit
    return len(found)


_PRUNE = """
DELETE FROM analytics_patternrelease AS r USING (
    SELECT id, row_number() OVER (PARTITION BY pattern_id ORDER BY last_seen DESC) AS nth,
        row_number() OVER (PARTITION BY pattern_id ORDER BY first_seen) AS oldest
    FROM analytics_patternrelease
    WHERE pattern_id IN (
        SELECT pattern_id FROM analytics_patternrelease GROUP BY pattern_id HAVING count(*) > %(most)s
    )
) AS ranked WHERE ranked.id = r.id AND ranked.nth >= %(most)s AND ranked.oldest > 1
"""


def pattern_releases_prune() -> int:
    """Forget all but the newest versions of each pattern, and the first; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(_PRUNE, {"most": MOST_VERSIONS})
        return int(cursor.rowcount)
