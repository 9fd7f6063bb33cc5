"""What breakers and bulkheads share: each can be a decorator and a context manager.

A guard lets a call in (`acquire`, or `acquire_async` where it may have to wait) and hears how it ended
through the pass it gave. Generators stay guarded until they are exhausted; the time that their
consumer takes between two items is not theirs.
"""

from __future__ import annotations

import functools
import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from types import CoroutineType, TracebackType
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from breakers.runtime import streams

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class Pass(Protocol):
    """The leave to make one call; its first outcome counts. Durations are in seconds."""

    def success(self, duration: float | None = None) -> None: ...
    def failure(self, exc: BaseException, duration: float | None = None) -> None: ...
    def ignore(self) -> None: ...


class Guard(ABC):
    """Something that calls go through."""

    __slots__ = ()
    _clock: Callable[[], float]

    @abstractmethod
    def acquire(self) -> Pass:
        """Let one call in; may block. Raises what this guard rejects calls with."""

    async def acquire_async(self) -> Pass:
        """The same without blocking the event loop."""
        return self.acquire()

    @abstractmethod
    def call_sync(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a plain function through this guard."""

    @abstractmethod
    async def call(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a coroutine function or a plain one through this guard."""

    def __call__(self, func: Callable[P, R]) -> Callable[P, R]:
        """Guard every call of `func`: plain, coroutine, generator or asynchronous generator."""
        if inspect.isasyncgenfunction(func):
            wrapper = streams.async_generator(self, func)
        elif inspect.isgeneratorfunction(func):
            wrapper = streams.generator(self, func)
        elif inspect.iscoroutinefunction(func):
            wrapper = self._around_coroutine(func)
        else:
            wrapper = self._around_plain(func)
        return cast("Callable[P, R]", functools.wraps(func)(wrapper))

    @abstractmethod
    def _around_plain(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """What `call_sync` does, for one function: without its frame, as calls are to be quick."""

    @abstractmethod
    def _around_coroutine(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """What `call` does, for one coroutine function."""

    def __enter__(self) -> Pass:
        granted = self.acquire()
        _entered.set((*_entered.get(), (self, granted)))
        return granted

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _leave(self, error)

    async def __aenter__(self) -> Pass:
        granted = await self.acquire_async()
        _entered.set((*_entered.get(), (self, granted)))
        return granted

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _leave(self, error)


# A guard serves many callers at once, so who is inside which is kept with the caller.
_entered: ContextVar[tuple[tuple[Guard, Pass], ...]] = ContextVar("entered", default=())


def _leave(guard: Guard, error: BaseException | None) -> None:
    entered = _entered.get()
    for place in range(len(entered) - 1, -1, -1):
        holder, granted = entered[place]
        if holder is guard:
            _entered.set(entered[:place] + entered[place + 1 :])
            if error is None:
                granted.success()
            else:
                granted.failure(error)
            return
    logger.error(
        "A `with` block of %r ended in another context than it began in, so its outcome is lost; "
        "use `permit = guard.acquire()` where a block is entered and left by different tasks.",
        guard,
    )


def is_awaitable(value: object) -> bool:
    """Whether to await `value`; quick for coroutines, by far the most frequent case."""
    return type(value) is CoroutineType or isinstance(value, Awaitable)
