"""Making room where a service has its fill of patterns, so that a flood does not hide what comes next.

Patterns that had a few errors and none for a day, about which nobody decided, are given up, the
longest silent first: their errors become those of the pattern that they are shown as part of, or of
`(other patterns)`. Errors, figures and versions move along, so that all add up as before. A pattern
whose error comes again is made anew.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from analytics.domain.fingerprints import MOST_PATTERNS, OTHERS_RULE, others
from analytics.services.pattern_merging import MERGE_LOCK
from analytics.services.pattern_pruning import BY_PEOPLE, patterns_forget

# Of a service with its fill so many stay.
KEPT: Final = MOST_PATTERNS // 2
FEW: Final = 5
QUIET: Final = timedelta(days=1)
# Services whose errors of so long were folded are looked at.
_FOLDING: Final = timedelta(days=2)
_MOST_SERVICES: Final = 100

_FULL = f"""
SELECT service FROM analytics_errorpattern
WHERE rule = '{OTHERS_RULE}' AND last_seen >= %s ORDER BY last_seen DESC LIMIT %s
"""
# What somebody is writing to is not silent.
_SILENT = f"""
SELECT id, coalesce(merged_into, %(others)s) FROM analytics_errorpattern AS p
WHERE service = %(service)s AND rule <> '{OTHERS_RULE}' AND count <= %(few)s
    AND last_seen < %(quiet)s AND state IN ('new', 'ongoing')
    AND NOT EXISTS (SELECT FROM analytics_errorpattern AS m WHERE m.merged_into = p.id)
    AND NOT EXISTS (
        SELECT FROM analytics_patternmerge AS d
        WHERE (d.pattern_id = p.id OR d.into_id = p.id) AND {BY_PEOPLE}
    )
ORDER BY last_seen, id LIMIT GREATEST(0, (
    SELECT count(*) FROM analytics_errorpattern
    WHERE service = %(service)s AND rule <> '{OTHERS_RULE}'
) - %(kept)s)
FOR UPDATE OF p SKIP LOCKED
"""
_GIVEN_UP = "unnest(%(ids)s::uuid[], %(targets)s::uuid[]) AS up (id, target)"
# Hours keep the moment of their summing, by which the next run of that finds its place.
_MOVE = (
    f"UPDATE analytics_errorevent AS e SET pattern_id = target FROM {_GIVEN_UP} "
    "WHERE e.pattern_id = up.id",
    f"""
WITH gone AS (
    DELETE FROM analytics_errorrollup AS r USING {_GIVEN_UP} WHERE r.pattern_id = up.id
    RETURNING minute, service, target, errors
)
INSERT INTO analytics_errorrollup AS t (minute, service, pattern_id, errors)
SELECT minute, service, target, sum(errors)::bigint FROM gone
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (minute, service, pattern_id) DO UPDATE SET
    errors = t.errors + excluded.errors, changed_at = excluded.changed_at
""",
    f"""
WITH gone AS (
    DELETE FROM analytics_errorrolluphour AS r USING {_GIVEN_UP} WHERE r.pattern_id = up.id
    RETURNING hour, service, target, errors, changed_at
)
INSERT INTO analytics_errorrolluphour AS t (hour, service, pattern_id, errors, changed_at)
SELECT hour, service, target, sum(errors)::bigint, max(changed_at) FROM gone
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (hour, service, pattern_id) DO UPDATE SET errors = t.errors + excluded.errors
""",
    "SELECT id FROM analytics_errorpattern WHERE id = ANY(%(targets)s) ORDER BY id FOR UPDATE",
    f"""
INSERT INTO analytics_patternrelease AS t (pattern_id, version, count, first_seen, last_seen)
SELECT target, version, sum(count)::bigint, min(first_seen), max(last_seen)
FROM analytics_patternrelease JOIN {_GIVEN_UP} ON up.id = pattern_id
GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (pattern_id, version) DO UPDATE SET count = t.count + excluded.count,
    first_seen = LEAST(t.first_seen, excluded.first_seen),
    last_seen = GREATEST(t.last_seen, excluded.last_seen)
""",
    f"""
UPDATE analytics_errorpattern AS t SET count = t.count + added.count,
    first_seen = LEAST(t.first_seen, added.first_seen)
FROM (
    SELECT target, sum(count)::bigint AS count, min(first_seen) AS first_seen
    FROM analytics_errorpattern JOIN {_GIVEN_UP} USING (id) GROUP BY target
) AS added WHERE t.id = added.target
""",
)


def patterns_thin(*, now: datetime) -> int:
    """Give up silent patterns of services that have their fill; returns how many.

    A second run at the same moment finds no more.
    """
    with connection.cursor() as cursor:
        cursor.execute(_FULL, [now - _FOLDING, _MOST_SERVICES])
        services = [row[0] for row in cursor.fetchall()]
    return sum(_thin(service, now) for service in services)


def _thin(service: str, now: datetime) -> int:
    wanted: dict[str, Any] = {
        "service": service, "others": others(service).key, "few": FEW, "quiet": now - QUIET,
        "kept": KEPT,
    }  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [MERGE_LOCK])
        cursor.execute(_SILENT, wanted)
        found: list[tuple[UUID, UUID]] = cursor.fetchall()
        if found:
            ids, targets = map(list, zip(*found, strict=True))
            given_up: dict[str, Any] = {"ids": ids, "targets": targets}
            for statement in _MOVE:
                cursor.execute(statement, given_up)
            patterns_forget(ids)
    return len(found)
