"""The bulkhead: so many calls at once, a bounded queue before them, and shares for user tiers.

    graph = Bulkhead(10, max_queue=50, max_wait=2, tiers={"premium": 0.4}, name="graph")

    tasks = await graph.call(client.get, url)      # or call_sync, @graph, with graph:

One bulkhead serves threads and the tasks of any event loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import CoroutineType, TracebackType
from typing import Any, TypeVar, cast

from breakers.runtime import waiting
from breakers.runtime.bulkhead_line import Line
from breakers.runtime.bulkhead_policy import MAX_WAIT
from breakers.runtime.guards import Guard, Pass, is_awaitable
from breakers.runtime.slots import RELEASED, BulkheadSnapshot, Slot, TierSnapshot
from breakers.runtime.tiers import current_tier
from breakers.runtime.waiting import held_slots

T = TypeVar("T")


class Bulkhead(Line, Guard):
    """At most `max_concurrent_calls` at once; `max_queue` more may wait for `max_wait` seconds.

    `tiers` maps names to `Tier`, to a dictionary of its fields, or to a reserved share; the tier of
    a call is that of `tiers.tier`. `max_duration` says after how many seconds a slot counts as
    stuck. Raises ConfigError for arguments that cannot work, BulkheadFull for calls it rejects.
    """

    __slots__ = ()

    def __init__(
        self,
        max_concurrent_calls: int,
        max_queue: int = 0,
        max_wait: float | None = MAX_WAIT,
        tiers: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        max_duration: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(
            max_concurrent_calls, max_queue, max_wait, tiers, name or "unnamed", max_duration, clock
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"<Bulkhead {self.name!r} {self._active}/{self._limit}>"

    # --- Calls

    def call_sync(self, func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Call `func` in a slot; raises what it raises, or BulkheadFull without calling it."""
        return cast("T", self._around_plain(func)(*args, **kwargs))

    async def call(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """The same for a coroutine function, or for a plain one."""
        return await self._around_coroutine(func)(*args, **kwargs)

    def _around_plain(self, func: Callable[..., Any]) -> Callable[..., Any]:
        enter, end = self._enter_as, self._end
        tiers, default = self._tiers if self._tiered else None, self._default

        def guarded(*args: Any, **kwargs: Any) -> Any:
            tier = default if tiers is None else tiers.get(current_tier(), default)
            slot = enter(tier)
            if slot is None:
                slot = self._wait(tier)
            held = held_slots.get()
            token = held_slots.set((*held, slot) if held else (slot,))
            try:
                return func(*args, **kwargs)
            finally:
                held_slots.reset(token)
                end(slot, RELEASED)

        return guarded

    def _around_coroutine(self, func: Callable[..., Any]) -> Callable[..., Any]:
        enter, end = self._enter_as, self._end
        tiers, default = self._tiers if self._tiered else None, self._default

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            tier = default if tiers is None else tiers.get(current_tier(), default)
            slot = enter(tier)
            if slot is None:
                slot = await self._wait_async(tier)
            held = held_slots.get()
            token = held_slots.set((*held, slot) if held else (slot,))
            try:
                result = func(*args, **kwargs)
                if type(result) is CoroutineType or is_awaitable(result):
                    result = await result
                return result
            finally:
                held_slots.reset(token)
                end(slot, RELEASED)

        return guarded

    def acquire(self) -> Slot:
        """A slot, to be released by its `release`; waits in the queue. Raises BulkheadFull."""
        slot = self._enter()
        return self._wait(self._tier()) if slot is None else slot

    async def acquire_async(self) -> Slot:
        """The same without blocking the event loop."""
        slot = self._enter()
        return await self._wait_async(self._tier()) if slot is None else slot

    def __enter__(self) -> Pass:
        granted = super().__enter__()
        waiting.hold(cast("Slot", granted))
        return granted

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        waiting.drop(self)
        super().__exit__(kind, error, trace)

    async def __aenter__(self) -> Pass:
        granted = await super().__aenter__()
        waiting.hold(cast("Slot", granted))
        return granted

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        waiting.drop(self)
        await super().__aexit__(kind, error, trace)

    # --- What it shows, and what changes it

    @property
    def limit(self) -> int:
        return self._limit

    @property
    def max_queue(self) -> int:
        return self._max_queue

    @property
    def max_wait(self) -> float | None:
        return self._max_wait

    @property
    def isolated(self) -> str:
        """Why every call is rejected, or an empty text."""
        return self._isolated

    def snapshot(self) -> BulkheadSnapshot:
        """Everything about it at one moment."""
        with self._lock:
            now = self._clock()
            waiters = [each.since for tier in self._tiers.values() for each in tier.waiters]
            return BulkheadSnapshot(
                name=self.name,
                limit=self._limit,
                active=self._active,
                queued=self._queued,
                rejected=self._rejected,
                longest_held=max(
                    (now - slot.since for slot in self._held if slot.since), default=0.0
                ),
                longest_wait=max((now - since for since in waiters), default=0.0),
                isolated=self._isolated,
                tiers={
                    name: TierSnapshot(each.reserved, each.active, len(each.waiters), each.rejected)
                    for name, each in self._tiers.items()
                },
            )

    @property
    def tuned(self) -> Mapping[str, Any]:
        """The settings that `tune` gave."""
        return self._tuned

    def resize(self, max_concurrent_calls: int) -> None:
        """Another number of slots: more wake those that wait, fewer end nobody's call.

        Where the number is tuned, it counts from the end of that on.
        """
        with self._lock:
            self._own = replace(self._own, max_concurrent_calls=max_concurrent_calls)
            self._follow_locked()

    def shrink(self, share: float) -> None:
        """Only this share of the slots that it has now, until it is resized or tuned anew."""
        with self._lock:
            limit = max(1, int(self._limit * share))
            if "max_concurrent_calls" not in self._tuned:
                self._own = replace(self._own, max_concurrent_calls=limit)
            self._set_limit_locked(limit)

    def tune(self, settings: Mapping[str, Any]) -> None:
        """Work by these fields of `BulkheadPolicy` in place of its own; {} gives it back its own.

        Who has a slot keeps it, and who waits goes on to wait. With an `AdaptiveLimit` the number
        of calls at once is the most that it grows to. Raises ConfigError for values that cannot
        work, and changes nothing then.
        """
        with self._lock:
            replace(self._own, **settings)
            if settings != self._tuned:
                self._tuned = dict(settings)
                self._follow_locked()

    def isolate(self, reason: str) -> None:
        """Reject every new call and every one that waits, until `rejoin`."""
        with self._lock:
            self._isolated = reason or "isolated"
            for tier in self._tiers.values():
                while tier.waiters:
                    self._answer_locked(tier, tier.waiters[-1], "isolated")

    def rejoin(self) -> None:
        """Take calls again."""
        with self._lock:
            self._isolated = ""

    def shed(self, calls: int) -> int:
        """Reject up to so many of the calls that wait, lowest tiers and youngest first."""
        with self._lock:
            for done in range(calls):
                tier = self._lowest_waiting_locked()
                if tier is None:
                    return done
                self._answer_locked(tier, tier.waiters[-1], "shed")
        return calls

    def has_room(self) -> bool:
        """Whether a call of the current tier would start or wait now, and not be rejected."""
        with self._lock:
            if self._isolated:
                return False
            return self._queued < self._max_queue or (
                not self._queued and self._may_enter_locked(self._tier())
            )

    def overdue(self) -> list[Slot]:
        """Slots that are held for longer than `max_duration`."""
        if self.max_duration is None:
            return []
        with self._lock:
            latest = self._clock() - self.max_duration
            return [slot for slot in self._held if 0.0 < slot.since < latest]

    def observe(
        self, observer: Callable[[float, int], object] | None, most: int | None = None
    ) -> None:
        """Have `observer(duration, calls at once)` called at each end of a call.

        It resizes the bulkhead to at most `most` calls at once, where the number is not tuned.
        """
        with self._lock:
            self._observer, self._most = observer, most
            self._timed = self._timed or observer is not None
            self._follow_locked()
