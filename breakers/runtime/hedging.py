"""Hedged requests: a second attempt beside one that takes long, and the first answer counts.

    hedge = Hedge("microsoft_graph", delay=0.3, budget=resilience.default().budget("microsoft_graph"))

    plan = await hedge.call(fetch, plan_id)

After "The Tail at Scale" (Dean and Barroso, 2013). For coroutines only: a thread that is no longer
wanted cannot be ended. Hedge only what may take place twice.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from breakers.runtime import checks, events
from breakers.runtime.retry_budget import RetryBudget

P = ParamSpec("P")
R = TypeVar("R")


class Hedge:
    """Begins up to `max_hedges` more attempts, each `delay` seconds after the one before.

    Each takes a retry from `budget`; where there is none left, the attempts under way go on alone.
    """

    __slots__ = ("_budget", "_delay", "_max_hedges", "name")

    def __init__(
        self,
        name: str,
        *,
        delay: float,
        max_hedges: int = 1,
        budget: RetryBudget | None = None,
    ) -> None:
        checks.seconds("delay", delay, zero=True)
        checks.count("max_hedges", max_hedges)
        self.name = name
        self._delay = delay
        self._max_hedges = max_hedges
        self._budget = budget

    async def call(self, func: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any) -> Any:
        """The first answer; raises the last failure where every attempt that was begun failed.

        The attempts that are not needed are cancelled, and have ended when this returns.
        """
        if self._budget is not None:
            self._budget.record_call()
        begin = functools.partial(_begun, func, args, kwargs)
        attempts = {begin()}
        left = self._max_hedges
        try:
            while True:
                done, running = await asyncio.wait(
                    attempts,
                    timeout=self._delay if left else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                # Several may end in one turn of the loop: an answer counts before any failure.
                for each in done:
                    if not each.cancelled() and each.exception() is None:
                        return each.result()
                if not running:
                    return done.pop().result()
                attempts = running
                if not done and self._may_hedge():
                    left -= 1
                    attempts = {*running, begin()}
                elif not done:
                    left = 0
        finally:
            await _ended(attempts)

    def _may_hedge(self) -> bool:
        if self._budget is None or self._budget.try_spend():
            return True
        events.emit("resilience.retry.budget_exhausted", {"resilience.dependency": self.name})
        return False

    def __call__(self, func: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        """Hedge every call of a coroutine function."""

        async def hedged(*args: Any, **kwargs: Any) -> R:
            result: R = await self.call(func, *args, **kwargs)
            return result

        return functools.wraps(func)(hedged)


def _begun(func: Callable[..., Awaitable[Any]], args: Any, kwargs: Any) -> asyncio.Task[Any]:
    async def attempt() -> Any:
        return await func(*args, **kwargs)

    return asyncio.create_task(attempt())


async def _ended(attempts: set[asyncio.Task[Any]]) -> None:
    """Cancel what is not needed, and wait until it has let go of what it holds."""
    for each in attempts:
        each.cancel()
    await asyncio.gather(*attempts, return_exceptions=True)
