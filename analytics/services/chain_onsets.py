"""Noting each chain as it was first seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db import connection

from analytics.models import CorrelationChain
from analytics.services.arrivals import Arrival

# Rows are only ever added, so that two builders need not wait for one another.
_NOTE: Final = """
INSERT INTO analytics_chainonset (known_from, service, minute, chains)
SELECT %s, service, date_trunc('minute', started_at), count(*)
FROM unnest(%s::uuid[], %s::date[], %s::text[], %s::timestamptz[])
    AS rows (id, opened_on, service, started_at)
WHERE NOT EXISTS (
    SELECT FROM analytics_correlationchain AS c
    WHERE c.opened_on = rows.opened_on AND c.id = rows.id
)
GROUP BY 2, 3
"""


def onsets_note(chains: Sequence[CorrelationChain], arrival: Arrival) -> None:
    """Note those of the chains that are not stored yet, before they are."""
    columns = [
        [getattr(each, name) for each in chains]
        for name in ("id", "opened_on", "root_cause_service", "started_at")
    ]
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, [arrival.known_from(), *columns])
