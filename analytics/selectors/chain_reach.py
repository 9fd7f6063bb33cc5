"""How far the errors of services reach."""

from __future__ import annotations

from typing import Final

from django.db import connection

from resilience_site.core.timerange import TimeRange

_REACHED: Final = """
SELECT root_cause_service, count(DISTINCT reached) FILTER (WHERE reached <> root_cause_service) AS n
FROM analytics_correlationchain CROSS JOIN LATERAL unnest(services) AS reached
WHERE started_at >= %(since)s AND started_at < %(until)s
    -- A chain is kept under the day on which it was seen; late ones have a day's grace.
    AND opened_on >= %(since)s::date - 1
GROUP BY root_cause_service ORDER BY n DESC, root_cause_service LIMIT %(most)s
"""


def services_reached(within: TimeRange, most: int) -> dict[str, int]:
    """How many other services the chains that began in a service crossed: of those in which a chain
    of the range began, the farthest-reaching first."""
    with connection.cursor() as cursor:
        cursor.execute(_REACHED, {"since": within.since, "until": within.until, "most": most})
        return dict(cursor.fetchall())
