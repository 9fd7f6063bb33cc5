"""Writes of error patterns while errors arrive: counting them, and what that changes at once.

What the journal is told of a pattern (topic `patterns`, key: the pattern it is shown as; alerts read
this) has one form for all kinds, that of `told`: the payload holds `service, type, template, state,
before` (the state until then; null where nobody looked), `count` (of all its errors), `reason`,
`limit` (errors an hour; null without one), `in_hour` (its errors in the hour before; null where
nobody counted) and `window_seconds` of that hour. Kinds: `pattern.new`, `pattern.regressed`,
`pattern.ongoing`, `pattern.escalating`, `pattern.calmed`, `pattern.unignored`, and for decisions
`pattern.resolve`, `pattern.ignore`, `pattern.reopen`. Merges tell of themselves (`pattern_merges`).
`pattern.seen` is a hint for open pages, and `pattern.untold` says how many new patterns a request
brought beyond those told; neither has this payload.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from django.db import connection

from analytics.domain.fingerprints import GROUPING_VERSION, OTHERS, OTHERS_RULE
from analytics.domain.pattern_states import AGED, BACK, BACK_BY_TIME, comes_back
from analytics.selectors.pattern_releases import versions_known
from resilience_site.config import config
from resilience_site.core import journal

if TYPE_CHECKING:
    from analytics.services.error_store import PreparedError

HOUR: Final = timedelta(hours=1)
SEEN, NEW, UNTOLD = "pattern.seen", "pattern.new", "pattern.untold"
_MOST_NEW = 100
_MOST_SEEN = 20

_UPSERT = f"""
WITH released AS (
    INSERT INTO analytics_patternrelease AS r (pattern_id, version, count, first_seen, last_seen)
    SELECT * FROM unnest(%(released_ids)s::uuid[], %(versions)s::text[],
        %(version_counts)s::bigint[], %(version_firsts)s::timestamptz[],
        %(version_lasts)s::timestamptz[])
    ON CONFLICT (pattern_id, version) DO UPDATE SET
        count = r.count + excluded.count,
        first_seen = LEAST(r.first_seen, excluded.first_seen),
        last_seen = GREATEST(r.last_seen, excluded.last_seen)
)
INSERT INTO analytics_errorpattern AS p
    (id, service, type, template, rule, version, state, count, first_seen, last_seen, last_error_id)
SELECT id, service, type, template, rule, {GROUPING_VERSION}, 'new', count, first, last, last_error
FROM unnest(%(ids)s::uuid[], %(services)s::text[], %(types)s::text[], %(templates)s::text[],
    %(rules)s::text[], %(counts)s::bigint[], %(firsts)s::timestamptz[], %(lasts)s::timestamptz[],
    %(last_errors)s::uuid[])
    AS seen (id, service, type, template, rule, count, first, last, last_error)
ON CONFLICT (id) DO UPDATE SET
    count = p.count + excluded.count,
    first_seen = LEAST(p.first_seen, excluded.first_seen),
    last_seen = GREATEST(p.last_seen, excluded.last_seen),
    last_error_id = CASE WHEN excluded.last_seen >= p.last_seen
        THEN excluded.last_error_id ELSE p.last_error_id END,
    (state, state_changed_at, state_reason) = (
        SELECT
            CASE WHEN back THEN 'regressed' WHEN aged THEN 'ongoing' ELSE p.state END,
            CASE WHEN back OR aged THEN %(now)s ELSE p.state_changed_at END,
            CASE WHEN back THEN %(back)s WHEN aged THEN %(aged)s ELSE p.state_reason END
        FROM (SELECT
            p.state = 'new' AND excluded.last_seen > p.first_seen + %(new_for)s AS aged,
            p.state = 'resolved' AND p.resolved_in_version = ''
                AND excluded.last_seen > coalesce(p.state_changed_at, p.first_seen) AS back
        ) AS verdict)
RETURNING id, merged_into, service, type, template, state, count, state_reason, escalates_above,
    state_changed_at, resolved_in_version, xmax = 0
"""


class Touched(NamedTuple):
    """A pattern that errors were counted for. `key` names the one that it is shown as, `kind` what
    the errors made of it."""

    key: UUID
    kind: str
    service: str
    type: str
    template: str
    state: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs here
    reason: str
    limit: float | None


def patterns_count(errors: Sequence[PreparedError], received_at: datetime) -> list[Touched]:
    """Count grouped errors in; returns each pattern touched.

    Runs inside the caller's transaction, in the order of ids so that two writers never deadlock.
    """
    groups: dict[UUID, list[PreparedError]] = {}
    for error in errors:
        if error.group is not None:
            groups.setdefault(error.group.key, []).append(error)
    if not groups:
        return []
    rows = [_seen(key, groups[key]) for key in sorted(groups)]
    released = [each for row in rows for each in _released(row, groups[row[0]])]
    parameters: dict[str, Any] = {
        **_columns(_SEEN, rows),
        **_columns(_RELEASED, released),
        "now": received_at,
        "new_for": timedelta(hours=config.resilience_pattern_new_hours),
        "back": BACK_BY_TIME,
        "aged": "seen again after the time for which a pattern is new",
    }
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT, parameters)
        return [_touched(row, groups, received_at) for row in cursor.fetchall()]


_SEEN = (
    "ids", "services", "types", "templates", "rules", "counts", "firsts", "lasts", "last_errors",
)  # fmt: skip
_RELEASED = ("released_ids", "versions", "version_counts", "version_firsts", "version_lasts")


def _columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    columns = list(map(list, zip(*rows, strict=True))) if rows else [[] for _ in names]
    return dict(zip(names, columns, strict=True))


def _seen(key: UUID, members: Sequence[PreparedError]) -> tuple[Any, ...]:
    first, last = min(members, key=_time), max(members, key=_time)
    group, record = last.group, last.record
    assert group is not None
    type_ = OTHERS if group.rule == OTHERS_RULE else record.type
    return (
        key, record.resource.service, type_, group.template, group.rule,
        len(members), _at(first), _at(last), last.id,
    )  # fmt: skip


def _released(seen: tuple[Any, ...], members: Sequence[PreparedError]) -> list[tuple[Any, ...]]:
    """The rows of the versions that a pattern's errors came from; nearly always it is one."""
    versions = {error.record.resource.version for error in members}
    if len(versions) == 1:
        [version] = versions
        return [(seen[0], version, *seen[5:8])] if version else []
    rows = []
    for version in sorted(versions - {""}):
        times = [e.record.occurred_ns for e in members if e.record.resource.version == version]
        rows.append((seen[0], version, len(times), _moment(min(times)), _moment(max(times))))
    return rows


def _touched(
    row: tuple[Any, ...], groups: Mapping[UUID, Sequence[PreparedError]], now: datetime
) -> Touched:
    pattern_id, merged_into, *told, limit, changed_at, resolved_in, new = row
    service, type_, template, state, count, reason = told
    kind = NEW if new else SEEN
    if merged_into is not None:
        # What becomes of the pattern that it is shown as is found out by the figures of both.
        kind = SEEN
    elif not new and changed_at == now:
        kind = {"regressed": BACK, "ongoing": AGED}.get(state, SEEN)
    elif state == "resolved" and resolved_in:
        members = groups[pattern_id]
        why = comes_back(
            resolved_at=changed_at,
            resolved_in=resolved_in,
            seen_at=_at(max(members, key=_time)),
            versions={e.record.resource.version for e in members},
            known=versions_known(service, [pattern_id]),
        )
        if why:
            pattern_bring_back(pattern_id=pattern_id, reason=why, now=now)
            state, reason, kind = "regressed", why, BACK
    return Touched(
        merged_into or pattern_id, kind, service, type_, template, state, count, reason, limit
    )


def pattern_bring_back(*, pattern_id: UUID, reason: str, now: datetime) -> None:
    """Make a resolved pattern regressed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE analytics_errorpattern SET state = 'regressed', state_changed_at = %s, "
            "state_reason = %s WHERE id = %s AND state = 'resolved'",
            [now, reason, pattern_id],
        )


def _time(error: PreparedError) -> int:
    return error.record.occurred_ns


def _at(error: PreparedError) -> datetime:
    return _moment(error.record.occurred_ns)


def _moment(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns / 1e9, UTC)


def patterns_discount(*, counts: Mapping[str, int]) -> None:
    """Add (negative) counts to patterns, by id."""
    with connection.cursor() as cursor:
        for pattern_id in sorted(counts):
            cursor.execute(
                "UPDATE analytics_errorpattern SET count = count + %s WHERE id = %s",
                [counts[pattern_id], pattern_id],
            )


# --- The journal ---------------------------------------------------------------------------------


def told(
    kind: str,
    pattern: Any,
    *,
    before: str | None = None,
    in_hour: int | None = None,
    reason: str = "",
    limit: float | None = None,
) -> journal.Entry:
    """The journal's entry of what became of a pattern (an `ErrorPattern` or `Touched`)."""
    key = pattern.key if isinstance(pattern, Touched) else pattern.merged_into or pattern.id
    payload = {
        "service": pattern.service,
        "type": pattern.type,
        "template": pattern.template,
        "state": str(pattern.state),
        "before": before,
        "count": pattern.count,
        "reason": reason,
        "limit": limit,
        "in_hour": in_hour,
        "window_seconds": int(HOUR.total_seconds()),
    }
    return journal.Entry("patterns", kind, str(key), str(pattern.state), pattern.service, payload)


def entries_of(touched: Iterable[Touched], now: datetime) -> list[journal.Entry]:
    """What the journal is told of patterns that errors were counted for: all that came back, new
    ones up to a bound, and a hint for some of the others."""
    groups: dict[str, list[Touched]] = {}
    for each in touched:
        groups.setdefault(each.kind, []).append(each)
    changed, new = [*groups.get(BACK, []), *groups.get(AGED, [])], groups.get(NEW, [])
    in_hour = _in_hour([each.key for each in [*groups.get(BACK, []), *new[:_MOST_NEW]]], now)
    entries = [
        told(
            each.kind, each, in_hour=in_hour.get(each.key), reason=each.reason, limit=each.limit,
            before={BACK: "resolved", AGED: "new"}.get(each.kind),
        )
        for each in [*changed, *new[:_MOST_NEW]]
    ]  # fmt: skip
    if len(new) > _MOST_NEW:
        entries.append(
            journal.Entry("patterns", UNTOLD, "", payload={"count": len(new) - _MOST_NEW})
        )
    hints = {str(each.key): each for each in groups.get(SEEN, [])}
    return entries + [
        journal.Entry("patterns", SEEN, key, each.state, each.service)
        for key, each in list(hints.items())[:_MOST_SEEN]
    ]


def _in_hour(ids: Sequence[UUID], now: datetime) -> dict[UUID, int]:
    if not ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pattern_id, sum(errors)::bigint FROM analytics_errorrollup "
            "WHERE pattern_id = ANY(%s) AND minute > %s AND minute <= %s GROUP BY pattern_id",
            [list(ids), now - HOUR, now + HOUR],
        )
        return dict(cursor.fetchall())
