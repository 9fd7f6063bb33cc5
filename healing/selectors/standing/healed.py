"""What heals that were verified leave to be cleared away, once all has been quiet since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Max

from analytics.choices import PatternState, PredictionOutcome
from analytics.models import ErrorPattern, Prediction
from healing.choices import RunState, TargetKind, TriggerKind
from healing.domain.matching import Failing, Healed
from healing.models import HealingRun
from healing.selectors.degradations import degrading_runs
from healing.selectors.standing.patterns import patterns_shown
from health.models import Outage

# How long after a heal anything may still answer to it.
REMEMBERED: Final = timedelta(days=1)
# Errors begin before the check that finds the failure.
BEFORE: Final = timedelta(minutes=10)
_UNRESOLVED: Final = (PatternState.NEW, PatternState.REGRESSED, PatternState.ESCALATING)
_MOST: Final = 200


def heals_quiet(now: datetime) -> list[Failing]:
    """For each heal of the last day that held: its service, and each pattern of errors that began
    with the failure and that nobody has decided about since."""
    runs = _heals(now)
    if not runs:
        return []
    ended = _last_failures({each.service for each in runs})
    done = _answered([each.id for each in runs])
    degrading = degrading_runs([each.id for each in runs], now)
    foreseen = _foreseen({each.service for each in runs}, now) if degrading else frozenset()
    found: dict[tuple[str, str], Failing] = {}
    for run in runs:
        at: datetime = run.ended_at  # type: ignore[assignment]
        failed = ended.get(run.service, at)
        if failed is None:
            # Something of it fails now.
            continue
        quiet = max(at, failed)
        answered = frozenset(done[str(run.id)])
        # What is foreseen to fail has not failed yet: it is what the lower level is for.
        degraded = run.id in degrading and run.service not in foreseen
        healed = Healed(run.id, run.workflow, quiet, answered, degraded)
        found["", str(run.id)] = _service_of(run, at, healed)
        for pattern in _patterns_of(run, at):
            since = max(quiet, pattern.last_seen)
            healed = Healed(run.id, run.workflow, since)
            found["pattern", str(pattern.id)] = _pattern_of(pattern, run, at, healed)
    return list(found.values())


def _heals(now: datetime) -> list[HealingRun]:
    """The oldest first, so that a pattern is that of the newest."""
    rows = HealingRun.objects.filter(
        state=RunState.SUCCEEDED,
        dry_run=False,
        failed_again_at=None,
        ended_at__gt=now - REMEMBERED,
    ).exclude(trigger_kind=TriggerKind.HEALED)
    return list(reversed(rows.order_by("-ended_at", "-id")[:_MOST]))


def _last_failures(services: set[str]) -> Mapping[str, datetime | None]:
    """When the last outage of each service ended; None while one lasts."""
    rows = Outage.objects.filter(check_row__service__name__in=services)
    ended = rows.filter(ended_at__isnull=False).order_by().values("check_row__service__name")
    found: dict[str, datetime | None] = {
        each["check_row__service__name"]: each["last"]
        for each in ended.annotate(last=Max("ended_at"))
    }
    failing = rows.filter(ended_at=None, check_row__enabled=True)
    return found | dict.fromkeys(failing.values_list("check_row__service__name", flat=True), None)


def _foreseen(services: set[str], now: datetime) -> frozenset[str]:
    """Those services that may still fail as it was foreseen."""
    rows = Prediction.objects.filter(
        outcome=PredictionOutcome.PENDING, due_at__gt=now, service__in=services
    )
    return frozenset(rows.values_list("service", flat=True))


def _answered(run_ids: list[UUID]) -> Mapping[str, set[str]]:
    """The workflows that did their part after each heal."""
    found: dict[str, set[str]] = defaultdict(set)
    rows = HealingRun.objects.filter(
        trigger_kind=TriggerKind.HEALED,
        trigger_key__in=list(map(str, run_ids)),
        state=RunState.SUCCEEDED,
        dry_run=False,
    )
    for key, workflow in rows.values_list("trigger_key", "workflow"):
        found[key].add(workflow)
    return found


def _patterns_of(run: HealingRun, healed_at: datetime) -> list[ErrorPattern]:
    rows = patterns_shown().filter(state__in=_UNRESOLVED)
    if run.target_kind == TargetKind.PATTERN:
        return list(rows.filter(id=run.target))
    began = _began(run) - BEFORE
    return [
        each
        for each in rows.filter(service=run.service, last_seen__gte=began).order_by("id")[:_MOST]
        if began <= (each.state_changed_at or each.first_seen) <= healed_at
    ]


def _began(run: HealingRun) -> datetime:
    """When the failure began that the run was for."""
    try:
        since = datetime.fromisoformat(str(run.trigger.get("since")))
    except ValueError:
        return run.created_at
    return since if since.tzinfo else since.replace(tzinfo=UTC)


def _service_of(run: HealingRun, at: datetime, healed: Healed) -> Failing:
    breaker = run.target.partition("/")[2] if run.target_kind == TargetKind.BREAKER else ""
    return Failing(
        kind=TriggerKind.HEALED,
        key=str(run.id),
        service=run.service,
        names=(run.service,),
        since=at,
        seen_at=at,
        text=f"{run.service} was healed by {run.workflow}",
        link=f"/healing/runs/{run.id}",
        breaker=breaker,
        check_id=run.check_id,
        healed=healed,
        evidence={"run": str(run.id), "quiet_since": healed.quiet_since.isoformat()},
    )


def _pattern_of(pattern: ErrorPattern, run: HealingRun, at: datetime, healed: Healed) -> Failing:
    return Failing(
        kind=TriggerKind.HEALED,
        key=str(pattern.id),
        service=pattern.service,
        names=(pattern.type,),
        since=at,
        seen_at=at,
        text=f"Quiet since {run.workflow} healed {run.service}: {pattern.type}",
        link=f"/patterns/{pattern.id}",
        pattern=str(pattern.id),
        output=pattern.template,
        healed=healed,
        evidence={
            "run": str(run.id),
            "type": pattern.type,
            "quiet_since": healed.quiet_since.isoformat(),
        },
    )
