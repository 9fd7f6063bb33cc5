"""What verifies a step by itself: a condition on its target that has to come true after the act."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from analytics.selectors.series import METRICS, series_read
from healing.choices import TargetKind, TriggerKind
from healing.domain.definition import StepVerification
from healing.models import HealingRun
from healing.services.runs.proofs import (
    Finding,
    breakers_look,
    checks_look,
    pattern_look,
    proof_look,
    proof_of,
)
from healing.services.runs.standing import breakers_of, breakers_of_service, checks_failing
from healing.services.runs.verifying import hurry
from health.models import Check
from resilience_site.core.formatting import duration
from resilience_site.core.timerange import TimeRange

_MINUTE: Final = timedelta(minutes=1)


def condition_words(wanted: StepVerification, run: HealingRun, now: datetime) -> str:
    """What has to come true, and by when, with the names that it goes by for this run."""
    within = f"within {duration(wanted.timeout_seconds)}"
    times = "once" if wanted.passes == 1 else f"{wanted.passes} times in a row"
    match wanted.type:
        case "passing":
            by = f"check {wanted.check}" if wanted.check else proof_of(run, now).words
            return f"by {by}, {times} {within}"
        case "breaker_closed":
            return (
                f"by the breaker{_named(wanted.breaker)}, which has to let calls through, {within}"
            )
        case "quiet":
            return f"as nothing of {run.service} may fail, {within}"
        case "metric":
            return f"by {_figure(wanted)} of {run.service}, {_bound(wanted)} {within}"


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
            return proof_look(run, proof, needed=wanted.passes, passed=passed, since=since, now=now)
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
    """By the newest minute that began after the act: one that it cuts tells of before as well."""
    begin = since.replace(second=0, microsecond=0)
    begin = begin if begin == since else begin + _MINUTE
    nothing = Finding(False, f"No minute since tells {_figure(wanted)} of {run.service} yet")
    if wanted.metric is None or now <= begin:
        return nothing
    within = TimeRange(begin, now)
    series = series_read(wanted.metric, within, now=now, service=run.service, step=_MINUTE)
    known = [each for each in series.points if each.value is not None]
    if not known:
        return nothing
    value: float = known[-1].value  # type: ignore[assignment]
    above, below = wanted.above, wanted.below
    well = (above is None or value > above) and (below is None or value < below)
    text = f"{_figure(wanted)[:1].upper()}{_figure(wanted)[1:]} is {value:.4g}, {_bound(wanted)}"
    if not well:
        text = text.replace(", ", ", not ", 1)
    return replace(Finding(well, text, int(well)), evidence={"value": value})


def _figure(wanted: StepVerification) -> str:
    metric = METRICS[wanted.metric or ""]
    title = f"{metric.title[:1].lower()}{metric.title[1:]}"
    return title if metric.unit == "1" else f"{title} ({metric.unit})"


def _bound(wanted: StepVerification) -> str:
    bounds = [("above", wanted.above), ("below", wanted.below)]
    return " and ".join(f"{word} {value:g}" for word, value in bounds if value is not None)


def _named(name: str) -> str:
    return f" {name}" if name else ""
