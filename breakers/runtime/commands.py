"""Commands of the site to this process: each is run once, and how it ended is reported.

`reset_breaker` is built in; the others are the healing actions that the program registers. They run
on threads of their own, one after the other, so that a slow one delays neither calls nor documents.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from breakers.runtime import checks, events
from breakers.runtime.announcements import described
from breakers.runtime.registry import BreakerRegistry
from breakers.runtime.reports import Reports
from breakers.runtime.self_healing import HealingAction, HealingWorkflow, SelfHealingManager
from breakers.runtime.variables import ConfigError

logger = logging.getLogger(__name__)

RESET_BREAKER = "reset_breaker"
STANDARD_TIMEOUT = 60.0  # seconds for a command that does not expire
MOST_PER_DOCUMENT = 1000
MOST_HANGING = 8
# More than documents can name, so that none is forgotten while it is still served.
_REMEMBERED = 10 * MOST_PER_DOCUMENT
_LONGEST_NAME = 200
_LONGEST_OUTPUT = 2000
_FIELDS = ("id", "action", "parameters", "reason", "actor", "expires_at", "expires_in")

Outcome = Literal["succeeded", "failed", "unknown_action"]


class Ended(NamedTuple):
    """How a command ended, and what is to be said of it."""

    outcome: Outcome
    output: str = ""


class _Command(NamedTuple):
    """What to do; `until` is the end of its time by the process's clock, `wrong` why it cannot be."""

    id: str
    action: str
    parameters: Mapping[str, Any]
    reason: str
    until: float | None
    wrong: str = ""


class Commands:
    """The commands of a process. `clock` is monotonic."""

    def __init__(
        self,
        breakers: BreakerRegistry,
        healing: SelfHealingManager,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._breakers = breakers
        self._healing = healing
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._waiting: deque[_Command] = deque()
        self._worker: threading.Thread | None = None
        self._hanging: list[threading.Thread] = []
        self._reports = Reports(logger)

    def apply(self, document: Mapping[str, Any]) -> None:
        """Run those of the `commands` of a control document that were not run yet.

        They take place on another thread; this returns at once. What is no command is reported in
        the log and ignored.
        """
        entries = document.get("commands")
        if not isinstance(entries, list):
            self._reports.once("shape", "The control document has no usable commands: %r", entries)
            return
        if len(entries) > MOST_PER_DOCUMENT:
            self._reports.once(
                "flood", "Of more than %d commands the rest is ignored", MOST_PER_DOCUMENT
            )
        usable = [self._usable(entry) for entry in entries[:MOST_PER_DOCUMENT]]
        with self._lock:
            for command in usable:
                if command is None:
                    continue
                if command.id not in self._seen:
                    self._waiting.append(command)
                self._seen[command.id] = None
                self._seen.move_to_end(command.id)
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
            if self._waiting and (self._worker is None or not self._worker.is_alive()):
                self._worker = threading.Thread(
                    target=self._run, name="resilience-commands", daemon=True
                )
                self._worker.start()

    def _usable(self, entry: Any) -> _Command | None:
        given = entry if isinstance(entry, Mapping) else {}
        name, action = given.get("id"), given.get("action")
        if not _is_name(name) or not _is_name(action):
            self._reports.once(f"{entry!r}", "No command has the shape of %r", entry)
            return None
        self._reports.unknown("A command of the control document", given, _FIELDS)
        left, parameters = given.get("expires_in"), given.get("parameters")
        parameters = {} if parameters is None else parameters
        wrong, until = "", None
        try:
            if not isinstance(parameters, Mapping):
                checks.refuse("parameters", parameters, "an object")
            if left is not None:
                checks.seconds("expires_in", left, zero=True)
                until = self._clock() + float(left)
        except ConfigError as error:
            wrong, parameters = str(error), {}
        reason = str(given.get("reason") or "reset by the site")
        return _Command(str(name), str(action), parameters, reason, until, wrong)

    # --- On the thread of the commands

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._worker = None
                    return
                command = self._waiting.popleft()
            try:
                ended = self._ended(command)
            except Exception as error:
                logger.exception("Command %s (%s) failed", command.id, command.action)
                ended = Ended("failed", described(error))
            self._report(command, ended)

    def _ended(self, command: _Command) -> Ended:
        if command.wrong:
            return Ended("failed", command.wrong)
        known = command.action == RESET_BREAKER or self._healing.knows(command.action)
        if not known:
            return Ended("unknown_action", f"no action {command.action!r} is registered here")
        seconds = STANDARD_TIMEOUT
        if command.until is not None:
            seconds = command.until - self._clock()
            if seconds <= 0:
                return Ended("failed", "it expired before it could run")
        self._hanging = [each for each in self._hanging if each.is_alive()]
        if len(self._hanging) >= MOST_HANGING:
            return Ended("failed", f"{len(self._hanging)} earlier commands have not ended yet")
        return self._within(seconds, command)

    def _within(self, seconds: float, command: _Command) -> Ended:
        """How the command ends; one that takes too long is left to itself."""
        late = Ended("failed", f"no answer within {seconds:.3g} s")
        answers: list[Ended] = []

        def work() -> None:
            try:
                answers.append(self._execute(command, seconds))
            except TimeoutError:
                answers.append(late)
            except Exception as error:
                answers.append(Ended("failed", described(error)))

        thread = threading.Thread(target=work, name=f"resilience-{command.action}", daemon=True)
        thread.start()
        # A coroutine is cancelled in time and ends by itself; a function cannot be stopped.
        thread.join(min(seconds + 0.5, threading.TIMEOUT_MAX))
        if answers:
            return answers[0]
        if not thread.is_alive():
            return Ended("failed", "it ended its thread")
        self._hanging.append(thread)
        return late

    def _execute(self, command: _Command, seconds: float) -> Ended:
        if command.action == RESET_BREAKER:
            return self._reset(command)

        async def heal() -> Ended:
            action = HealingAction(command.action, command.parameters, command.id)
            async with asyncio.timeout(seconds):
                result = await self._healing.execute_healing_workflow(
                    HealingWorkflow(command.action, [action], timeout=seconds + 1)
                )
            if result.outcome == "succeeded":
                return Ended("succeeded", "" if result.output is None else str(result.output))
            return Ended("failed", result.error)

        return asyncio.run(heal())

    def _reset(self, command: _Command) -> Ended:
        name = command.parameters.get("breaker")
        try:
            count = self._breakers.reset(str(name), command.reason)
        except (LookupError, ValueError) as error:
            return Ended("failed", str(error))
        return Ended("succeeded", f"{count} reset")

    def _report(self, command: _Command, ended: Ended) -> None:
        output = ended.output[:_LONGEST_OUTPUT]
        good = ended.outcome == "succeeded"
        logger.log(
            logging.INFO if good else logging.WARNING,
            "Command %s (%s) of the site: %s %s",
            command.id,
            command.action,
            ended.outcome,
            output,
        )
        events.emit(
            "resilience.healing.reported",
            {
                "resilience.command.id": command.id,
                "resilience.healing.outcome": ended.outcome,
                "resilience.healing.output": output,
            },
        )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME
