"""How much healing a target and a group bear."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
# Of services that nobody put into a group, so many at least have to fail.
_LEAST_UNGROUPED: Final = 2


@dataclass(frozen=True)
class Spent:
    """Runs that acted on a target in the last hour and in the last day."""

    hour: int = 0
    day: int = 0

    def over(self, per_hour: int, per_day: int) -> bool:
        """Whether another run would be more than the budget."""
        return self.hour >= per_hour or self.day >= per_day


def spent(started: Iterable[datetime], now: datetime, since: datetime | None = None) -> Spent:
    """What the runs that began at `started` take of the budget at `now`. Those that began before
    `since`, when a person gave the target a new budget, no longer count."""
    counted = [at for at in started if since is None or at > since]
    return Spent(
        hour=sum(now - at < HOUR for at in counted), day=sum(now - at < DAY for at in counted)
    )


def healed_at_once(size: int, share: float) -> int:
    """How many services of a group of `size` may be healed at a time: at least one."""
    return max(1, math.floor(size * share + 1e-9))


def half_unhealthy(failing: int, size: int, *, declared: bool = True) -> bool:
    """Whether so much of a group fails that healing its services one by one is no answer.

    One of two is half: the other carries all of it now, and what goes wrong with it is an outage.
    A group of one can only be healed or left. `declared`: somebody put these services into a group.
    All those of a site together stand for nothing but themselves, so that one that fails beside
    another is no sign that the trouble lies elsewhere.
    """
    least = 1 if declared else _LEAST_UNGROUPED
    return size > 1 and failing >= least and 2 * failing >= size
