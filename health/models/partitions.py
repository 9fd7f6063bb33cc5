"""The partitioned tables of this app and how long each keeps its rows."""

from __future__ import annotations

from datetime import timedelta

from resilience_site.config import config
from resilience_site.core.partitions import PartitionedTable, register

# Availability is told over 90 days; the sums of hours cover that.
HOURS_KEPT = timedelta(days=100)


def result_retention() -> timedelta:
    """How long single results are kept."""
    return timedelta(days=config.resilience_check_result_retention_days)


def minute_retention() -> timedelta:
    """How long sums of minutes are kept: 24 hours and 7 days are told from them."""
    return max(timedelta(days=8), result_retention())


RESULTS = register(PartitionedTable("health_checkresult", "day", result_retention))
MINUTES = register(PartitionedTable("health_checkminute", "day", minute_retention))
HOURS = register(PartitionedTable("health_checkhour", "day", lambda: HOURS_KEPT))
SERVICE_HOURS = register(PartitionedTable("health_servicehour", "day", lambda: HOURS_KEPT))
