"""Faults on purpose: exceptions, latency, hangs and resets, by rate or by pattern.

    faults = FaultInjector(enabled=True)

    @faults.around("microsoft_graph")
    async def get(url): ...

    with faults.inject("microsoft_*", error=TimeoutError, pattern="..XX."):
        ...

An injector does nothing unless it is enabled, so that a forgotten one cannot harm production.
"""

from __future__ import annotations

import asyncio
import fnmatch
import functools
import inspect
import itertools
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar, cast

from breakers.runtime import checks

P = ParamSpec("P")
R = TypeVar("R")


class Fault:
    """One kind of fault for the calls whose name matches.

    `pattern` says by its letters which calls are struck, again and again from its beginning: `X`
    is struck, anything else is not. Without one, the share `rate` is struck at random.
    """

    def __init__(
        self,
        name: str,
        *,
        error: type[BaseException] | BaseException | None = None,
        latency: float = 0.0,
        hang: bool = False,
        reset: bool = False,
        rate: float = 1.0,
        pattern: str = "",
        chance: Callable[[], float] = random.random,
    ) -> None:
        checks.rate("rate", rate, zero=True)
        checks.seconds("latency", latency, zero=True)
        if not (error or latency or hang or reset):
            checks.refuse("error", error, "an exception, where no latency, hang or reset is given")
        self.name = name
        self.error = ConnectionResetError("reset by a fault") if reset and not error else error
        self.latency = latency
        self.hang = hang
        self.released = threading.Event()
        self.struck = 0
        self._rate = rate
        self._chance = chance
        self._letters: Iterator[str] | None = itertools.cycle(pattern) if pattern else None
        self._lock = threading.Lock()

    def strikes(self, name: str) -> bool:
        """Whether this call is struck; it counts as one of the pattern's."""
        if not fnmatch.fnmatchcase(name, self.name):
            return False
        with self._lock:
            hit = next(self._letters) == "X" if self._letters else self._chance() < self._rate
            self.struck += hit
            return hit

    def release(self) -> None:
        """Let the calls that hang go on."""
        self.released.set()

    def raised(self) -> BaseException | None:
        """A new exception for each call, so that none carries another's frames."""
        if isinstance(self.error, BaseException):
            return type(self.error)(*self.error.args)
        return self.error() if self.error is not None else None


class FaultInjector:
    """Strikes calls by name while it is enabled. `sleep` and `async_sleep` take seconds."""

    def __init__(
        self,
        *,
        enabled: bool = False,
        sleep: Callable[[float], object] = time.sleep,
        async_sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.enabled = enabled
        self._sleep, self._sleep_async = sleep, async_sleep
        self._faults: tuple[Fault, ...] = ()

    def add(self, fault: Fault) -> Fault:
        """Let this fault strike from now on."""
        self._faults = (*self._faults, fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """End a fault; the calls that hang in it go on."""
        self._faults = tuple(each for each in self._faults if each is not fault)
        fault.release()

    @contextmanager
    def inject(self, name: str, **settings: Any) -> Iterator[Fault]:
        """Let a fault strike inside; the settings are those of `Fault`."""
        fault = self.add(Fault(name, **settings))
        try:
            yield fault
        finally:
            self.remove(fault)

    def around(self, name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Make a function, plain or coroutine, one that faults can strike."""

        def decorate(func: Callable[P, R]) -> Callable[P, R]:
            if inspect.iscoroutinefunction(func):

                async def coroutine(*args: Any, **kwargs: Any) -> Any:
                    if self.enabled and self._faults:
                        await self.strike_async(name)
                    return await func(*args, **kwargs)

                return cast("Callable[P, R]", functools.wraps(func)(coroutine))

            def plain(*args: Any, **kwargs: Any) -> Any:
                if self.enabled and self._faults:
                    self.strike(name)
                return func(*args, **kwargs)

            return cast("Callable[P, R]", functools.wraps(func)(plain))

        return decorate

    def strike(self, name: str) -> None:
        """Do what the faults for `name` do to a call; raises their exceptions."""
        for fault in self._faults if self.enabled else ():
            if fault.strikes(name):
                if fault.latency:
                    self._sleep(fault.latency)
                if fault.hang:
                    fault.released.wait()
                if (error := fault.raised()) is not None:
                    raise error

    async def strike_async(self, name: str) -> None:
        """The same without blocking the event loop; a hang can be cancelled."""
        for fault in self._faults if self.enabled else ():
            if fault.strikes(name):
                if fault.latency:
                    await self._sleep_async(fault.latency)
                if fault.hang:
                    await _until(fault.released)
                if (error := fault.raised()) is not None:
                    raise error


async def _until(event: threading.Event) -> None:
    """Wait for a thread's event; a waiter that is cancelled leaves no thread behind."""
    while not event.is_set():  # noqa: ASYNC110 - an asyncio.Event would belong to one loop
        await asyncio.sleep(0.005)
