"""Housekeeping of the tables that are not partitioned: what is past its time goes, in batches."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection, transaction

from breakers.models.partitions import history_retention
from resilience_site.core.pruning import delete_before

# An instance that was silent for so long does not come back under its name.
_INSTANCES_KEPT = timedelta(days=2)
_LIMITS = (
    ("breakers_breakertransition", "at"),
    ("breakers_bulkheadbreach", "at"),
    ("breakers_override", "ended_at"),
    ("breakers_notice", "ended_at"),
)
_SILENT = ("breakers_breaker", "breakers_bulkhead", "breakers_retrybudget", "breakers_instance")


def history_prune(*, now: datetime) -> dict[str, int]:
    """Delete what is past its retention; how many rows of each table."""
    oldest = now - history_retention()
    silent = now - _INSTANCES_KEPT
    dropped = {table: delete_before(table, column, oldest) for table, column in _LIMITS}
    dropped |= {table: delete_before(table, "last_seen", silent) for table in _SILENT}
    dropped["breakers_controldocument"] = _documents(silent)
    return dropped | {"breakers_command": _commands(oldest)}


def _documents(silent: datetime) -> int:
    """Documents of services that are gone and were never told anything. Only those: whoever comes
    back with the version of another one must not take a new one for it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM breakers_controldocument AS d WHERE version = 0 AND changed_at < %s "
            "AND NOT EXISTS (SELECT FROM breakers_instance AS i WHERE i.service = d.service)",
            [silent],
        )
        return cursor.rowcount


def _commands(oldest: datetime) -> int:
    """Commands go with what was reported of them."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM breakers_commandreport WHERE command_id IN "
            "(SELECT id FROM breakers_command WHERE ended_at < %s)",
            [oldest],
        )
    return delete_before("breakers_command", "ended_at", oldest)
