"""Budgets of retries, so that an outage is not amplified by those who wait for its end.

`RetryBudget` is shared by all callers of a dependency; a request's own budget keeps nested retries
from multiplying.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from breakers.runtime import checks
from breakers.runtime.windows import BUCKETS, TimeWindow


class BudgetSnapshot(NamedTuple):
    """Calls and retries in the window, and the retries that are left now."""

    calls: int
    retries: int
    left: int


class RetryBudget:
    """At most `limit` retries in any `window` seconds, and fewer where there are few calls.

    Allowed are `floor_per_second` for each second of the window, so that a service with little
    traffic can retry at all, plus the share `ratio` of the calls. After Finagle's RetryBudget,
    over a window, since a share of the calls under way shrinks just when an outage begins.
    """

    __slots__ = ("_clock", "_floor", "_limit", "_lock", "_ratio", "_window")

    def __init__(
        self,
        ratio: float = 0.2,
        floor_per_second: float = 0.5,
        window: float = 60.0,
        limit: int = 100,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        checks.rate("ratio", ratio, zero=True)
        if not checks.is_number(floor_per_second) or floor_per_second < 0:
            checks.refuse("floor_per_second", floor_per_second, "a number of 0 or more")
        checks.seconds("window", window)
        checks.count("limit", limit, minimum=0)
        self._ratio = ratio
        self._floor = floor_per_second * window
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        # Its buckets look back between 9 and 10 tenths: longer, so that the limit holds always.
        self._window = TimeWindow(window * BUCKETS / (BUCKETS - 1))

    def record_call(self) -> None:
        """A first attempt takes place."""
        now = self._clock()
        window = self._window
        if now >= window.ends:
            with self._lock:
                window.expire(now)
        # Without the lock: an interpreter with its global lock does not divide this addition.
        window.calls += 1

    def try_spend(self) -> bool:
        """Take one retry, if there is one; what is under way already is not affected."""
        now = self._clock()
        with self._lock:
            self._window.expire(now)
            if self._left_locked() < 1:
                return False
            self._window.add(True, False, now)
            return True

    def snapshot(self) -> BudgetSnapshot:
        """How the budget stands."""
        now = self._clock()
        with self._lock:
            self._window.expire(now)
            retries = self._window.failed
            return BudgetSnapshot(self._window.calls - retries, retries, self._left_locked())

    def _left_locked(self) -> int:
        retries = self._window.failed
        earned = self._floor + self._ratio * (self._window.calls - retries)
        return max(0, int(min(self._limit, earned) - retries))


class ExtraAttempts(list[int]):
    """The further attempts that one request has, whoever of those it passes through needs them.

    A list of that one number: one is made for each call, and nothing is quicker to make.
    """

    __slots__ = ()

    @property
    def left(self) -> int:
        return self[0]

    def take(self) -> bool:
        """Take one, if there is one."""
        return take_extra(self)


def take_extra(budget: list[int]) -> bool:
    """Take one further attempt of a request, if there is one."""
    with _taking:
        if budget[0] <= 0:
            return False
        budget[0] -= 1
        return True


def give_extra_back(budget: list[int]) -> None:
    """Return one that was taken and not used."""
    with _taking:
        budget[0] += 1


_taking = threading.Lock()
request_attempts: ContextVar[list[int] | None] = ContextVar("request_attempts", default=None)


@contextmanager
def request_budget(extra_attempts: int) -> Iterator[ExtraAttempts]:
    """Let everything inside make so many further attempts in all.

    Without it, the outermost retry gives a request as many as its own policy has.
    """
    checks.count("extra_attempts", extra_attempts, minimum=0)
    budget = ExtraAttempts([extra_attempts])
    token = request_attempts.set(budget)
    try:
        yield budget
    finally:
        request_attempts.reset(token)
