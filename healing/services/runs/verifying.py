"""Verification: whether the target is well again, by what it failed by."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from analytics.models import ErrorPattern
from breakers.choices import BreakerState
from healing.choices import TargetKind, TriggerKind
from healing.domain.definition import Definition
from healing.models import HealingRun
from healing.services.runs.standing import breakers_of, neighbours_failing
from health.choices import HealthState, ResultStatus
from health.models import Check, CheckResult, CheckStatus
from health.services.reprobes import reprobe
from resilience_site.config import config

_PASS: Final = (ResultStatus.UP, ResultStatus.DEGRADED)
_SHUT: Final = (BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.FORCED_OPEN)
# Checks run every other second at first; later they are hurried before their hurry is over.
_YOUNG: Final = timedelta(seconds=30)
_HURRIED: Final = timedelta(seconds=2)
_HURRY_LEFT: Final = timedelta(seconds=10)
# A pattern that was spiking is quiet when it was not seen for so long.
_QUIET: Final = timedelta(seconds=30)


@dataclass(frozen=True)
class Finding:
    """Whether the target is well, and what says so. `passes` in a row until now."""

    well: bool
    text: str
    passes: int = 0
    evidence: Mapping[str, Any] = field(default_factory=dict)


def verification_seconds(definition: Definition) -> float:
    """How long a verification may take."""
    wanted = definition.verification
    if definition.strategy == "ladder":
        return wanted.rung_seconds
    return wanted.timeout_seconds or config.healing_verification_timeout


def verification_begin(run: HealingRun, now: datetime) -> None:
    """Have everything that tells how the target is looked at soon."""
    reprobe(check_ids=_telling(run), now=now)


def target_look(run: HealingRun, definition: Definition, since: datetime, now: datetime) -> Finding:
    """How the target is, by what was seen after `since`."""
    _hurry(_telling(run), since, now)
    found = _own(run, definition, since, now)
    if not definition.verification.neighbours:
        return found
    failing = neighbours_failing(run.service)
    known = {str(each) for each in run.failing_before} | {str(run.check_id)}
    newly = {str(key): name for key, name in failing.items() if str(key) not in known}
    if not newly:
        return found
    names = ", ".join(sorted(newly.values()))
    return Finding(
        False,
        f"{found.text}; since the run began, {names} fails",
        found.passes,
        {**found.evidence, "newly_failing": sorted(newly.values())},
    )


def _own(run: HealingRun, definition: Definition, since: datetime, now: datetime) -> Finding:
    if run.check_id is not None and Check.objects.filter(pk=run.check_id).exists():
        return _by_check(run.check_id, definition.verification.passes, since)
    if run.target_kind == TargetKind.BREAKER or run.trigger_kind == TriggerKind.BREAKER_OPEN:
        return _by_breaker(run, now)
    if run.target_kind == TargetKind.PATTERN:
        return _by_pattern(run, run.target, since, now)
    if run.trigger_kind == TriggerKind.PATTERN_SPIKING:
        return _by_pattern(run, run.trigger_key, since, now)
    own = _checks_of(run.service)
    if own:
        return _by_checks(own, since)
    return Finding(True, "Nothing tells how the target is; its actions took effect")


def _by_check(check_id: UUID, needed: int, since: datetime) -> Finding:
    name = Check.objects.values_list("name", flat=True).get(pk=check_id)
    rows = CheckResult.objects.filter(check_id=check_id, at__gte=since).order_by("-at")
    conclusive = rows.filter(status__in=[*_PASS, ResultStatus.DOWN])
    seen = list(conclusive.values_list("status", "output")[: needed + 1])
    passes = 0
    for status, _ in seen:
        if status not in _PASS:
            break
        passes += 1
    passes = min(passes, needed)
    last = seen[0][1] if seen else ""
    evidence = {"check": name, "passes": passes, "needed": needed, "output": last}
    if passes < needed:
        said = f": {last}" if last and passes == 0 else ""
        return Finding(False, f"{name} passed {passes} of {needed} times{said}", passes, evidence)
    if CheckStatus.objects.filter(pk=check_id, own_state=HealthState.DOWN).exists():
        text = f"{name} passed {passes} times, but does not count as up yet"
        return Finding(False, text, passes, evidence)
    return Finding(True, f"{name} passed {passes} times in a row", passes, evidence)


def _by_breaker(run: HealingRun, now: datetime) -> Finding:
    states = breakers_of(run, now)
    shut = sorted({each for each in states if each in _SHUT})
    evidence = {"breaker": states}
    if shut:
        return Finding(False, f"The breaker is {shut[0].replace('_', '-')}", 0, evidence)
    return Finding(True, "The breaker lets calls through", 1, evidence)


def _by_pattern(run: HealingRun, key: str, since: datetime, now: datetime) -> Finding:
    pattern = ErrorPattern.objects.filter(pk=key).first()
    if pattern is None:
        return Finding(True, "The pattern is gone", 1)
    evidence = {"last_seen": pattern.last_seen.isoformat()}
    if run.trigger_kind == TriggerKind.HEALED:
        if pattern.last_seen <= since:
            return Finding(True, "The pattern was not seen again", 1, evidence)
        return Finding(False, "The pattern was seen again", 0, evidence)
    if now - max(pattern.last_seen, since) >= _QUIET:
        return Finding(True, "The pattern is quiet", 1, evidence)
    return Finding(False, "The pattern was not quiet for long enough", 0, evidence)


def _by_checks(checks: Collection[UUID], since: datetime) -> Finding:
    rows = CheckStatus.objects.filter(pk__in=checks).select_related("check_row")
    bad = [row.check_row.name for row in rows if row.own_state == HealthState.DOWN]
    late = [
        row.check_row.name
        for row in rows
        if row.last_conclusive_at is None or row.last_conclusive_at < since
    ]
    if bad:
        return Finding(False, f"{', '.join(sorted(bad))} fails", 0, {"failing": sorted(bad)})
    if late:
        return Finding(False, f"{', '.join(sorted(late))} has not been looked at yet")
    return Finding(True, "All checks of the service pass", 1)


def _checks_of(service: str) -> list[UUID]:
    rows = Check.objects.filter(service__name=service, enabled=True)
    return list(rows.values_list("pk", flat=True))


def _telling(run: HealingRun) -> list[UUID]:
    """The checks that tell how the target is."""
    own = [run.check_id] if run.check_id else _checks_of(run.service)
    return list({*own, *neighbours_failing(run.service)})


def _hurry(checks: Collection[UUID], since: datetime, now: datetime) -> None:
    """Have checks run soon: in the first seconds, in which most heals show, more often than by
    themselves, and later as often as on suspicion."""
    rows = CheckStatus.objects.filter(pk__in=checks, next_due_at__isnull=False)
    if now - since < _YOUNG:
        rows = rows.exclude(last_run_at__gt=now - _HURRIED)
    else:
        rows = rows.exclude(suspected_until__gt=now + _HURRY_LEFT)
    reprobe(check_ids=list(rows.values_list("pk", flat=True)), now=now)
