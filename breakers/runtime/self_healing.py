"""Healing inside the process: handlers that a service registers, run by a small workflow.

    healing = SelfHealingManager()

    @healing.action("recycle_pool", verify=pool.check, undo=pool.restore, heals="OperationalError")
    async def recycle_pool(parameters): ...

A workflow runs its actions in order and verifies each. When one fails or cannot be verified, those
before it are undone in reverse order.
"""

from __future__ import annotations

import asyncio
import fnmatch
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from breakers.runtime import checks
from breakers.runtime.announcements import described
from breakers.runtime.error_correlator import ErrorPattern
from breakers.runtime.variables import ConfigError

logger = logging.getLogger(__name__)

VERIFICATION_TIMEOUT = 300.0
_REMEMBERED = 1000

Handler = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class HealingAction:
    """One action with its parameters; `id` names this execution of it."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True, slots=True)
class HealingOpportunity:
    """Actions that are registered for an error pattern; `found` is false where there is none."""

    pattern: ErrorPattern
    actions: tuple[str, ...]

    @property
    def found(self) -> bool:
        return bool(self.actions)


@dataclass(frozen=True, slots=True)
class HealingWorkflow:
    """Actions in the order in which they run; `timeout` in seconds bounds each of them."""

    name: str
    actions: Sequence[HealingAction]
    timeout: float = VERIFICATION_TIMEOUT


@dataclass(frozen=True, slots=True)
class HealingResult:
    """How a workflow ended; `failed` names the action that did not work, `error` says why.

    `output` is what the last action that ran returned.
    """

    workflow: str
    outcome: Literal["succeeded", "failed", "rolled_back"]
    done: tuple[str, ...]
    failed: str = ""
    error: str = ""
    elapsed: float = 0.0
    output: Any = None


@dataclass(frozen=True, slots=True)
class RollbackResult:
    """Whether an action was undone, and if not, why."""

    action_id: str
    rolled_back: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Registered:
    run: Handler
    verify: Handler | None
    undo: Handler | None
    heals: tuple[str, ...]


class SelfHealingManager:
    """Registered healing actions, and what runs, verifies and undoes them."""

    def __init__(
        self,
        *,
        verification_timeout: float = VERIFICATION_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        checks.seconds("verification_timeout", verification_timeout)
        self._verification_timeout = verification_timeout
        self._clock = clock
        self._actions: dict[str, _Registered] = {}
        self._executed: OrderedDict[str, HealingAction] = OrderedDict()

    def action(
        self,
        name: str,
        *,
        verify: Handler | None = None,
        undo: Handler | None = None,
        heals: str | Sequence[str] = (),
    ) -> Callable[[Handler], Handler]:
        """Register a handler; it, `verify` and `undo` get the parameters, and may be coroutines.

        `heals` are patterns (with * and ?) for the types of errors that the action is meant for.
        Raises ConfigError for a name that is taken.
        """

        def register(run: Handler) -> Handler:
            if name in self._actions:
                raise ConfigError(f"name is {name!r}, but an action of that name exists already")
            kinds = (heals,) if isinstance(heals, str) else tuple(heals)
            self._actions[name] = _Registered(run, verify, undo, kinds)
            return run

        return register

    def knows(self, name: str) -> bool:
        """Whether an action of that name is registered."""
        return name in self._actions

    async def detect_healing_opportunity(self, error_pattern: ErrorPattern) -> HealingOpportunity:
        """The registered actions that are meant for errors of this pattern."""
        fitting = [
            name
            for name, action in self._actions.items()
            if any(fnmatch.fnmatchcase(error_pattern.type, kind) for kind in action.heals)
        ]
        return HealingOpportunity(error_pattern, tuple(fitting))

    async def execute_healing_workflow(self, workflow: HealingWorkflow) -> HealingResult:
        """Run the actions, verify each, and undo what was done when one fails."""
        began = self._clock()
        done: list[HealingAction] = []
        output: Any = None
        for action in workflow.actions:
            problem, output = await self._execute(action, workflow.timeout)
            if not problem:
                done.append(action)
                continue
            undone = [await self.rollback_healing_action(each.id) for each in reversed(done)]
            rolled_back = bool(undone) and all(each.rolled_back for each in undone)
            return HealingResult(
                workflow.name,
                "rolled_back" if rolled_back else "failed",
                tuple(each.name for each in done),
                action.name,
                problem,
                self._clock() - began,
                output,
            )
        names = tuple(each.name for each in done)
        elapsed = self._clock() - began
        return HealingResult(workflow.name, "succeeded", names, elapsed=elapsed, output=output)

    async def verify_healing_success(self, healing_action: HealingAction) -> bool:
        """Whether the action's own check says that it worked; true where it has none."""
        registered = self._actions.get(healing_action.name)
        if registered is None:
            return False
        if registered.verify is None:
            return True
        try:
            return bool(
                await _called(
                    registered.verify, healing_action.parameters, self._verification_timeout
                )
            )
        except Exception:
            logger.exception("The check of healing action %r failed", healing_action.name)
            return False

    async def rollback_healing_action(self, action_id: str) -> RollbackResult:
        """Undo an action that was executed here."""
        action = self._executed.get(action_id)
        if action is None:
            return RollbackResult(action_id, False, "no such action was executed here")
        undo = self._actions[action.name].undo
        if undo is None:
            return RollbackResult(action_id, False, f"{action.name} cannot be undone")
        try:
            await _called(undo, action.parameters, self._verification_timeout)
        except Exception as error:
            logger.exception("Healing action %r could not be undone", action.name)
            return RollbackResult(action_id, False, described(error))
        del self._executed[action_id]
        return RollbackResult(action_id, True)

    async def _execute(self, action: HealingAction, seconds: float) -> tuple[str, Any]:
        """What went wrong, or an empty text; and what the action returned."""
        registered = self._actions.get(action.name)
        if registered is None:
            return f"no action {action.name!r} is registered", None
        self._executed[action.id] = action
        while len(self._executed) > _REMEMBERED:
            self._executed.popitem(last=False)
        try:
            output = await _called(registered.run, action.parameters, seconds)
        except Exception as error:
            logger.exception("Healing action %r failed", action.name)
            return described(error), None
        if not await self.verify_healing_success(action):
            return "it could not be verified", output
        return "", output


async def _called(handler: Handler, parameters: Mapping[str, Any], seconds: float) -> Any:
    async with asyncio.timeout(seconds):
        result = handler(parameters)
        if isinstance(result, Awaitable):
            result = await result
    return result
