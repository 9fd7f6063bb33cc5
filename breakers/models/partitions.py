"""The partitioned tables of this app and how long each keeps its rows."""

from __future__ import annotations

from datetime import timedelta

from resilience_site.config import config
from resilience_site.core.partitions import PartitionedTable, register


def history_retention() -> timedelta:
    """How long transitions and counts per minute are kept: as long as errors."""
    return timedelta(days=config.error_retention_days)


def outcome_retention() -> timedelta:
    """How long recorded outcomes are kept for replays."""
    return timedelta(hours=config.resilience_outcome_retention_hours)


def live_retention() -> timedelta:
    """How long counts of ten seconds are kept."""
    return timedelta(hours=3)


CALLS = register(PartitionedTable("breakers_callrollup", "hour", live_retention))
CALL_MINUTES = register(PartitionedTable("breakers_callminute", "day", history_retention))
RETRIES = register(PartitionedTable("breakers_retryrollup", "day", history_retention))
FALLBACKS = register(PartitionedTable("breakers_fallbackrollup", "day", history_retention))
BULKHEADS = register(PartitionedTable("breakers_bulkheadrollup", "day", history_retention))
OUTCOMES = register(PartitionedTable("breakers_outcomebatch", "hour", outcome_retention))
