"""Versions of services, kept as telemetry names them (`service.version`)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import connection

from analytics.choices import NameKind
from analytics.domain.name_limits import OTHER_VERSIONS
from analytics.selectors.name_limits import most_of
from health.services import Observed
from resilience_site.core import journal
from resilience_site.core.choices import Topic

FIRST_SEEN = "release_first_seen"
_LOCK_CLASS = 0x72656C65

_UNKNOWN = """
SELECT DISTINCT service FROM unnest(%(services)s::text[], %(environments)s::text[],
    %(versions)s::text[]) AS g (service, environment, version)
WHERE NOT EXISTS (
    SELECT FROM analytics_release r WHERE r.service = g.service
    AND r.environment = g.environment AND r.version = g.version
) ORDER BY service
"""
# In the order of the key, so that two writers never wait for each other in a circle. What has no
# room is the version of all others, one for the environments of a service together; so is what a
# sender calls so itself, as that would be counted by no limit.
_KEEP = """
WITH given AS (
    SELECT service, environment, version, EXISTS (
        SELECT FROM analytics_release r WHERE r.service = g.service
        AND r.environment = g.environment AND r.version = g.version
    ) AS known
    FROM unnest(%(services)s::text[], %(environments)s::text[], %(versions)s::text[])
        AS g (service, environment, version)
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY service, known ORDER BY environment, version) AS nth
    FROM given
), placed AS (
    SELECT service, environment, version, version <> %(others)s AND (known OR nth + (
        SELECT count(*) FROM analytics_release r
        WHERE r.service = numbered.service AND r.version <> %(others)s
    ) <= %(limit)s) AS fits FROM numbered
), seen AS (
    SELECT service, environment, version FROM placed WHERE fits
    UNION SELECT service, '', %(others)s FROM placed WHERE NOT fits
    ORDER BY service, environment, version
), kept AS (
    INSERT INTO analytics_release AS r (service, environment, version, first_seen, last_seen)
    SELECT service, environment, version, %(at)s, %(at)s FROM seen
    ON CONFLICT (service, environment, version) DO UPDATE SET last_seen = excluded.last_seen
        WHERE r.last_seen < excluded.last_seen - interval '1 minute'
    RETURNING service, environment, version, xmax = 0 AS new
)
SELECT service, environment, version, (
    SELECT o.version FROM analytics_release o
    WHERE o.service = kept.service AND o.environment = kept.environment
    ORDER BY o.last_seen DESC, o.first_seen DESC LIMIT 1
) AS previous, true AS kept FROM kept WHERE new
UNION ALL SELECT service, environment, version, '', false FROM placed
WHERE NOT fits AND version <> %(others)s
ORDER BY service, environment, version
"""


def releases_observe(
    observed: Collection[Observed], at: datetime, folded: set[Observed] | None = None
) -> list[journal.Entry]:
    """Keep which versions run, inside the caller's transaction; at most once a minute for each.

    A service that names a new version with each start must not fill the store: what is beyond its
    limit is kept as the version `(other versions)`, and added to `folded`.
    Returns the journal entries of new ones (topic releases, kind `release_first_seen`, key and
    service: the service; payload `version`, `environment`, `first_seen`, and `previous`, the
    version that ran before it, "" where the service was not seen with one).
    """
    given = sorted({(o.name, o.environment, o.version) for o in observed if o.version})
    if not given:
        return []
    services, environments, versions = (list(column) for column in zip(*given, strict=True))
    parameters: dict[str, Any] = {
        "services": services,
        "environments": environments,
        "versions": versions,
        "others": OTHER_VERSIONS,
        "limit": most_of(NameKind.VERSION),
        "at": at,
    }
    with connection.cursor() as cursor:
        cursor.execute(_UNKNOWN, parameters)
        # Those that bring a new version of a service wait for each other: together they keep to
        # the limit.
        for (service,) in cursor.fetchall():
            cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCK_CLASS, service])
        cursor.execute(_KEEP, parameters)
        rows = cursor.fetchall()
    if folded is not None:
        beyond = {tuple(row[:3]) for row in rows if not row[-1]}
        folded.update(o for o in observed if (o.name, o.environment, o.version) in beyond)
    return [
        journal.Entry(
            Topic.RELEASES,
            FIRST_SEEN,
            service,
            service=service,
            payload={
                "version": version,
                "environment": environment,
                "previous": previous or "",
                "first_seen": at.isoformat(),
            },
        )
        for service, environment, version, previous, kept in rows
        if kept
    ]


_PRUNE = """
DELETE FROM analytics_release AS r USING (
    SELECT id, row_number() OVER (
        PARTITION BY service ORDER BY last_seen DESC, first_seen DESC, id) AS nth
    FROM analytics_release
    WHERE version <> %(others)s AND service IN (
        SELECT service FROM analytics_release WHERE version <> %(others)s
        GROUP BY service HAVING count(*) > %(kept)s
    )
) AS ranked WHERE ranked.id = r.id AND ranked.nth > %(kept)s
"""


def releases_prune() -> int:
    """Forget all but the versions of each service that were seen last, half as many as there may
    be, so that there is room for new ones again; returns how many."""
    kept = max(1, most_of(NameKind.VERSION) // 2)
    with connection.cursor() as cursor:
        cursor.execute(_PRUNE, {"kept": kept, "others": OTHER_VERSIONS})
        return int(cursor.rowcount)
