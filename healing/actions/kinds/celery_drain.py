"""Celery: have workers take no new tasks, and wait until they have done what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from healing.actions.base import ActionFailed, Context, Done, action
from healing.actions.fleet import ONE, Fleet, FleetAction, queues_of


@dataclass(frozen=True)
class DrainParameters:
    """`worker` is one, all or a name. Without `queues`: all that the worker takes from. With
    `finish`, what it has begun must end within the step's time."""

    broker_url: str
    worker: str = ONE
    queues: tuple[str, ...] = ()
    finish: bool = True
    control_exchange: str = "celery"
    reply_seconds: float = 1.0


@action("celery_drain", "Drain Celery workers")
class CeleryDrain(FleetAction[DrainParameters]):
    """Undone, the workers take from their queues again, as they do after a start."""

    Parameters = DrainParameters
    undoes_itself = True
    repeatable = True

    def effect_on(
        self, members: Mapping[str, Any], parameters: DrainParameters, context: Context
    ) -> str:
        fleet = Fleet(parameters, context)
        queues = _queues(fleet, list(members), parameters)
        held = _held(fleet, list(members))
        words = (
            f"{name} (takes from {', '.join(queues[name]) or 'no queue'}, "
            f"holds {held.get(name, 0)} tasks)"
            for name in members
        )
        return f"Drains {', '.join(words)}"

    def observe(self, parameters: DrainParameters, context: Context) -> dict[str, Any]:
        fleet = Fleet(parameters, context)
        return {"queues": _queues(fleet, list(fleet.members()), parameters)}

    def act(self, parameters: DrainParameters, context: Context) -> Done:
        fleet, queues = Fleet(parameters, context), context.before["queues"]
        lines: list[str] = []
        for name, taken in queues.items():
            for queue in taken:
                lines += fleet.done("cancel_consumer", [name], queue=queue)
        while parameters.finish and (held := _held(fleet, list(queues))):
            if not fleet.wait():
                words = ", ".join(f"{name} {count}" for name, count in sorted(held.items()))
                raise ActionFailed(f"Tasks are still held: {words}", output="\n".join(lines))
        return Done("\n".join(lines) or "It took from no queue")

    def finished(self, parameters: DrainParameters, context: Context) -> bool | None:
        fleet, before = Fleet(parameters, context), context.before["queues"]
        now = _queues(fleet, list(before), parameters)
        taking = any(set(now.get(name, ())) & set(taken) for name, taken in before.items())
        return not taking and not (parameters.finish and _held(fleet, list(before)))

    def undo(self, parameters: DrainParameters, context: Context) -> Done:
        fleet, before = Fleet(parameters, context), context.before["queues"]
        there = fleet.told("ping", list(before))
        lines = [f"{name} does not answer" for name in sorted(set(before) - set(there))]
        for name in there:
            for queue in before.get(name, ()):
                lines += fleet.done("add_consumer", [name], queue=queue)
        if not there and any(before.values()):
            raise ActionFailed("; ".join(lines))
        return Done("\n".join(lines) or "It took from no queue")


def _queues(fleet: Fleet, workers: list[str], parameters: DrainParameters) -> dict[str, list[str]]:
    """The queues of those that are meant, from which each worker takes."""
    wanted = set(parameters.queues)
    return {
        name: [each for each in taken if not wanted or each in wanted]
        for name, taken in queues_of(fleet, workers).items()
    }


def _held(fleet: Fleet, workers: list[str]) -> dict[str, int]:
    """How many tasks each worker runs or has taken, where it has any."""
    found: dict[str, int] = {}
    for command in ("active", "reserved"):
        for name, tasks in fleet.told(command, workers).items():
            if isinstance(tasks, list) and tasks:
                found[name] = found.get(name, 0) + len(tasks)
    return found
