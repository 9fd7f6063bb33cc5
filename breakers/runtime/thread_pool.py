"""A bulkhead with threads of its own, for calls that block.

reports = ThreadPoolBulkhead(5, max_queue=200, name="reports")

page = await reports.call(render, plan)        # runs in one of five threads
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

from breakers.runtime import deadlines, waiting
from breakers.runtime.bulkhead import Bulkhead
from breakers.runtime.errors import DeadlineExceeded
from breakers.runtime.slots import Slot

T = TypeVar("T")

_IDLE_SECONDS = 30.0

Work = Callable[[], Callable[[], None]]


class Threads:
    """Threads on demand: as many as have work, and they end when idle.

    They are daemons: one that hangs for ever does not keep the program from ending.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self._idle = 0
        self.alive = 0

    def submit(self, work: Work) -> None:
        """Run `work` in one of the threads, and what it returns when that is idle again.

        Neither may raise.
        """
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
                self._work.put(work)
                return
            self.alive += 1
        threading.Thread(target=self._run, args=(work,), name=self._name, daemon=True).start()

    def _run(self, work: Work | None) -> None:
        try:
            while work is not None:
                work = self._next(work())
        finally:
            with self._lock:
                self.alive -= 1

    def _next(self, after: Callable[[], None]) -> Work | None:
        with self._lock:
            self._idle += 1
        after()
        del after
        try:
            return self._work.get(timeout=_IDLE_SECONDS)
        except queue.Empty:
            with self._lock:
                try:
                    return self._work.get_nowait()  # given just before the lock was taken
                except queue.Empty:
                    self._idle -= 1
                    return None


class ThreadPoolBulkhead(Bulkhead):
    """A `Bulkhead` whose plain functions run in its own threads, with the caller's context.

    A caller whose deadline ends gets DeadlineExceeded at once. Its thread cannot be interrupted: it
    keeps the slot until the function ends, or until the slot is reclaimed as overdue.
    """

    __slots__ = ("_threads", "leaked")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._threads = Threads(f"bulkhead-{self.name}")
        self.leaked = 0

    def call_sync(self, func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Run `func` in a thread of the pool and wait for it."""
        future: Future[T] = self._start(self.acquire(), func, args, kwargs)
        try:
            return future.result(deadlines.remaining())
        except FutureTimeout:
            if future.done():
                return future.result()  # the function's own TimeoutError, or just in time
            self._abandon(future)
            raise DeadlineExceeded(
                f"the call in bulkhead {self.name!r} did not end by its deadline"
            ) from None

    async def call(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Run a plain function in a thread of the pool; a coroutine function runs where it is."""
        if inspect.iscoroutinefunction(func):
            return await self._around_coroutine(func)(*args, **kwargs)
        slot = await self.acquire_async()
        future = self._start(slot, func, args, kwargs)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if not future.done():
                self._abandon(future)
            raise

    def _around_plain(self, func: Callable[..., Any]) -> Callable[..., Any]:
        def pooled(*args: Any, **kwargs: Any) -> Any:
            return self.call_sync(func, *args, **kwargs)

        return pooled

    @property
    def threads(self) -> int:
        """Threads that exist now."""
        return self._threads.alive

    def _start(self, slot: Slot, func: Callable[..., Any], args: Any, kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        context = contextvars.copy_context()

        def work() -> Callable[[], None]:
            waiting.hold(slot)
            try:
                end = functools.partial(_settle, future, func(*args, **kwargs), None)
            except BaseException as error:
                end = functools.partial(_settle, future, None, error)

            def after() -> None:
                slot.release()
                end()

            return after

        # A caller that is cancelled does not cancel what its thread is doing.
        future.set_running_or_notify_cancel()
        self._threads.submit(lambda: context.run(work))
        return future

    def _abandon(self, future: Future[Any]) -> None:
        with self._lock:
            self.leaked += 1

        def back(done: Future[Any]) -> None:
            with self._lock:
                self.leaked -= 1

        future.add_done_callback(back)


def _settle(future: Future[Any], result: Any, error: BaseException | None) -> None:
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
