"""Workers of a Celery fleet, told through their broker by Celery's own remote control."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from healing.actions.asynchronous import probing, ran
from healing.actions.base import Action, ActionFailed, Context
from health.checks.base import Progress
from health.checks.celerylink import broker_failure, broker_judged, broker_of
from health.checks.options import OptionError, require_range
from health.checks.reaching import place
from health.checks.redislink import RedisServer
from health.checks.words import one_line

ONE, ALL = "one", "all"
# What happens in a worker is looked at so often.
LOOK_SECONDS: Final = 0.5
_EXCEPTION: Final = re.compile(r"""\w+\((?P<quote>['"])(?P<words>.*)(?P=quote)\)""", re.DOTALL)


class InFleet(Protocol):
    """What names workers. `worker` is `one` (the first by its name), `all` or a name; who has not
    answered `reply_seconds` after the last answer is not there."""

    @property
    def broker_url(self) -> str: ...
    @property
    def worker(self) -> str: ...
    @property
    def control_exchange(self) -> str: ...
    @property
    def reply_seconds(self) -> float: ...


P = TypeVar("P", bound=InFleet)


@dataclass(frozen=True)
class Fleet:
    """The workers behind a broker, for one step."""

    given: InFleet
    context: Context

    def told(self, command: str, workers: Sequence[str] = (), **arguments: Any) -> dict[str, Any]:
        """What each of the workers (all, where none is named) answered. Raises `ActionFailed`."""
        # It brings kombu with its transports, which few processes need.
        from health.checks import brokers

        broker, progress = broker_of(self.given.broker_url), Progress("waiting for the broker")
        where = place(broker.host, broker.port)

        async def tell() -> dict[str, Any]:
            probe = probing(self.context, progress)
            judged = await broker_judged(broker, probe)
            progress.step = f"waiting for workers to answer by way of {where}"
            try:
                return await brokers.command(
                    judged,
                    command,
                    arguments,
                    workers=workers,
                    exchange=self.given.control_exchange,
                    wait=min(self.given.reply_seconds, max(0.1, self.context.left / 2)),
                    seconds=max(0.2, self.context.left),
                )
            except brokers.BROKER_ERRORS as error:
                raise broker_failure(error, broker) from None

        secrets = (broker.password,) if broker.password else ()
        return ran(tell(), self.context, progress, secrets=secrets)

    def members(self) -> dict[str, dict[str, Any]]:
        """The statistics of the workers that are meant. Raises `ActionFailed` where there is none."""
        wanted = self.given.worker
        named = [wanted] if wanted not in (ONE, ALL) else []
        found = {name: each for name, each in self.told("stats", named).items() if _is_stats(each)}
        if not found:
            who = f"The worker {wanted} does not answer" if named else "No worker answers"
            raise ActionFailed(f"{who} by way of {self._where}")
        return dict(sorted(found.items())[: 1 if wanted == ONE else None])

    def done(self, command: str, workers: Sequence[str], **arguments: Any) -> list[str]:
        """Have the workers do it; what each said. Raises `ActionFailed` where one did not."""
        answers = self.told(command, workers, **arguments)
        missing = sorted(set(workers) - set(answers))
        lines = [f"{name}: {_said(answer)}" for name, answer in sorted(answers.items())]
        refused = [name for name, answer in answers.items() if "error" in _fields(answer)]
        if refused or missing:
            words = (
                f"{name} refuses: {_said(answers[name])}" for name in sorted(refused)
            )  # fmt: skip
            silent = [f"{', '.join(missing)} did not answer"] if missing else []
            raise ActionFailed("; ".join([*words, *silent]), output="\n".join(lines))
        return lines

    def wait(self) -> bool:
        """Wait a moment before another look; false where there is no time for one."""
        if self.context.left <= LOOK_SECONDS + 2 * self.given.reply_seconds:
            return False
        self.context.pause(LOOK_SECONDS)
        return True

    @property
    def _where(self) -> str:
        broker = broker_of(self.given.broker_url)
        return place(broker.host, broker.port)


class FleetAction(Action[P]):
    """An action on workers of a fleet."""

    url_secrets = frozenset({"broker_url"})

    def validate(self, parameters: P) -> None:
        broker_of(parameters.broker_url)
        if not parameters.worker:
            raise OptionError("worker", "must be one, all or the name of a worker")
        require_range("reply_seconds", parameters.reply_seconds, 0.1, 30.0)

    def hosts(self, parameters: P) -> tuple[tuple[str, int], ...]:
        broker = broker_of(parameters.broker_url)
        return (broker.called if isinstance(broker, RedisServer) else (broker.host, broker.port),)

    def effect(self, parameters: P, context: Context) -> str:
        members = Fleet(parameters, context).members()
        return self.effect_on(members, parameters, context)

    @abstractmethod
    def effect_on(self, members: Mapping[str, Any], parameters: P, context: Context) -> str:
        """The effect on these workers, in words."""


def size(stats: Mapping[str, Any]) -> int:
    """How many tasks a worker runs at a time; 0 where it does not say."""
    # Of a pool of processes that grew, only their number says it.
    limit = _fields(stats.get("pool")).get("max-concurrency")
    known = limit if isinstance(limit, int) and not isinstance(limit, bool) else 0
    return len(processes(stats)) or known


def processes(stats: Mapping[str, Any]) -> list[int]:
    """The processes of a worker's pool; none for a pool of threads."""
    found = _fields(stats.get("pool")).get("processes")
    return (
        sorted(each for each in found if isinstance(each, int)) if isinstance(found, list) else []
    )


def queues_of(fleet: Fleet, workers: list[str]) -> dict[str, list[str]]:
    """The queues from which each of the workers takes. Raises `ActionFailed`."""
    found: dict[str, list[str]] = {name: [] for name in workers}
    for name, answer in fleet.told("active_queues", workers).items():
        rows = answer if isinstance(answer, list) else []
        found[name] = sorted(str(row["name"]) for row in rows if "name" in _fields(row))
    return found


def _is_stats(answer: Any) -> bool:
    return isinstance(answer, dict) and "pool" in answer


def _fields(answer: Any) -> Mapping[str, Any]:
    return answer if isinstance(answer, dict) else {}


def _said(answer: Any) -> str:
    fields = _fields(answer)
    text = str(fields.get("error", fields.get("ok", answer)))
    # Workers tell an exception by its representation.
    found = _EXCEPTION.fullmatch(text)
    return one_line(found["words"] if found else text)
