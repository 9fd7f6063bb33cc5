"""Long-lived asyncio tasks of this process: kept, restarted, and seen by the readiness probe.

asyncio holds only a weak reference to a task, so a loop that nobody keeps simply vanishes. Here
each loop has a name, a reference, a restart with growing delay, and a status that others can read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

logger = logging.getLogger(__name__)

Factory = Callable[[], Awaitable[None]]

INITIAL_DELAY = 0.2
MAX_DELAY = 15.0
# A run this long counts as healthy: the next death starts again at the initial delay.
HEALTHY_AFTER = 60.0


@dataclass(frozen=True)
class Status:
    """State of one task: `running`, `restarting` (waiting out its delay) or `dead`."""

    name: str
    state: str
    restarts: int
    last_error: str
    since: float  # Unix time of the last change of state

    @property
    def alive(self) -> bool:
        return self.state == "running"


class _Supervised:
    def __init__(self, name: str, factory: Factory, initial_delay: float, max_delay: float) -> None:
        self.name = name
        self.factory = factory
        self.initial_delay = initial_delay
        self.max_delay = max_delay
        self.restarts = 0
        self.last_error = ""
        self.running = False
        self.since = time.time()
        self.loop = asyncio.get_running_loop()
        self.task = self.loop.create_task(self._run(), name=f"supervised:{name}")

    async def _run(self) -> None:
        delay = self.initial_delay
        while True:
            self._change(running=True)
            started = self.loop.time()
            try:
                await self.factory()
                self.last_error = "returned"
                logger.warning("Background task %s returned; it is started again", self.name)
            except Exception as error:
                self.last_error = f"{type(error).__name__}: {error}"
                logger.exception("Background task %s failed; it is started again", self.name)
            self._change(running=False)
            self.restarts += 1
            if self.loop.time() - started >= HEALTHY_AFTER:
                delay = self.initial_delay
            await asyncio.sleep(delay)
            delay = min(delay * 2, self.max_delay)

    def _change(self, *, running: bool) -> None:
        self.running = running
        self.since = time.time()

    @property
    def finished(self) -> bool:
        return self.task.done() or self.loop.is_closed()

    def status(self) -> Status:
        state = "dead" if self.finished else "running" if self.running else "restarting"
        return Status(self.name, state, self.restarts, self.last_error, self.since)


_tasks: dict[str, _Supervised] = {}


def supervise(
    name: str,
    factory: Factory,
    *,
    initial_delay: float = INITIAL_DELAY,
    max_delay: float = MAX_DELAY,
) -> asyncio.Task[None]:
    """Run `factory()` for ever on the running loop; a second call with a live name changes nothing.

    A run that ends, by return or by exception, starts again after a delay in seconds that doubles
    from `initial_delay` to `max_delay`. Cancel the returned task, or call `stop`, to end it.
    """
    known = _tasks.get(name)
    if known is not None and not known.finished:
        return known.task
    _tasks[name] = _Supervised(name, factory, initial_delay, max_delay)
    return _tasks[name].task


async def stop(*names: str) -> None:
    """End the named tasks, or all of them, and forget them."""
    ended = [_tasks.pop(name) for name in names or tuple(_tasks) if name in _tasks]
    here = asyncio.get_running_loop()
    waiting = [each.task for each in ended if each.loop is here]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def statuses() -> list[Status]:
    """Every supervised task of this process, by name. Callable from any thread."""
    return [each.status() for _, each in sorted(_tasks.copy().items())]


_on_stopping: list[Callable[[], object]] = []


def on_stopping(callback: Callable[[], object]) -> None:
    """Have `callback` called once when this process begins to stop, while requests still run."""
    _on_stopping.append(callback)


def stopping() -> None:
    """Tell everybody that this process begins to stop; whoever serves calls it first of all."""
    while _on_stopping:
        _on_stopping.pop()()
