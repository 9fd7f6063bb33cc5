"""How the protection of all services stands, in a few numbers."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db import connection

from breakers.selectors.instances import SILENT


class Protection(NamedTuple):
    """Breakers that report, those of them that reject calls in some instance, and what people have
    decided that is in force."""

    breakers: int
    rejecting: int
    overrides: int
    degraded: int


_COUNTS = """
WITH live AS (
    SELECT b.service, b.name, bool_or(b.state IN ('open', 'half_open', 'forced_open')) AS rejects
    FROM breakers_breaker b
    LEFT JOIN breakers_instance i ON i.service = b.service AND i.instance = b.instance
    WHERE greatest(b.last_seen, i.last_seen) > %(since)s
    GROUP BY b.service, b.name
)
SELECT (SELECT count(*) FROM live),
    (SELECT count(*) FROM live WHERE rejects),
    (SELECT count(*) FROM breakers_override WHERE ended_at IS NULL
        AND (expires_at IS NULL OR expires_at > %(now)s)),
    (SELECT count(*) FROM breakers_degradedmode WHERE level <> 'normal'
        AND (expires_at IS NULL OR expires_at > %(now)s))
"""


def protection(now: datetime) -> Protection:
    """The numbers as they stand at `now`."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, {"since": now - SILENT, "now": now})
        return Protection._make(cursor.fetchone())
