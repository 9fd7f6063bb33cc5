"""When a check runs next: on a grid of its own, sooner on suspicion, later once it is known dead."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Runs shift by up to this share of the interval, so that they fall in step with nothing.
JITTER: Final = 0.05
# While a failure or a recovery is not confirmed.
SUSPICION_SHARE: Final = 1 / 6
SUSPICION_LONGEST: Final = 5.0  # seconds
SUSPICION_SHORTEST: Final = 1.0  # seconds
# A check that stays down is asked less and less often, but never rarer than this.
BACKOFF_AFTER: Final = 10  # failed runs at the full pace, per halving of it
BACKOFF_LARGEST: Final = 4
BACKOFF_LONGEST: Final = 300.0  # seconds; longer intervals are kept as they are
# What a run may be late before its check counts as not looked at.
GRACE: Final = 15.0  # seconds


@dataclass(frozen=True)
class Pace:
    """How often a check runs, in seconds, and how many runs confirm a change."""

    interval: float
    timeout: float
    failures_to_down: int


def phase(check_id: UUID, interval: float) -> float:
    """Seconds into each interval at which a check runs: its own, spread evenly over all checks."""
    return (check_id.int % 1_000_003) / 1_000_003 * interval


def first_due(check_id: UUID, interval: float, now: datetime) -> datetime:
    """The first point of the check's grid at or after `now`."""
    since_epoch = (now - _EPOCH).total_seconds()
    own = phase(check_id, interval)
    wait = (own - since_epoch) % interval
    return now + timedelta(seconds=wait)


def current_interval(pace: Pace, failures: int) -> float:
    """Seconds between two runs after `failures` failed ones in a row: doubled for each ten that
    follow the confirmation, up to fourfold and five minutes."""
    beyond = max(0, failures - pace.failures_to_down)
    doublings = min(beyond // BACKOFF_AFTER, BACKOFF_LARGEST)
    factor = min(BACKOFF_LARGEST, 1 << doublings)
    return max(pace.interval, min(pace.interval * factor, BACKOFF_LONGEST))


def suspicion_interval(pace: Pace) -> float:
    """Seconds between two runs while it matters most to know."""
    quick = min(pace.interval * SUSPICION_SHARE, SUSPICION_LONGEST)
    return min(pace.interval, max(quick, SUSPICION_SHORTEST))


def next_due(
    check_id: UUID,
    pace: Pace,
    *,
    now: datetime,
    failures: int,
    hurried: bool,
    rng: random.Random,
) -> datetime:
    """When the check runs next, after a run that ended at `now`.

    `hurried` while a failure or a recovery waits for its confirmation. Otherwise the next point of
    the check's grid that is at least half an interval away, give or take the jitter.
    """
    if hurried:
        return now + timedelta(seconds=suspicion_interval(pace))
    interval = current_interval(pace, failures)
    spread = rng.uniform(-JITTER, JITTER) * interval
    earliest = now + timedelta(seconds=interval / 2)
    return first_due(check_id, interval, earliest) + timedelta(seconds=spread)


def stale_after(pace: Pace, failures: int) -> float:
    """Seconds without a conclusive result after which nothing is known of the target."""
    return 2 * current_interval(pace, failures) + pace.timeout + GRACE


def unknown_since(last_conclusive: datetime, pace: Pace, failures: int) -> datetime:
    """From when on nothing was known: the moment at which the next result was missing."""
    return last_conclusive + timedelta(seconds=current_interval(pace, failures))
