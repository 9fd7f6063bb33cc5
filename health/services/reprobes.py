"""Runs ahead of time: what a failure or a recovery elsewhere makes worth looking at now."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection

# How long a check is probed faster after somebody had reason to suspect it.
SUSPECTED_FOR: Final = timedelta(seconds=30)
# A check that has just been run is not run again for every dependent that fails.
JUST_RUN: Final = timedelta(seconds=1)


def reprobe(*, check_ids: Collection[UUID], now: datetime) -> None:
    """Make enabled checks due at once, and let them be probed faster for a while.

    One that is being run now is run once more when it ends, as it may have looked too early.
    """
    if not check_ids:
        return
    values: dict[str, Any] = {
        "now": now,
        "until": now + SUSPECTED_FOR,
        "just_run": JUST_RUN,
        "ids": list(check_ids),
    }
    with connection.cursor() as cursor:
        # In order, so that two of these never wait for each other in a circle.
        cursor.execute(
            "UPDATE health_checkstatus s SET "
            "next_due_at = LEAST(s.next_due_at, %(now)s), "
            "run_again = COALESCE(s.lease_until > %(now)s, false), "
            "suspected_until = %(until)s "
            "FROM (SELECT check_id FROM health_checkstatus WHERE check_id = ANY(%(ids)s) "
            "AND next_due_at IS NOT NULL "
            "AND (last_run_at IS NULL OR last_run_at < %(now)s - %(just_run)s) "
            "ORDER BY check_id FOR UPDATE) AS wanted WHERE s.check_id = wanted.check_id",
            values,
        )
