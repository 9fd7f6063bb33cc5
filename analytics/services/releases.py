"""Versions of services, kept as telemetry names them (`service.version`)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import connection

from health.services import Observed
from resilience_site.core import journal
from resilience_site.core.choices import Topic

FIRST_SEEN = "release_first_seen"
# Versions of one service: one that names a new version with each start must not fill the store.
# Those that were not seen for long are forgotten by retention.
LIMIT = 1_000
# Of those, the ones seen last stay, so that there is room for new ones again.
KEPT = 500

# In the order of the key, so that two writers never wait for each other in a circle.
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
), seen AS (
    SELECT service, environment, version FROM numbered
    WHERE known OR nth + (
        SELECT count(*) FROM analytics_release r WHERE r.service = numbered.service
    ) <= %(limit)s
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
) AS previous FROM kept WHERE new ORDER BY service, environment, version
"""


def releases_observe(observed: Collection[Observed], at: datetime) -> list[journal.Entry]:
    """Keep which versions run, inside the caller's transaction; at most once a minute for each.

    Returns the journal entries of new ones (topic releases, kind `release_first_seen`, key and
    service: the service; payload `version`, `environment`, `first_seen`, and `previous`, the
    version that ran before it, "" where the service was not seen with one).
    """
    given = sorted({(o.name, o.environment, o.version) for o in observed if o.version})
    if not given:
        return []
    services, environments, versions = (list(column) for column in zip(*given, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(
            _KEEP,
            {
                "services": services,
                "environments": environments,
                "versions": versions,
                "limit": LIMIT,
                "at": at,
            },
        )
        rows = cursor.fetchall()
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
        for service, environment, version, previous in rows
    ]


_PRUNE = """
DELETE FROM analytics_release AS r USING (
    SELECT id, row_number() OVER (
        PARTITION BY service ORDER BY last_seen DESC, first_seen DESC, id) AS nth
    FROM analytics_release
    WHERE service IN (
        SELECT service FROM analytics_release GROUP BY service HAVING count(*) > %(kept)s
    )
) AS ranked WHERE ranked.id = r.id AND ranked.nth > %(kept)s
"""


def releases_prune() -> int:
    """Forget all but the versions of each service that were seen last; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(_PRUNE, {"kept": KEPT})
        return int(cursor.rowcount)
