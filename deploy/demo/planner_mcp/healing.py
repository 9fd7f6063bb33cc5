"""What the site may have the planner do to itself, and the faults that this is tried on.

Handlers run on a thread of the client library; what they do belongs to the server's loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import breakers.runtime as resilience
from breakers.runtime import ConfigError
from deploy.demo.planner_mcp.planner import Planner
from deploy.demo.planner_mcp.store import Store

T = TypeVar("T")

# A connection that was lent for longer is not coming back: statements end within a second.
_GRACE = 2.0
# Between the answer to the site and the end of the process.
_LEAVE_AFTER = 0.5
_MOST_LEAKED = 50


def register(planner: Planner, store: Store, leave: Callable[[], None]) -> None:
    """Register the handlers; to be called in the server's loop, which `leave` ends."""
    loop = asyncio.get_running_loop()

    async def here(work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))

    @resilience.healing_action("recycle_pool", heals=["PoolTimeout", "*OperationalError"])
    async def recycle_pool(parameters: Mapping[str, Any]) -> str:
        grace = parameters.get("grace", _GRACE)
        if isinstance(grace, bool) or not isinstance(grace, int | float) or grace < 0:
            raise ConfigError(f"grace is {grace!r}, but must be a number of seconds")
        ended = await here(store.recycle(grace=float(grace)))
        return f"a new pool; {ended} connections taken back"

    @resilience.healing_action("warm_cache")
    async def warm_cache(parameters: Mapping[str, Any]) -> str:
        return f"{await here(planner.warm())} answers are in the cache"

    @resilience.healing_action("restart_gracefully")
    def restart_gracefully(parameters: Mapping[str, Any]) -> str:
        loop.call_soon_threadsafe(loop.call_later, _LEAVE_AFTER, leave)
        return "it finishes what it has begun, and leaves; its supervisor starts it anew"


def faults_are_on() -> bool:
    """Whether people may break the planner on purpose (PLANNER_FAULTS=on)."""
    return os.environ.get("PLANNER_FAULTS") == "on"


class Faults:
    """POST /_faults/leak?connections=N: so many connections are taken and never given back."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._leaking: set[asyncio.Task[None]] = set()

    async def leak(self, request: Request) -> Response:
        text = request.query_params.get("connections", "1")
        count = int(text) if text.isdecimal() else 0
        if not 0 < count <= _MOST_LEAKED:
            return JSONResponse({"error": f"connections is 1 to {_MOST_LEAKED}"}, 422)
        for _ in range(count):
            task = asyncio.create_task(self._store.leak())
            self._leaking.add(task)
            task.add_done_callback(self._forget)
        return JSONResponse({"leaking": len(self._leaking)}, 202)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._leaking.discard(task)
        # Its connection was taken from it: that is how a leak ends.
        if not task.cancelled():
            task.exception()
