"""A workflow in words: what it answers to, what it does, what holds it back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from healing.actions.registry import actions_known
from healing.choices import TriggerKind
from healing.domain.definition import (
    Definition,
    Guards,
    Precondition,
    Step,
    StepVerification,
    Trigger,
)
from healing.domain.ways import WAYS
from healing.services.runs.conditions import bound_words, times_words, within_words
from resilience_site.config import config
from resilience_site.core.formatting import duration

_PRECONDITIONS: Final = {
    "failing": "only while the check that triggered it still fails",
    "breaker_open": "only while the breaker is open",
    "quiet": "only while nothing of the target has failed since the trigger",
}


@dataclass(frozen=True)
class StepWords:
    """A step: what it calls, what that does, and under which terms. `way`: the target of each
    service says what it leads to."""

    n: int
    id: str
    action: str
    what: str
    way: bool
    parameters: list[tuple[str, str]]
    terms: list[str]


def triggers_words(definition: Definition) -> list[str]:
    """What it answers to, a sentence each."""
    return [_trigger(each) for each in (definition.trigger, *definition.triggers)]


def triggers_brief(definition: Definition) -> str:
    kinds = dict.fromkeys(each.type for each in (definition.trigger, *definition.triggers))
    return ", ".join(TriggerKind(each).label for each in kinds)


def steps_words(definition: Definition) -> list[StepWords]:
    """Its steps in the order in which they run, as written."""
    return [_step(n, each) for n, each in enumerate(definition.steps, 1)]


def guards_words(definition: Definition) -> list[tuple[str, str]]:
    """How it is verified and what holds it back, each with its figure."""
    return [*_verification(definition), *_guards(definition.guards)]


def _trigger(trigger: Trigger) -> str:
    of = f" of {_any(trigger.services)}" if trigger.services else ""
    names = f" {_any(trigger.names)}" if trigger.names else ""
    match trigger.type:
        case "check_failed":
            kinds = f" (kind {_any(trigger.kinds)})" if trigger.kinds else ""
            said = f", and it says {_any(trigger.output)}" if trigger.output else ""
            words = f"A check{names}{kinds}{of} fails{said}"
        case "breaker_open":
            words = f"A breaker{names}{of} is open"
        case "pattern_spiking":
            words = f"Errors{names}{of} spike"
        case "prediction":
            share = f"{trigger.probability * 100:.0f} %"
            words = f"A failure{names}{of} is foreseen with {share} or more"
        case "alert":
            words = f"An alert{names}{of} fires"
        case "healed":
            by = f" by {_any(trigger.workflows)}" if trigger.workflows else ""
            words = f"A heal{by}{of} has held for {duration(trigger.quiet_seconds)}"
            if trigger.degraded:
                words += ", and the service still runs at the lower level that it set"
        case _:
            words = "A person starts it"
    if trigger.criticality:
        needed = _any(each or "of no criticality" for each in trigger.criticality)
        words += f"; only for services that are {needed}"
    return f"{words}."


def _step(n: int, step: Step) -> StepWords:
    action = actions_known().get(step.action)
    what = action.label if action else WAYS.get(step.action, "A way of the target")
    terms = [f"given up after {duration(step.timeout_seconds)}"]
    if step.retries:
        apart = duration(step.retry_seconds)
        terms.append(f"tried up to {step.retries + 1} times, {apart} apart and more")
    if step.precondition is not None:
        terms.insert(0, _precondition(step.precondition))
    if step.verification is not None:
        terms.append(_own_verification(step.verification))
    if step.after:
        terms.append(f"after {', '.join(step.after)}")
    if step.compensate is not None:
        terms.append(f"undone by {step.compensate.action}")
    elif action is not None and action.undoes_itself:
        terms.append("undone by itself where the heal fails")
    elif action is not None and action.safe_to_leave:
        terms.append("nothing to undo")
    return StepWords(
        n, step.id, step.action, what, action is None,
        [(name, _value(value)) for name, value in step.parameters.items()], terms,
    )  # fmt: skip


def _precondition(found: Precondition) -> str:
    words = _PRECONDITIONS.get(found.type, f"only where the service has the way {found.way}")
    return f"{words}, else it has failed" if found.required else words


def _own_verification(found: StepVerification) -> str:
    within = within_words(found)
    match found.type:
        case "passing":
            what = f"check {found.check}" if found.check else "what tells of the target"
            words = f"{what} has passed {times_words(found)} {within}"
        case "breaker_closed":
            name = f" {found.breaker}" if found.breaker else ""
            words = f"the breaker{name} lets calls through {within}"
        case "quiet":
            words = f"nothing of the target fails {within}"
        case _:
            words = f"{found.metric} of the service is {bound_words(found)} {within}"
    return f"done only once {words}, else it has failed"


def _verification(definition: Definition) -> list[tuple[str, str]]:
    found = definition.verification
    within = found.timeout_seconds or config.healing_verification_timeout
    neighbours = ", and no neighbour that began to fail" if found.neighbours else ""
    passes = "1 pass" if found.passes == 1 else f"{found.passes} passes in a row"
    rows = [("It healed with", f"{passes}{neighbours}, within {duration(within)}")]
    if definition.strategy == "ladder":
        rung = duration(found.rung_seconds)
        rows.append(("Rung by rung", f"each is given {rung}, then the next is climbed"))
    rows.append(("Ended after", duration(definition.deadline_seconds)))
    return rows


def _guards(guards: Guards) -> list[tuple[str, str]]:
    return [
        ("Cooldown", f"{duration(guards.cooldown_seconds)} between runs on a target"),
        (
            "Budget of a target",
            f"{guards.per_hour} runs an hour, {guards.per_day} a day, then quarantine",
        ),
        ("Runs at once", f"{guards.per_service} on a service, {guards.at_once} in all"),
        ("Blast radius", f"at most {guards.group_share * 100:.0f} % of a group, at least 1"),
        ("Failed runs in a row", f"{guards.failures_to_approve} turn auto into approve"),
        ("Error budget", f"under {guards.budget_left * 100:.0f} % left: only with approval"),
        ("Waits for a yes", duration(guards.approval_seconds)),
        ("Chronic", f"{guards.chronic_per_day} heals of a target a day are told as an alert"),
    ]


def _any(patterns: Iterable[str]) -> str:
    found = list(patterns)
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} or {found[-1]}"


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
