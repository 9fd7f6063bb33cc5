"""Healing runs as the resilience report counts them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import connection

from alerting.domain.reports.figures import Healing
from alerting.selectors.report_healing import healing_register
from healing.choices import UNSUCCESSFUL
from resilience_site.core.timerange import TimeRange

# By when it was asked for, as runs are found by that; one that nobody approved never began.
_COUNTED: Final = """
SELECT count(*),
    count(*) FILTER (WHERE state = 'succeeded' AND failed_again_at IS NULL),
    count(*) FILTER (WHERE state = ANY(%(unsuccessful)s) OR failed_again_at IS NOT NULL)
FROM healing_healingrun
WHERE NOT dry_run AND started_at IS NOT NULL
    AND created_at >= %(since)s AND created_at < %(until)s
"""


def healing_counts(within: TimeRange) -> Healing:
    """The runs of a range, those that healed and held, and those that did not."""
    with connection.cursor() as cursor:
        cursor.execute(
            _COUNTED,
            {
                "unsuccessful": sorted(map(str, UNSUCCESSFUL)),
                "since": within.since,
                "until": within.until,
            },
        )
        return Healing(*cursor.fetchone())


def register(kept: timedelta) -> None:
    """Add them to the reports, `kept` for so long; called from `AppConfig.ready`."""
    healing_register(healing_counts, kept)
