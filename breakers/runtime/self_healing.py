"""Healing inside the process: handlers that a service registers, run by a small workflow.

    healing = SelfHealingManager()

    @healing.action("recycle_pool", verify=pool.check, undo=pool.restore, heals="OperationalError")
    async def recycle_pool(parameters): ...

A workflow with actions runs these here, in order, and verifies each. When one fails or cannot be
verified, those before it are undone in reverse order. A workflow without actions is one of the
site's, by its name: the site judges its guardrails, runs it, verifies and undoes it
(`breakers.runtime.site_healing`), for a process that is connected with a key of scope operate.
"""

from __future__ import annotations

import asyncio
import fnmatch
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from breakers.runtime import checks, site_healing, site_reader
from breakers.runtime.announcements import described
from breakers.runtime.error_events import ErrorPattern
from breakers.runtime.healing_types import (
    VERIFICATION_TIMEOUT,
    HealingAction,
    HealingOpportunity,
    HealingResult,
    HealingWorkflow,
    RollbackResult,
)
from breakers.runtime.site_reader import SiteReader, SiteRefused, SiteSilent
from breakers.runtime.variables import ConfigError

__all__ = [
    "HealingAction",
    "HealingOpportunity",
    "HealingResult",
    "HealingWorkflow",
    "RollbackResult",
    "SelfHealingManager",
]

logger = logging.getLogger(__name__)

_REMEMBERED = 1000

Handler = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class _Registered:
    run: Handler
    verify: Handler | None
    undo: Handler | None
    heals: tuple[str, ...]


class SelfHealingManager:
    """Registered healing actions, and what runs, verifies and undoes them, here or at the site.

    `site` gives what the site is asked through; None leaves this process to itself.
    """

    def __init__(
        self,
        *,
        verification_timeout: float = VERIFICATION_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
        site: Callable[[], SiteReader | None] = site_reader.current,
    ) -> None:
        checks.seconds("verification_timeout", verification_timeout)
        self._site = site
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
        """The registered actions that are meant for errors of this pattern, and what the site has
        for it."""
        fitting = tuple(
            name
            for name, action in self._actions.items()
            if any(fnmatch.fnmatchcase(error_pattern.type, kind) for kind in action.heals)
        )
        local = HealingOpportunity(error_pattern, fitting)
        try:
            workflows, open_ = await site_healing.opportunities(self._reader(), error_pattern)
        except (SiteSilent, SiteRefused) as silence:
            return replace(local, why=str(silence))
        return replace(local, workflows=workflows, opportunities=open_, source="site")

    async def execute_healing_workflow(self, workflow: HealingWorkflow) -> HealingResult:
        """Run the actions, verify each, and undo what was done when one fails; without actions, let
        the site run its workflow of that name, and wait for the end."""
        if not workflow.actions:
            return await self._execute_at_site(workflow)
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
        """Whether the action's own check says that it worked; true where it has none. Of a run of
        the site (`id`), whether what it healed is well there now."""
        registered = self._actions.get(healing_action.name)
        if registered is None:
            return await self._verified_at_site(healing_action.id)
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
        """Undo an action that was executed here, or have the site undo a run and wait for it."""
        action = self._executed.get(action_id)
        if action is None:
            return await self._rolled_back_at_site(action_id)
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

    # --- By the site

    def _reader(self) -> SiteReader:
        reader = self._site()
        if reader is None:
            raise SiteSilent("this process is not connected to a site")
        return reader

    async def _execute_at_site(self, workflow: HealingWorkflow) -> HealingResult:
        began = self._clock()
        try:
            reader = self._reader()
            run = await site_healing.run(reader, workflow, self._clock)
        except SiteSilent as silence:
            return HealingResult(workflow.name, "failed", (), error=str(silence))
        except SiteRefused as refusal:
            return site_healing.refused(workflow, refusal, self._clock() - began)
        return site_healing.result(workflow, run, self._clock() - began)

    async def _verified_at_site(self, run_id: str) -> bool:
        try:
            return await site_healing.verified(self._reader(), run_id)
        except (SiteSilent, SiteRefused) as silence:
            logger.warning("Healing run %s could not be verified: %s", run_id, silence)
            return False

    async def _rolled_back_at_site(self, run_id: str) -> RollbackResult:
        try:
            reader = self._reader()
        except SiteSilent:
            return RollbackResult(run_id, False, "no such action was executed here")
        try:
            undone = await site_healing.rolled_back(
                reader, run_id, self._verification_timeout, self._clock
            )
            return RollbackResult(run_id, *undone)
        except (SiteSilent, SiteRefused) as silence:
            return RollbackResult(run_id, False, str(silence))

    # --- Here

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
