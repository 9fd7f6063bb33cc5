"""Proof: what tells whether the target of a run is well, and what it says.

What triggered a run tells best: its check, its breaker, its pattern. Where nothing did, as in a run
that a person starts or that a forecast asks for, the checks of the target do; where it has none,
its breakers. Where nothing at all tells, the run says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from analytics.models import ErrorPattern
from breakers.choices import BreakerState
from healing.choices import TargetKind, TriggerKind
from healing.models import HealingRun
from healing.services.runs.standing import breakers_of, breakers_of_service
from health.choices import HealthState, ResultStatus
from health.models import Check, CheckResult, CheckStatus

_PASS: Final = (ResultStatus.UP, ResultStatus.DEGRADED)
SHUT: Final = (BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.FORCED_OPEN)
# A pattern that was spiking is quiet when it was not seen for so long.
QUIET: Final = timedelta(seconds=30)
_MOST_NAMES: Final = 5


@dataclass(frozen=True)
class Finding:
    """Whether the target is well, and what says so. `passes` in a row until now."""

    well: bool
    text: str
    passes: int = 0
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Proof:
    """What a run is verified by; `words` name it. `checks` are those that have to pass, `key` is
    that of a pattern."""

    kind: Literal["checks", "breaker", "breakers", "pattern", "nothing"]
    words: str
    checks: tuple[UUID, ...] = ()
    key: str = ""


def proof_of(run: HealingRun, now: datetime) -> Proof:
    """What tells how the target of a run is."""
    found = _of_trigger(run, now)
    return found if found is not None else _of_service(run, now)


def _of_trigger(run: HealingRun, now: datetime) -> Proof | None:
    by_hand = run.trigger_kind == TriggerKind.MANUAL
    if run.target_kind == TargetKind.PATTERN:
        return Proof("pattern", "the error pattern that it is about", key=run.target)
    if run.target_kind == TargetKind.SERVICE and run.check_id is not None and not by_hand:
        names = _names([run.check_id])
        if names:
            return Proof("checks", f"the check that triggered it, {names}", (run.check_id,))
    of_breaker = run.target_kind == TargetKind.BREAKER
    if (of_breaker or run.trigger_kind == TriggerKind.BREAKER_OPEN) and breakers_of(run, now):
        name = f" {run.target.partition('/')[2]}" if of_breaker else " that triggered it"
        return Proof("breaker", f"the state of the breaker{name}")
    if run.trigger_kind == TriggerKind.PATTERN_SPIKING:
        return Proof("pattern", "the error pattern that triggered it", key=run.trigger_key)
    return None


def _of_service(run: HealingRun, now: datetime) -> Proof:
    """Its checks that count for its state (all, where none does), else its breakers."""
    rows = list(
        Check.objects.filter(service__name=run.service, enabled=True).values_list("pk", "critical")
    )
    checks = [pk for pk, critical in rows if critical] or [pk for pk, _ in rows]
    if checks:
        word = "check" if len(checks) == 1 else "checks"
        return Proof("checks", f"the {word} of {run.service}, {_names(checks)}", tuple(checks))
    if breakers_of_service(run.service, now):
        words = f"the breakers of {run.service}, as no check looks at it"
        return Proof("breakers", words)
    words = (
        f"nothing but its steps: {run.service} has no check and no breaker, so that it counts as "
        "healed once they took effect"
    )
    return Proof("nothing", words)


def proof_look(
    run: HealingRun, proof: Proof, *, needed: int, passed: int, since: datetime, now: datetime
) -> Finding:
    """What the proof says, by what was seen after `since`. `passed` is how often in a row it did
    so far, for what is only seen when it is looked at."""
    match proof.kind:
        case "checks":
            return checks_look(proof.checks, needed, since)
        case "breaker":
            return breakers_look(breakers_of(run, now), needed, passed)
        case "breakers":
            return breakers_look(breakers_of_service(run.service, now), needed, passed)
        case "pattern":
            return pattern_look(run, proof.key, since, now)
        case "nothing":
            return Finding(True, "Nothing tells how the target is; its actions took effect")


def checks_look(checks: Collection[UUID], needed: int, since: datetime) -> Finding:
    """Whether each of these checks passed so many times in a row."""
    found = [_check_look(each, needed, since) for each in checks]
    passes = min((each.passes for each in found), default=0)
    if len(found) == 1:
        return found[0]
    bad = [each for each in found if not each.well]
    evidence = {"checks": [each.evidence for each in found], "passes": passes, "needed": needed}
    if bad:
        return Finding(False, "; ".join(each.text for each in bad), passes, evidence)
    names = ", ".join(sorted(str(each.evidence["check"]) for each in found))
    return Finding(True, f"{names} passed {_times(needed)} in a row each", passes, evidence)


def _check_look(check_id: UUID, needed: int, since: datetime) -> Finding:
    name = Check.objects.filter(pk=check_id).values_list("name", flat=True).first()
    if name is None:
        text = "A check that would tell was deleted meanwhile"
        return Finding(False, text, 0, {"check": str(check_id), "passes": 0, "needed": needed})
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
        text = f"{name} passed {_times(passes)}, but does not count as up yet"
        return Finding(False, text, passes, evidence)
    return Finding(True, f"{name} passed {_times(passes)} in a row", passes, evidence)


def breakers_look(states: Sequence[str], needed: int, passed: int) -> Finding:
    """Whether breakers let calls through, so many looks in a row."""
    shut = sorted({each for each in states if each in SHUT})
    evidence = {"breaker": list(states), "needed": needed}
    if shut:
        return Finding(False, f"The breaker is {shut[0].replace('_', '-')}", 0, evidence)
    if not states:
        return Finding(False, "No instance tells of the breaker", 0, evidence)
    passes = min(passed + 1, needed)
    if passes < needed:
        text = f"The breaker let calls through {passes} of {needed} times"
        return Finding(False, text, passes, evidence)
    return Finding(True, "The breaker lets calls through", passes, evidence)


def pattern_look(run: HealingRun, key: str, since: datetime, now: datetime) -> Finding:
    """Whether a pattern of errors is quiet."""
    pattern = ErrorPattern.objects.filter(pk=key).first()
    if pattern is None:
        return Finding(True, "The pattern is gone", 1)
    evidence = {"last_seen": pattern.last_seen.isoformat()}
    if run.trigger_kind == TriggerKind.HEALED:
        if pattern.last_seen <= since:
            return Finding(True, "The pattern was not seen again", 1, evidence)
        return Finding(False, "The pattern was seen again", 0, evidence)
    if now - max(pattern.last_seen, since) >= QUIET:
        return Finding(True, "The pattern is quiet", 1, evidence)
    return Finding(False, "The pattern was not quiet for long enough", 0, evidence)


def _names(checks: Sequence[UUID]) -> str:
    found = sorted(Check.objects.filter(pk__in=checks).values_list("name", flat=True))
    more = f" and {len(found) - _MOST_NAMES} more" if len(found) > _MOST_NAMES else ""
    return f"{', '.join(found[:_MOST_NAMES])}{more}"


def _times(count: int) -> str:
    return "1 time" if count == 1 else f"{count} times"
