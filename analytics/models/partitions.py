"""The partitioned tables of this app and how long each keeps its rows."""

from __future__ import annotations

from datetime import datetime, timedelta

from resilience_site.config import config
from resilience_site.core.partitions import PartitionedTable, register


def error_retention() -> timedelta:
    """How long errors and the figures about them are kept."""
    return timedelta(days=config.error_retention_days)


# Patterns go so long after the last of their errors.
PATTERNS_BEYOND = timedelta(days=7)


def decision_retention() -> timedelta:
    """How long what people decided about a pattern is kept after it was last seen: as long as a
    pattern can be ignored, or longer where errors are."""
    return max(timedelta(days=366), error_retention() + PATTERNS_BEYOND)


def span_retention() -> timedelta:
    """How long spans are kept; never longer than errors."""
    return min(timedelta(hours=config.resilience_span_retention_hours), error_retention())


def metric_minute_retention() -> timedelta:
    """How long figures per minute are kept; the hours stay as long as errors."""
    return min(timedelta(days=7), error_retention())


def hour_retention() -> timedelta:
    """How long figures per hour are kept: a quarter, so that weeks can be compared, and the month
    before, which the budget that was left on its first day counts; longer where errors are."""
    return max(timedelta(days=122), error_retention())


def whole_since(table: PartitionedTable, now: datetime) -> datetime:
    """Since when all rows of a table are there, as retention may have dropped those before."""
    return table.floor(now - table.retention()) + table.width


ERRORS = register(PartitionedTable("analytics_errorevent", "day", error_retention))
SPANS = register(PartitionedTable("analytics_span", "hour", span_retention))
CHAINS = register(PartitionedTable("analytics_correlationchain", "day", error_retention))
CALL_ROLLUPS = register(PartitionedTable("analytics_callrollup", "day", error_retention))
EDGE_ROLLUPS = register(PartitionedTable("analytics_edgerollup", "day", error_retention))
ERROR_ROLLUPS = register(PartitionedTable("analytics_errorrollup", "day", error_retention))
INGEST_ROLLUPS = register(PartitionedTable("analytics_ingestrollup", "day", error_retention))
LOG_RECORDS = register(PartitionedTable("analytics_logrecord", "hour", span_retention))
LOG_ROLLUPS = register(PartitionedTable("analytics_logrollup", "day", error_retention))
METRIC_ROLLUPS = register(
    PartitionedTable("analytics_metricrollup", "day", metric_minute_retention)
)
METRIC_HOURS = register(PartitionedTable("analytics_metricrolluphour", "day", error_retention))
CALL_HOURS = register(PartitionedTable("analytics_callrolluphour", "day", hour_retention))
EDGE_HOURS = register(PartitionedTable("analytics_edgerolluphour", "day", hour_retention))
ERROR_HOURS = register(PartitionedTable("analytics_errorrolluphour", "day", hour_retention))
FIGURE_HOURS = register(PartitionedTable("analytics_figurehour", "day", hour_retention))
