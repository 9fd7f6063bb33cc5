"""What is looked at from time to time, whether or not anything is to be healed."""

from __future__ import annotations

from datetime import datetime

from healing.services.chronic import chronic_tell
from healing.services.switches import switches_review


def guards_review(*, now: datetime) -> None:
    """End stops that are over, and tell of targets that are healed too often. Any number of
    callers may; with nothing to do it takes two queries."""
    switches_review(now=now)
    chronic_tell(now=now)
