"""What must hold right before a step."""

from __future__ import annotations

from datetime import datetime

from analytics.models import ErrorPattern
from breakers.choices import BreakerState
from healing.choices import TargetKind
from healing.domain.definition import Precondition
from healing.models import HealingRun
from healing.services.runs.standing import breakers_of, checks_failing
from healing.services.targets import ways_of
from health.choices import HealthState
from health.models import CheckStatus


def precondition_missing(wanted: Precondition | None, run: HealingRun, now: datetime) -> str:
    """Why a precondition does not hold; empty where it does."""
    if wanted is None:
        return ""
    match wanted.type:
        case "has_way":
            return "" if wanted.way in ways_of(run.service) else _no_way(wanted.way, run.service)
        case "failing":
            return "" if _fails(run) else "What it answers to does not fail any more."
        case "breaker_open":
            rows = breakers_of(run, now)
            is_open = any(state == BreakerState.OPEN for state in rows)
            return "" if is_open else "The breaker is not open."
        case "quiet":
            return _noise(run)


def _no_way(way: str, service: str) -> str:
    return f"{service} has no way {way}."


def _fails(run: HealingRun) -> bool:
    """Whether the triggering check fails; without one, nothing says that it does not."""
    if run.check_id is None:
        return True
    status = (
        CheckStatus.objects.filter(pk=run.check_id).values_list("own_state", "failures").first()
    )
    return status is None or status[0] == HealthState.DOWN or status[1] > 0


def _noise(run: HealingRun) -> str:
    if run.target_kind == TargetKind.PATTERN:
        pattern = ErrorPattern.objects.filter(pk=run.target).first()
        if pattern is not None and pattern.last_seen > run.created_at:
            return f"The pattern was seen again at {pattern.last_seen:%H:%M:%S}."
        return ""
    failing = checks_failing([run.service])
    return f"Of {run.service}, {', '.join(sorted(failing.values()))} fails." if failing else ""
