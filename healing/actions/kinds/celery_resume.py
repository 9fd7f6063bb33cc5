"""Celery: have workers take tasks from queues again, after they were drained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from healing.actions.base import Context, Done, action
from healing.actions.fleet import ALL, Fleet, FleetAction, queues_of
from health.checks.options import OptionError


@dataclass(frozen=True)
class ResumeParameters:
    """The workers (`one`, `all` or a name) take from `queues`; from one that they take from already
    they go on to."""

    broker_url: str
    queues: tuple[str, ...]
    worker: str = ALL
    control_exchange: str = "celery"
    reply_seconds: float = 1.0


@action("celery_resume", "Have Celery workers take tasks again")
class CeleryResume(FleetAction[ResumeParameters]):
    """It is how workers are meant to be, so that there is nothing to undo."""

    Parameters = ResumeParameters
    safe_to_leave = True
    repeatable = True

    def validate(self, parameters: ResumeParameters) -> None:
        super().validate(parameters)
        if not parameters.queues or not all(parameters.queues):
            raise OptionError("queues", "must name at least one queue")

    def effect_on(
        self, members: Mapping[str, Any], parameters: ResumeParameters, context: Context
    ) -> str:
        missing = _missing(Fleet(parameters, context), list(members), parameters)
        if not missing:
            return "Changes nothing: the workers take from all of these queues"
        words = (f"{name} take from {', '.join(queues)}" for name, queues in missing.items())
        return f"Lets {', '.join(words)} again"

    def act(self, parameters: ResumeParameters, context: Context) -> Done:
        fleet = Fleet(parameters, context)
        lines: list[str] = []
        for name, queues in _missing(fleet, list(fleet.members()), parameters).items():
            for queue in queues:
                lines += fleet.done("add_consumer", [name], queue=queue)
        return Done("\n".join(lines) or "The workers take from all of these queues")

    def finished(self, parameters: ResumeParameters, context: Context) -> bool | None:
        fleet = Fleet(parameters, context)
        return not _missing(fleet, list(fleet.members()), parameters)


def _missing(
    fleet: Fleet, workers: list[str], parameters: ResumeParameters
) -> dict[str, list[str]]:
    """The queues from which each worker does not take, where there are such."""
    taken = queues_of(fleet, workers)
    found = {
        name: [queue for queue in parameters.queues if queue not in taken[name]] for name in workers
    }
    return {name: queues for name, queues in found.items() if queues}
