"""The success of self-healing over time, among the trends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from analytics.selectors.series import Metric
from analytics.selectors.trend_series import Found, trend_register
from healing.selectors.learning import ENDED

METRIC: Final = Metric("healing_success", "Success of self-healing", "1", more_is_worse=False)
_COUNTED: Final = """
SELECT date_bin(%(step)s::interval, ended_at, 'epoch'::timestamptz),
    count(*) FILTER (WHERE state = 'succeeded' AND failed_again_at IS NULL), count(*)
FROM healing_healingrun
WHERE NOT dry_run AND started_at IS NOT NULL AND state = ANY(%(ended)s)
    AND ended_at >= %(since)s AND ended_at < %(until)s AND ended_at <= %(now)s
    AND (%(service)s = '' OR service = %(service)s)
GROUP BY 1
"""


def healing_by_step(at: Sequence[datetime], step: timedelta, service: str, now: datetime) -> Found:
    """The share of a service's runs (of all, where none is named) that healed and held, of those
    that ended in each step; nothing for steps without any."""
    with connection.cursor() as cursor:
        cursor.execute(
            _COUNTED,
            {
                "step": str(step), "ended": list(map(str, ENDED)), "since": at[0],
                "until": at[-1] + step, "now": now, "service": service,
            },
        )  # fmt: skip
        return {moment: (healed / runs, runs) for moment, healed, runs in cursor.fetchall()}


def register() -> None:
    """Add the figure to the trends; called from `AppConfig.ready`."""
    trend_register(METRIC, healing_by_step)
