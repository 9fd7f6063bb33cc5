"""What fails at a moment, from the tables that say so: not from events, so that nothing is lost
while nobody looks, and nothing that is over is healed."""

from __future__ import annotations

from datetime import datetime

from healing.domain.matching import Failing
from healing.selectors.standing.alerts import alerts_firing
from healing.selectors.standing.breakers import breakers_open
from healing.selectors.standing.checks import checks_failing
from healing.selectors.standing.healed import heals_quiet
from healing.selectors.standing.patterns import patterns_spiking
from healing.selectors.standing.predictions import failures_foreseen

__all__ = ["failures_standing"]


def failures_standing(now: datetime) -> list[Failing]:
    """Everything that fails now, by kind, and what may be cleared away after a heal."""
    return [
        *checks_failing(now),
        *breakers_open(now),
        *patterns_spiking(now),
        *failures_foreseen(now),
        *alerts_firing(),
        *heals_quiet(now),
    ]
