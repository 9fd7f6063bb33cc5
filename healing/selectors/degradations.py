"""Which heals let a service run at a lower level, and whether that is still in force."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q

from breakers.choices import Level
from breakers.models import DegradedMode
from healing.choices import StepState
from healing.models import HealingStep

ACTION: Final = "degraded_mode"
# A degradation of healing lasts no longer than that.
_REMEMBERED: Final = timedelta(days=1, hours=1)


def degrading_runs(run_ids: Iterable[UUID], now: datetime) -> frozenset[UUID]:
    """Those runs whose degradation of a service nobody changed since; two queries."""
    rows = list(
        _steps().filter(run_id__in=list(run_ids)).values_list(
            "run_id", "run__service", "parameters", "before", "after"
        )
    )  # fmt: skip
    if not rows:
        return frozenset()
    modes = DegradedMode.objects.exclude(level=Level.NORMAL)
    versions = {
        each.service: each.version
        for each in modes
        if each.expires_at is None or each.expires_at > now
    }
    return frozenset(
        run
        for run, service, parameters, before, after in rows
        if versions.get(parameters.get("service") or service, 0) == _version(before, after)
    )


def level_before(service: str, version: int, now: datetime) -> dict[str, Any]:
    """What the heal that set this version found before (`level`, `notice`, `expires_at`); empty
    where it was no heal."""
    unseen = Q(before__version=version - 1) & ~Q(after__has_key="version")
    rows = _steps().filter(
        Q(after__version=version) | unseen, run__created_at__gt=now - _REMEMBERED
    )
    for step in rows.select_related("run").order_by("-run__created_at"):
        if (step.parameters.get("service") or step.run.service) == service:
            return dict(step.before)
    return {}


def _version(before: dict[str, Any], after: dict[str, Any]) -> int:
    """The version that a degradation made; -1 where that is not known. Where its worker died right
    after the act, nobody saw it, and it is the one that follows what was there before."""
    if "version" in after:
        return int(after["version"])
    return int(before["version"]) + 1 if "version" in before else -1


def _steps() -> Any:
    return HealingStep.objects.filter(resolved=ACTION, state=StepState.SUCCEEDED)
