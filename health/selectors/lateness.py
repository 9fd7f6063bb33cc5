"""How far the running of checks lags behind."""

from __future__ import annotations

from datetime import datetime

from django.db import connection

# A run that is under way is late only when its lease is over: then its worker is gone.
_OLDEST = """
SELECT min(next_due_at) FROM health_checkstatus
WHERE next_due_at < %s AND (lease_until IS NULL OR lease_until < %s)
"""


def checks_lateness(now: datetime) -> float:
    """Seconds since the longest overdue check should have been run; 0 where none is overdue."""
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST, [now, now])
        oldest = cursor.fetchone()[0]
    return 0.0 if oldest is None else (now - oldest).total_seconds()
