"""What workflows would do to services, breakers and error patterns now, told and not done."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from analytics.choices import PatternState
from analytics.models import ErrorPattern
from breakers.choices import BreakerState
from breakers.models import Breaker
from healing.actions.base import ActionFailed, Context, Subject
from healing.actions.registry import actions_known
from healing.choices import TargetKind, TriggerKind
from healing.domain.definition import Definition, Step
from healing.domain.matching import able
from healing.domain.output import output_clean
from healing.models import HealingTarget
from healing.services.runs.conditions import condition_words
from healing.services.runs.entries import run_imagined
from healing.services.runs.preconditions import precondition_missing
from healing.services.runs.steps import guarded
from healing.services.targets import step_resolve
from health.checks.addresses import Addresses
from health.models import Service
from resilience_site.config import config

# Seconds that it may take to tell an effect.
_EFFECT_SECONDS: Final = 10.0
# Of the breakers and of the patterns, and names in a line; the rest is counted.
_MOST: Final = 20
_MOST_NAMES: Final = 10
_UNRESOLVED: Final = (
    PatternState.NEW, PatternState.ONGOING, PatternState.ESCALATING, PatternState.REGRESSED,
)  # fmt: skip


def effects_told(definitions: Iterable[Definition]) -> Iterator[str]:
    """A line for each step of each workflow, on everything of the kind that it acts on; where it
    could do nothing, a line that says why."""
    ways = dict(HealingTarget.objects.order_by("service").values_list("service", "ways"))
    known = Service.objects.exclude(name__in=ways).order_by("name").values_list("name", flat=True)
    services = [_service(name) for name in [*ways, *known]]
    for definition in definitions:
        match definition.target:
            case TargetKind.BREAKER:
                yield from _told(definition, _breakers(), ways, "no breaker reports")
            case TargetKind.PATTERN:
                none = "no error pattern is unresolved"
                yield from _told(definition, _patterns(), ways, none)
            case _:
                yield from _told(definition, services, ways, "no service is known")


def _told(
    definition: Definition, subjects: list[Subject], ways: Mapping[str, Any], none: str
) -> Iterator[str]:
    unable: dict[str, list[str]] = defaultdict(list)
    possible = []
    for subject in subjects:
        why = able(definition, ways.get(subject.service) or (), actions_known())
        if why:
            unable[why].append(subject.name)
        else:
            possible.append(subject)
    # Those that somebody said how to reach are told whole.
    reached = sum(each.service in ways for each in possible)
    most = max(_MOST, reached if definition.target == "service" else 0)
    for subject in possible[:most]:
        for step in definition.steps:
            yield f"{definition.name} on {subject.name}: {step.id}: {_effect(step, subject)}"
    if len(possible) > most:
        yield f"{definition.name} on {len(possible) - most:,} more: the same, each for itself"
    for why, names in unable.items():
        yield f"{definition.name} on {_names(names)}: nothing: {why}"
    if not subjects:
        yield f"{definition.name}: nothing now: {none}"


def _service(name: str) -> Subject:
    return Subject(kind=TargetKind.SERVICE, name=name, service=name)


def _breakers() -> list[Subject]:
    """Each breaker once, those that are open first."""
    found: dict[tuple[str, str], tuple[bool, str]] = {}
    for service, name, key, state in Breaker.objects.order_by("service", "name").values_list(
        "service", "name", "key", "state"
    ):
        shut, _ = found.get((service, name), (False, ""))
        found[service, name] = (shut or state == BreakerState.OPEN, key)
    ordered = sorted(found.items(), key=lambda each: (not each[1][0], each[0]))
    return [
        Subject(
            kind=TargetKind.BREAKER, name=f"{service}/{name}", service=service,
            trigger_kind=TriggerKind.BREAKER_OPEN, trigger_key=key,
        )
        for (service, name), (_, key) in ordered
    ]  # fmt: skip


def _patterns() -> list[Subject]:
    """Those that nobody resolved, the one that was seen last first."""
    rows = ErrorPattern.objects.filter(state__in=_UNRESOLVED).order_by("-last_seen", "id")
    return [
        Subject(
            kind=TargetKind.PATTERN, name=str(row.pk), service=row.service,
            trigger_kind=TriggerKind.HEALED, trigger_key=str(row.pk),
        )
        for row in rows.only("id", "service")[: _MOST + 1]
    ]  # fmt: skip


def _effect(step: Step, subject: Subject) -> str:
    now, secrets = datetime.now(UTC), frozenset[str]()
    run = run_imagined(subject, now)
    missing = precondition_missing(step.precondition, run, now)
    if missing:
        required = step.precondition is not None and step.precondition.required
        return f"{'would fail' if required else 'would be skipped'} now: {missing}"
    try:
        resolved = step_resolve(step, subject)
        secrets = resolved.secrets
        context = Context(
            subject=subject,
            key="dry-run",
            started_at=now,
            deadline=time.monotonic() + _EFFECT_SECONDS,
            clock=time.monotonic,
            now=lambda: datetime.now(UTC),
            pause=time.sleep,
            addresses=Addresses(allow_private=config.resilience_allow_private_targets),
            actor="healing_apply",
        )
        told = guarded(lambda: resolved.action.effect(resolved.parameters, context), "Its effect")
    except ActionFailed as error:
        return f"cannot be done now: {output_clean(error.message, secrets)}"
    told = output_clean(told, secrets)
    if step.verification is not None:
        told += f"; verified {condition_words(step.verification, run, now)}"
    return told


def _names(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")
