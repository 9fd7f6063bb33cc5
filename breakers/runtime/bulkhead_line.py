"""How calls get into a bulkhead: at once where there is room, else through its queue.

What ends in `_locked` needs the lock held, and is arithmetic alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from breakers.runtime import checks, deadlines, events
from breakers.runtime.bulkhead_policy import BulkheadPolicy
from breakers.runtime.errors import BulkheadFull
from breakers.runtime.slots import HELD, RELEASED, Slot
from breakers.runtime.tiers import TierState, current_tier, states
from breakers.runtime.waiters import Answer, TaskWaiter, ThreadWaiter, Waiter

_MEMORY = 0.1  # weight of the newest call in the mean duration


class Line:
    """The slots of a bulkhead, who has them, and who waits for them."""

    __slots__ = (
        "__weakref__", "_active", "_clock", "_default", "_held", "_idle_reserved", "_isolated",
        "_limit", "_lock", "_max_queue", "_max_wait", "_mean", "_most", "_observer", "_own",
        "_queued", "_rejected", "_tiered", "_tiers", "_timed", "_tuned", "max_duration", "name",
    )  # fmt: skip

    def __init__(
        self,
        max_concurrent_calls: int,
        max_queue: int,
        max_wait: float | None,
        tiers: Mapping[str, Any] | None,
        name: str,
        max_duration: float | None,
        clock: Callable[[], float],
    ) -> None:
        self._own = BulkheadPolicy(max_concurrent_calls, max_queue, max_wait)
        self._tuned: dict[str, Any] = {}
        if max_duration is not None:
            checks.seconds("max_duration", max_duration)
        self.name = name
        self.max_duration = max_duration
        self._clock = clock
        # Reentrant, since the garbage collector may end an abandoned guarded stream in here.
        self._lock = threading.RLock()
        self._tiers = states(tiers)
        self._default = self._tiers[""]
        self._tiered = len(self._tiers) > 1
        self._held: set[Slot] = set()
        self._active = self._queued = self._rejected = 0
        self._mean = 0.0
        self._isolated = ""
        self._observer: Callable[[float, int], object] | None = None
        self._most: int | None = None
        # Times are read from the moment on at which someone needs them.
        self._timed = max_duration is not None
        self._limit, self._max_queue, self._max_wait = max_concurrent_calls, max_queue, max_wait
        self._idle_reserved = 0
        self._share_out_locked()

    # --- Entering

    def _tier(self) -> TierState:
        if not self._tiered:
            return self._default
        return self._tiers.get(current_tier(), self._default)

    def _enter(self) -> Slot | None:
        """A slot that is free for this call now."""
        if self._tiered:
            return self._enter_as(self._tiers.get(current_tier(), self._default))
        return self._enter_as(self._default)

    def _enter_as(self, tier: TierState) -> Slot | None:
        slot = Slot()
        slot.bulkhead = self
        slot.tier = tier
        slot.state = HELD
        timed = self._timed
        slot.since = self._clock() if timed else 0.0
        # The path of most calls. `acquire` and `release` take a third less time than `with`.
        lock = self._lock
        lock.acquire()
        try:
            # Nobody overtakes those who wait already.
            if self._queued or self._active >= self._limit or self._isolated:
                return None
            if tier.active < tier.reserved:
                self._idle_reserved -= 1
            elif self._active + self._idle_reserved >= self._limit:
                return None
            tier.active += 1
            self._active += 1
            if timed:
                self._held.add(slot)
        finally:
            lock.release()
        return slot

    def _may_enter_locked(self, tier: TierState) -> bool:
        if self._active >= self._limit:
            return False
        return tier.active < tier.reserved or self._active + self._idle_reserved < self._limit

    def _give_back_locked(self, tier: TierState) -> None:
        tier.active -= 1
        self._active -= 1
        if tier.active < tier.reserved:
            self._idle_reserved += 1

    def _end(self, slot: Slot, state: int) -> None:
        """The slot is free again, unless it was so already."""
        timed = self._timed
        now = self._clock() if timed else 0.0
        lock = self._lock
        lock.acquire()
        try:
            if slot.state != HELD:
                slot.state = max(slot.state, state)
                return
            slot.state = state
            tier = slot.tier
            tier.active -= 1
            calls = self._active
            self._active = calls - 1
            if tier.active < tier.reserved:
                self._idle_reserved += 1
            if timed:
                self._held.discard(slot)
                timed = slot.since > 0.0
            if timed:
                self._mean += (now - slot.since - self._mean) * _MEMORY
            if self._queued:
                self._serve_locked()
        finally:
            lock.release()
        if timed and state == RELEASED and self._observer is not None:
            self._observer(now - slot.since, calls)

    def _again(self, tier: TierState) -> Slot:
        """A slot for a call of `tier` that had paused."""
        return self._enter_as(tier) or self._wait(tier)

    async def _again_async(self, tier: TierState) -> Slot:
        return self._enter_as(tier) or await self._wait_async(tier)

    def _renew(self, slot: Slot, got: Slot) -> None:
        """Let `slot`, whose call had paused, stand for the place that `got` has."""
        with self._lock:
            self._held.discard(got)
            self._held.add(slot)
            slot.since = got.since
            slot.state = HELD

    # --- Waiting

    def _wait(self, tier: TierState) -> Slot:
        self._timed = True
        waiter = ThreadWaiter(self._clock())
        seconds = self._queue(tier, waiter)
        try:
            if waiter.answer is None:
                waiter.wait(seconds)
        except BaseException:
            self._leave(tier, waiter)
            raise
        return self._answered(tier, waiter)

    async def _wait_async(self, tier: TierState) -> Slot:
        self._timed = True
        waiter = TaskWaiter(self._clock())
        seconds = self._queue(tier, waiter)
        try:
            if waiter.answer is None:
                await waiter.wait(seconds)
        except BaseException:
            self._leave(tier, waiter)
            raise
        return self._answered(tier, waiter)

    def _queue(self, tier: TierState, waiter: Waiter) -> float | None:
        """Stand in line; answers how long to wait. Raises BulkheadFull."""
        left = deadlines.remaining()
        wait = self._max_wait
        if left is not None:
            wait = max(0.0, left if wait is None else min(left, wait))
        with self._lock:
            reason = self._isolated and "isolated"
            if not reason and self._queued >= self._max_queue and not self._make_room_locked(tier):
                reason = "queue_full"
            if not reason:
                if not tier.waiters:
                    tier.served = max(tier.served, self._served_locked())
                tier.waiters.append(waiter)
                self._queued += 1
                self._serve_locked()
                return wait
        raise self._refused(tier, reason)

    def _served_locked(self) -> float:
        """Where the line stands: a tier that comes back has saved up nothing."""
        served = [each.served for each in self._tiers.values() if each.waiters]
        return min(served, default=0.0)

    def _make_room_locked(self, tier: TierState) -> bool:
        if self._may_enter_locked(tier) and not self._queued:
            return True  # a slot became free since
        lowest = self._lowest_waiting_locked()
        if lowest is None or lowest.tier.priority >= tier.tier.priority:
            return False
        self._answer_locked(lowest, lowest.waiters[-1], "shed")
        return True

    def _lowest_waiting_locked(self) -> TierState | None:
        waiting_tiers = [each for each in self._tiers.values() if each.waiters]
        return min(waiting_tiers, key=lambda each: each.tier.priority, default=None)

    def _serve_locked(self) -> None:
        """Give free slots to those who wait: the tier served least for its weight comes first."""
        while self._queued and self._active < self._limit:
            served: TierState | None = None
            for tier in self._tiers.values():
                if (
                    tier.waiters
                    and self._may_enter_locked(tier)
                    and (served is None or tier.served < served.served)
                ):
                    served = tier
            if served is None:
                return
            waiter = served.waiters[0]
            if self._answer_locked(served, waiter, "granted"):
                served.served += 1 / served.tier.weight
                self._count_in_locked(served)

    def _count_in_locked(self, tier: TierState) -> None:
        if tier.active < tier.reserved:
            self._idle_reserved -= 1
        tier.active += 1
        self._active += 1

    def _answer_locked(self, tier: TierState, waiter: Waiter, answer: Answer) -> bool:
        tier.waiters.remove(waiter)
        self._queued -= 1
        waiter.answer = answer
        return waiter.wake()

    def _leave(self, tier: TierState, waiter: Waiter) -> None:
        """Give up waiting; a slot that was granted meanwhile goes to the next."""
        with self._lock:
            if waiter.answer is None:
                tier.waiters.remove(waiter)
                self._queued -= 1
                waiter.answer = "timeout"
            elif waiter.answer == "granted":
                waiter.answer = "timeout"
                self._give_back_locked(tier)
                self._serve_locked()

    def _answered(self, tier: TierState, waiter: Waiter) -> Slot:
        with self._lock:
            if waiter.answer is None:
                tier.waiters.remove(waiter)
                self._queued -= 1
                waiter.answer = "timeout"
            answer = waiter.answer
            if answer == "granted":
                slot = Slot()
                slot.bulkhead, slot.tier, slot.state = self, tier, HELD
                slot.since = self._clock()
                self._held.add(slot)
                return slot
        raise self._refused(tier, answer)

    def _refused(self, tier: TierState, reason: str) -> BulkheadFull:
        with self._lock:
            self._rejected += 1
            tier.rejected += 1
            ahead = self._queued + 1
            # By Little's law; nobody knows when an isolated part comes back.
            wait = None if reason == "isolated" else self._mean * ahead / self._limit
        events.emit(
            "resilience.bulkhead.rejected",
            {
                "resilience.bulkhead.name": self.name,
                "resilience.bulkhead.tier": tier.name,
                "resilience.bulkhead.reason": reason,
            },
        )
        return BulkheadFull(self.name, reason, tier=tier.name, retry_after=wait)

    # --- Limits

    def _follow_locked(self) -> None:
        """Work by the own settings and by what the site gives in place of them."""
        policy = replace(self._own, **self._tuned)
        limit = policy.max_concurrent_calls
        if self._observer is not None:
            # What follows the other side by itself does so up to what the site gives, or else up
            # to its own most.
            most = limit if "max_concurrent_calls" in self._tuned else self._most or limit
            limit = min(most, self._own.max_concurrent_calls)
        self._max_queue, self._max_wait = policy.max_queue, policy.max_wait
        self._set_limit_locked(limit)

    def _set_limit_locked(self, limit: int) -> None:
        self._limit = limit
        self._share_out_locked()
        self._serve_locked()

    def _share_out_locked(self) -> None:
        for tier in self._tiers.values():
            # A tiny excess of floating point must not cost a slot: 0.1 · 30 is 3.
            tier.reserved = int(tier.tier.reserved * self._limit + 1e-9)
        self._idle_reserved = sum(max(0, t.reserved - t.active) for t in self._tiers.values())
