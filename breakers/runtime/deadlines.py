"""The time that a piece of work has left, known to everything it calls.

    async with deadline(2.0):          # or `with`, for code that looks at `remaining()` itself
        await fetch()

An `async with` ends the work at the deadline. A plain `with` cannot interrupt a thread: it only
tells. Inside another deadline, the earlier one holds.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType

from breakers.runtime.errors import DeadlineExceeded
from breakers.runtime.variables import ConfigError

_current: ContextVar[deadline | None] = ContextVar("deadline", default=None)


class deadline:  # noqa: N801 - used like a function, as asyncio.timeout is
    """Work that has to end within `seconds`. Raises DeadlineExceeded at the end of `async with`.

    One object serves one `with`. `clock` is monotonic, in seconds.
    """

    __slots__ = ("_clock", "_outer", "_seconds", "_timeout", "_token", "at")

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        if not isinstance(seconds, int | float) or math.isnan(seconds):
            raise ConfigError(f"seconds is {seconds!r}, but has to be a number")
        self._seconds = seconds
        self._clock = clock
        self._timeout: asyncio.Timeout | None = None
        self._token: Token[deadline | None] | None = None
        self.at = math.inf

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        return (self._timeout is not None and self._timeout.expired()) or self.remaining() <= 0

    def remaining(self) -> float:
        """Seconds left, negative when over."""
        return self.at - self._clock()

    def __enter__(self) -> deadline:
        outer = _current.get()
        self.at = self._clock() + self._seconds
        if outer is not None:
            self.at = min(self.at, outer.at)
        self._token = _current.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)
            self._token = None

    async def __aenter__(self) -> deadline:
        self.__enter__()
        left = self.remaining()
        self._timeout = asyncio.timeout(None if math.isinf(left) else max(0.0, left))
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        timeout = self._timeout
        try:
            if timeout is not None:
                await timeout.__aexit__(kind, error, trace)
        except TimeoutError as ended:
            raise DeadlineExceeded(
                f"the call had {self._seconds:g} s, and they are over"
            ) from ended.__cause__
        finally:
            self.__exit__(kind, error, trace)


def current() -> deadline | None:
    """The deadline that holds here, if any."""
    return _current.get()


def remaining() -> float | None:
    """Seconds until the deadline that holds here; None without one."""
    held = _current.get()
    return None if held is None else held.remaining()


def is_own_cancellation() -> bool:
    """Whether a cancellation seen here comes from a deadline of ours and not from the caller."""
    held = _current.get()
    return held is not None and held.expired
