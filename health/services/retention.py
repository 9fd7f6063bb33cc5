"""Housekeeping of the tables that are not partitioned: what is past its time goes, in batches."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction

from health.models.partitions import HOURS_KEPT
from resilience_site.core.pruning import delete_before

# Longer than any figure looks back, so that sums can be made again from the changes.
_KEPT: Final = HOURS_KEPT + timedelta(days=30)


def history_prune(*, now: datetime) -> dict[str, int]:
    """Delete what is past its retention; how many rows of each table.

    Of each check the one last written stays, however old: it says what has held since.
    """
    oldest = now - _KEPT
    return {
        "health_outage": delete_before("health_outage", "ended_at", oldest),
        "health_statechange": _changes(oldest),
    }


def _changes(oldest: datetime) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM health_statechange AS c WHERE c.at < %s AND EXISTS ("
            "SELECT FROM health_statechange AS later WHERE later.check_id = c.check_id "
            "AND later.since <= %s AND later.id > c.id)",
            [oldest, oldest],
        )
        return cursor.rowcount
