"""When the weekly report is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

WEEK: Final = timedelta(days=7)
# Monday 06:00 UTC: telemetry that arrives late has had six hours.
HOUR: Final = 6


class Week(NamedTuple):
    """From one Monday 00:00 UTC to the next."""

    since: datetime
    until: datetime


def week_due(now: datetime) -> Week:
    """The newest week whose report is due at `now`."""
    at = now.astimezone(UTC) - timedelta(hours=HOUR)
    monday = (at - timedelta(days=at.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    return Week(monday - WEEK, monday)


def next_due(now: datetime) -> datetime:
    """When the next weekly report is made."""
    return week_due(now).until + WEEK + timedelta(hours=HOUR)
