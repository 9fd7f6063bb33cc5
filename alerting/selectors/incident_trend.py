"""Incidents over time, among the trends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from analytics.selectors.series import Metric
from analytics.selectors.trend_series import Found, trend_register

METRIC: Final = Metric("incidents", "Incidents that began", "incidents")
_COUNTED: Final = """
SELECT date_bin(%(step)s::interval, started_at, 'epoch'::timestamptz), count(*)
FROM alerting_incident
WHERE merged_into_id IS NULL AND started_at >= %(since)s AND started_at < %(until)s
    AND (%(service)s = '' OR services @> to_jsonb(%(service)s::text))
GROUP BY 1
"""


def incidents_by_step(
    at: Sequence[datetime], step: timedelta, service: str, now: datetime
) -> Found:
    """How many incidents that touch a service (any, where none is named) began in each step."""
    with connection.cursor() as cursor:
        cursor.execute(
            _COUNTED,
            {"step": str(step), "since": at[0], "until": at[-1] + step, "service": service},
        )
        counted = dict(cursor.fetchall())
    return {
        moment: (float(counted.get(moment, 0)), counted.get(moment, 0))
        for moment in at
        if moment <= now
    }


def register() -> None:
    """Add the figure to the trends; called from `AppConfig.ready`."""
    trend_register(METRIC, incidents_by_step)
