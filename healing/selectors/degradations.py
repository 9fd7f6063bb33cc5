"""Which heals let a service run at a lower level, and whether that is still in force."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

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
            "run_id", "run__service", "parameters", "after"
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
        for run, service, parameters, after in rows
        if "version" in after
        and versions.get(parameters.get("service") or service) == after["version"]
    )


def level_before(service: str, version: int, now: datetime) -> dict[str, Any]:
    """What the heal that set this version found before (`level`, `notice`, `expires_at`); empty
    where it was no heal."""
    rows = _steps().filter(run__created_at__gt=now - _REMEMBERED, after__version=version)
    for step in rows.select_related("run").order_by("-run__created_at"):
        if (step.parameters.get("service") or step.run.service) == service:
            return dict(step.before)
    return {}


def _steps() -> Any:
    return HealingStep.objects.filter(resolved=ACTION, state=StepState.SUCCEEDED)
