"""What an action is given for one execution."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from healing.actions.base import Context
from healing.models import HealingRun, HealingStep
from healing.services.runs.entries import subject_of
from healing.services.runs.leases import Lease
from health.checks.addresses import Addresses
from resilience_site.config import config

Now = Callable[[], datetime]
# Seconds beyond its timeout after which an act that does not return is left to another worker.
GRACE_SECONDS = 15.0


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Hands:
    """With what a run is advanced: its lease, and the time."""

    lease: Lease
    now: Now = utc_now


def context_of(
    hands: Hands,
    run: HealingRun,
    step: HealingStep,
    seconds: float,
    before: Mapping[str, Any],
    part: str = "",
) -> Context:
    """What the action of a step may use for so many seconds. `part` tells the keys of what undoes
    a step from those of the step. An attempt that was done and did not help is followed by one
    that is another, also for targets that know idempotence."""
    hands.lease.allow(seconds + GRACE_SECONDS)
    return Context(
        subject=subject_of(run),
        key=f"{run.pk}:{step.n}{_round(step)}{part}",
        started_at=hands.now(),
        deadline=time.monotonic() + seconds,
        clock=time.monotonic,
        now=hands.now,
        pause=hands.lease.pause,
        addresses=Addresses(allow_private=config.resilience_allow_private_targets),
        actor=f"healing: {run.workflow}",
        reason=str(run.trigger.get("text") or run.reason),
        before=before,
    )


def _round(step: HealingStep) -> str:
    rounds = step.verification.get("rounds", 0)
    return f":{rounds}" if rounds else ""
