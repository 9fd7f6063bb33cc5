"""Which workflow answers to which failure, and on what it would act."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Final
from uuid import UUID

from healing.domain.definition import Definition, Trigger

# What stands for a target that a failure does not have.
NOWHERE: Final = ""
# What tables can hold; senders of alerts name things as they like.
_LONGEST: Final = 200
_LONGEST_TARGET: Final = 400


@dataclass(frozen=True)
class Healed:
    """A heal that was verified, since when nothing of its service failed, and the workflows that
    have answered to it. `degraded`: it let its service run at a lower level, it still does, and no
    failure of it is foreseen."""

    run: UUID
    workflow: str
    quiet_since: datetime
    answered_by: frozenset[str] = frozenset()
    degraded: bool = False


@dataclass(frozen=True)
class Failing:
    """Something that fails now (or, after a heal, might be cleared away).

    `kind` is a `TriggerKind`, `key` names what fails, `names` are what patterns of names are held
    against. It fails since `since`, and was last seen to at `seen_at`. `criticality` are those of
    its service and of all that fail because of it. `begins`: whether it is failing enough to begin
    with; where not, it only goes on.
    """

    kind: str
    key: str
    service: str
    names: tuple[str, ...]
    since: datetime
    seen_at: datetime
    text: str
    link: str
    check_kind: str = ""
    output: str = ""
    criticality: frozenset[str] = frozenset()
    probability: float = 1.0
    breaker: str = ""
    pattern: str = ""
    check_id: UUID | None = None
    healed: Healed | None = None
    begins: bool = True
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def trigger(self) -> dict[str, Any]:
        """What a run keeps of it (JSON)."""
        return {
            "text": self.text,
            "link": self.link,
            "since": self.since.isoformat(),
            "evidence": dict(self.evidence),
        }

    def target(self, kind: str) -> str:
        """What is acted on where a workflow's target is of this kind; empty where it is nothing."""
        if kind == "service":
            # After a heal, what is left of it has its own target.
            return NOWHERE if self.healed and self.pattern else self.service
        if kind == "breaker":
            return f"{self.service}/{self.breaker}" if self.breaker else NOWHERE
        return self.pattern


def answers(definition: Definition, failing: Failing, now: datetime) -> Trigger | None:
    """The first trigger of a workflow that this failure fires, None where none does or where it
    has no target of the workflow's kind."""
    target = failing.target(definition.target)
    if target == NOWHERE or len(target) > _LONGEST_TARGET or len(failing.service) > _LONGEST:
        return None
    triggers = (definition.trigger, *definition.triggers)
    return next((each for each in triggers if _fires(each, failing, definition.name, now)), None)


def _fires(trigger: Trigger, failing: Failing, workflow: str, now: datetime) -> bool:
    if trigger.type != failing.kind:
        return False
    if now - failing.since < timedelta(seconds=trigger.for_seconds):
        return False
    if failing.healed is not None and not _quiet(trigger, failing.healed, workflow, now):
        return False
    return (
        _matches(trigger.services, [failing.service])
        and _matches(trigger.names, failing.names)
        and _matches(trigger.kinds, [failing.check_kind])
        and _matches(trigger.output, [failing.output])
        and (not trigger.criticality or not failing.criticality.isdisjoint(trigger.criticality))
        and (trigger.type != "prediction" or failing.probability >= trigger.probability)
    )


def _quiet(trigger: Trigger, healed: Healed, workflow: str, now: datetime) -> bool:
    """Whether all has been quiet for long enough since a heal that the trigger is about. A workflow
    does not answer to its own heals: it would do so for ever."""
    if workflow == healed.workflow or workflow in healed.answered_by:
        return False
    if trigger.degraded and not healed.degraded:
        return False
    if not _matches(trigger.workflows, [healed.workflow]):
        return False
    return now - healed.quiet_since >= timedelta(seconds=trigger.quiet_seconds)


def _matches(patterns: Sequence[str], names: Iterable[str]) -> bool:
    """Whether a name fits a pattern, in any case of its letters; no patterns fit all."""
    lowered = [name.casefold() for name in names]
    return not patterns or any(
        fnmatchcase(name, pattern.casefold()) for pattern in patterns for name in lowered
    )


def able(definition: Definition, ways: Iterable[str], actions: Iterable[str]) -> str:
    """Why a workflow can do nothing for a target with these ways, in words; empty where it can.

    A sequence needs a way for each of its steps but those that are skipped without one, and at
    least one that is not. A ladder needs one rung that is a way, if it has any that is.
    """
    known, own = frozenset(actions), frozenset(ways)
    wanted = [each for each in definition.steps if each.action not in known]
    missing = [each for each in wanted if each.action not in own]
    if definition.strategy == "sequence":
        missing = [each for each in missing if not _skipped_without(each.precondition)]
    if missing and (definition.strategy == "sequence" or len(missing) == len(wanted)):
        names = ", ".join(dict.fromkeys(each.action for each in missing))
        return f"its service has no way {names}"
    return ""


def _skipped_without(precondition: Any) -> bool:
    return precondition is not None and precondition.type == "has_way" and not precondition.required
