"""What a change of a check means for its runs and for what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, F, When

from health.choices import HealthState
from health.domain.schedule import first_due
from health.models import Check, CheckStatus


@dataclass(frozen=True)
class Former:
    """What a check was before a change, as far as its runs depend on it."""

    enabled: bool
    interval: float

    @classmethod
    def of(cls, check: Check) -> Former:
        return cls(check.enabled, check.interval_seconds)


def follow(check: Check, former: Former, *, retargeted: bool, now: datetime) -> None:
    """Bring the check's next run, and what is known of it, in line with a change."""
    changes: dict[str, Any] = {}
    if retargeted or check.enabled != former.enabled:
        # A run that is under way tells of what the check was; its result is not taken.
        changes |= {"fence": F("fence") + 1, "lease_until": None, "run_again": False}
    if not check.enabled:
        changes |= {"next_due_at": None, "suspected_until": None}
    elif not former.enabled:
        changes |= {"next_due_at": now, **_forgotten(now)}
    elif retargeted:
        changes |= {"next_due_at": now, "memory": {}}
    elif check.interval_seconds != former.interval:
        changes["next_due_at"] = first_due(check.id, check.interval_seconds, now)
        # A run that is under way would be followed by the next one as far away as before.
        changes["run_again"] = Case(When(lease_until__gt=now, then=True), default=False)
    if changes:
        CheckStatus.objects.filter(check_row=check).update(**changes)


def _forgotten(now: datetime) -> dict[str, Any]:
    """A check that was off says nothing of now."""
    return {
        "own_state": HealthState.UNKNOWN,
        "own_since": now,
        "failures": 0,
        "successes": 0,
        "streak_since": None,
        "history": "",
        "flapping": False,
        "memory": {},
    }
