"""What verifies a step by itself: a condition on its target that has to come true after the act."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q

from analytics.models import ErrorPattern
from analytics.selectors.series import METRICS, series_read
from healing.choices import TargetKind, TriggerKind
from healing.domain.definition import StepVerification
from healing.models import HealingRun
from healing.services.runs.proofs import (
    QUIET,
    SHUT,
    Finding,
    Proof,
    breakers_look,
    checks_look,
    pattern_look,
    proof_look,
    proof_of,
)
from healing.services.runs.standing import breakers_of, breakers_of_service, checks_failing
from healing.services.runs.verifying import hurry
from health.choices import HealthState, ResultStatus
from health.models import Check, CheckStatus
from resilience_site.core.formatting import duration
from resilience_site.core.timerange import TimeRange

_MINUTE: Final = timedelta(minutes=1)
# What instances tell of a minute comes in a moment after it is over.
_ARRIVAL: Final = timedelta(seconds=10)
# How old a figure may be that tells how a target is before the act.
_LATELY: Final = timedelta(minutes=5)


def condition_words(wanted: StepVerification, run: HealingRun, now: datetime) -> str:
    """What has to come true, and by when, with the names that it goes by for this run."""
    within = within_words(wanted)
    match wanted.type:
        case "passing":
            by = f"check {wanted.check}" if wanted.check else proof_of(run, now).words
            return f"by {by}, {times_words(wanted)} {within}"
        case "breaker_closed":
            return (
                f"by the breaker{_named(wanted.breaker)}, which has to let calls through, {within}"
            )
        case "quiet":
            return f"as nothing of {run.service} may fail, {within}"
        case "metric":
            return f"by {_figure(wanted)} of {run.service}, {bound_words(wanted)} {within}"


def times_words(wanted: StepVerification) -> str:
    return "once" if wanted.passes == 1 else f"{wanted.passes} times in a row"


def bound_words(wanted: StepVerification) -> str:
    bounds = [("above", wanted.above), ("below", wanted.below)]
    return " and ".join(f"{word} {value:g}" for word, value in bounds if value is not None)


def within_words(wanted: StepVerification) -> str:
    of = " of the first whole minute" if wanted.type == "metric" else ""
    return f"within {duration(wanted.timeout_seconds)}{of}"


def condition_from(wanted: StepVerification, acted_at: datetime) -> datetime:
    """The earliest moment at which it can be seen to be true: a figure is one of a whole minute."""
    if wanted.type != "metric":
        return acted_at
    return _next_minute(acted_at) + _MINUTE + _ARRIVAL


def condition_look(
    wanted: StepVerification, run: HealingRun, *, passed: int, since: datetime, now: datetime
) -> Finding:
    """Whether it has come true, by what was seen after `since`; has checks that tell run soon."""
    match wanted.type:
        case "passing" if wanted.check:
            return _named_check(wanted, run, since, now)
        case "passing":
            proof = proof_of(run, now)
            hurry(proof.checks, since, now)
            found = proof_look(
                run, proof, needed=wanted.passes, passed=passed, since=since, now=now
            )
            return replace(found, evidence={"by": proof.kind, **found.evidence})
        case "breaker_closed":
            states = (
                breakers_of_service(run.service, now, wanted.breaker)
                if wanted.breaker
                else breakers_of(run, now)
            )
            return breakers_look(states, wanted.passes, passed)
        case "quiet":
            return _quiet(run, since, now)
        case "metric":
            return _metric(wanted, run, since, now)


def _named_check(
    wanted: StepVerification, run: HealingRun, since: datetime, now: datetime
) -> Finding:
    check: UUID | None = (
        Check.objects.filter(service__name=run.service, name=wanted.check, enabled=True)
        .values_list("pk", flat=True)
        .first()
    )
    if check is None:
        return Finding(False, f"{run.service} has no check {wanted.check} that is switched on")
    hurry([check], since, now)
    return checks_look([check], wanted.passes, since)


def _quiet(run: HealingRun, since: datetime, now: datetime) -> Finding:
    if run.target_kind == TargetKind.PATTERN:
        return pattern_look(run, run.target, since, now)
    if run.trigger_kind == TriggerKind.PATTERN_SPIKING:
        return pattern_look(run, run.trigger_key, since, now)
    failing: Mapping[UUID, str] = checks_failing([run.service])
    if failing:
        hurry(list(failing), since, now)
        return Finding(False, f"Of {run.service}, {', '.join(sorted(failing.values()))} fails")
    return Finding(True, f"Nothing of {run.service} fails", 1)


def _metric(wanted: StepVerification, run: HealingRun, since: datetime, now: datetime) -> Finding:
    """By the newest minute that began after the act and is over: one that the act cuts tells of
    before as well, and one that lasts does not yet tell of all that goes wrong in it."""
    value = _value(wanted, run, _next_minute(since), now)
    if value is None:
        return Finding(False, f"No minute since tells {_figure(wanted)} of {run.service} yet")
    well = _in_bounds(wanted, value)
    figure = _figure(wanted)
    text = f"{figure[:1].upper()}{figure[1:]} is {value:.4g}, {bound_words(wanted)}"
    if not well:
        text = text.replace(", ", ", not ", 1)
    return replace(Finding(well, text, int(well)), evidence={"value": value})


def _value(
    wanted: StepVerification, run: HealingRun, begin: datetime, now: datetime
) -> float | None:
    """The figure in the newest whole minute from `begin` on that tells it."""
    end = (now - _ARRIVAL).replace(second=0, microsecond=0)
    if wanted.metric is None or end <= begin:
        return None
    within = TimeRange(begin, end)
    series = series_read(wanted.metric, within, now=now, service=run.service, step=_MINUTE)
    # Where nothing at all was written of a minute, it had no errors.
    unknown = 0.0 if wanted.metric == "errors" else None
    values = [unknown if each.value is None else each.value for each in series.points]
    return next((each for each in reversed(values) if each is not None), None)


def _in_bounds(wanted: StepVerification, value: float) -> bool:
    above, below = wanted.above, wanted.below
    return (above is None or value > above) and (below is None or value < below)


def _next_minute(at: datetime) -> datetime:
    whole = at.replace(second=0, microsecond=0)
    return whole if whole == at else whole + _MINUTE


# --- Before the act ---------------------------------------------------------------------------


def condition_untrue(wanted: StepVerification, run: HealingRun, now: datetime) -> bool:
    """Whether something shows that it is not true now: that nothing tells is not enough."""
    match wanted.type:
        case "passing" if wanted.check:
            named = Check.objects.filter(service__name=run.service, name=wanted.check, enabled=True)
            return _one_fails(list(named.values_list("pk", flat=True)))
        case "passing":
            return _proof_untrue(proof_of(run, now), run, now)
        case "breaker_closed" if wanted.breaker:
            return _one_shut(breakers_of_service(run.service, now, wanted.breaker))
        case "breaker_closed":
            return _one_shut(breakers_of(run, now))
        case "quiet":
            return _loud(run, now)
        case "metric":
            value = _value(wanted, run, _next_minute(now - _LATELY), now)
            return value is not None and not _in_bounds(wanted, value)


def _proof_untrue(proof: Proof, run: HealingRun, now: datetime) -> bool:
    match proof.kind:
        case "checks":
            return _one_fails(proof.checks)
        case "breaker":
            return _one_shut(breakers_of(run, now))
        case "breakers":
            return _one_shut(breakers_of_service(run.service, now))
        case "pattern":
            return _seen_lately(proof.key, now)
        case "nothing":
            return False


def _loud(run: HealingRun, now: datetime) -> bool:
    if run.target_kind == TargetKind.PATTERN:
        return _seen_lately(run.target, now)
    if run.trigger_kind == TriggerKind.PATTERN_SPIKING:
        return _seen_lately(run.trigger_key, now)
    return bool(checks_failing([run.service]))


def _one_fails(checks: Collection[UUID]) -> bool:
    down = Q(own_state=HealthState.DOWN) | Q(last_status=ResultStatus.DOWN)
    return CheckStatus.objects.filter(down, pk__in=checks).exists()


def _one_shut(states: Collection[str]) -> bool:
    return any(each in SHUT for each in states)


def _seen_lately(key: str, now: datetime) -> bool:
    return ErrorPattern.objects.filter(pk=key, last_seen__gt=now - QUIET).exists()


# --- Words ------------------------------------------------------------------------------------


def _figure(wanted: StepVerification) -> str:
    metric = METRICS[wanted.metric or ""]
    title = f"{metric.title[:1].lower()}{metric.title[1:]}"
    return title if metric.unit == "1" else f"{title} ({metric.unit})"


def _named(name: str) -> str:
    return f" {name}" if name else ""
