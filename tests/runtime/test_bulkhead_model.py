"""The bulkhead beside a model that is slow, simple and plainly right."""

from __future__ import annotations

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from breakers.runtime.bulkhead import Bulkhead
from breakers.runtime.errors import BulkheadFull
from breakers.runtime.slots import Slot
from breakers.runtime.tiers import tier
from breakers.runtime.waiters import ThreadWaiter

NAMES = ["gold", "silver", "", "unknown"]


class Waiting:
    """A call in the queue, driven without a thread."""

    def __init__(self, bulkhead: Bulkhead, name: str) -> None:
        self.tier = bulkhead._tiers.get(name, bulkhead._default)
        self.bulkhead = bulkhead
        self.waiter = ThreadWaiter(0.0)
        bulkhead._queue(self.tier, self.waiter)


class BulkheadModel(RuleBasedStateMachine):
    @initialize(
        limit=st.integers(1, 8),
        queue=st.integers(0, 4),
        gold=st.sampled_from([0.0, 0.25, 0.5]),
        silver=st.sampled_from([0.0, 0.2, 0.5]),
    )
    def begin(self, limit: int, queue: int, gold: float, silver: float) -> None:
        tiers = {
            "gold": {"reserved": gold, "priority": 2, "weight": 2},
            "silver": {"reserved": silver, "priority": 1},
        }
        self.bulkhead = Bulkhead(limit, queue, None, tiers)
        self.shares = {"gold": gold, "silver": silver, "": 0.0}
        self.own, self.own_queue = limit, queue
        self.limit, self.queue = limit, queue
        self.tuned: dict[str, int] = {}
        self.running: list[tuple[str, Slot]] = []
        self.paused: list[tuple[str, Slot]] = []
        self.waiting: list[tuple[str, Waiting]] = []

    def known(self, name: str) -> str:
        return name if name in self.shares else ""

    def fits(self, name: str) -> bool:
        """Whether one more call of the tier leaves the others what is reserved for them."""
        active = {each: sum(n == each for n, _ in self.running) for each in self.shares}
        if len(self.running) >= self.limit:
            return False
        reserved = {n: math.floor(s * self.limit + 1e-9) for n, s in self.shares.items()}
        if active[name] < reserved[name]:
            return True
        idle = sum(max(0, reserved[n] - active[n]) for n in self.shares)
        return len(self.running) + idle < self.limit

    def settle(self) -> None:
        """Those whose wait has ended since."""
        for name, each in list(self.waiting):
            if each.waiter.answer is not None:
                self.waiting.remove((name, each))
                if each.waiter.answer == "granted":
                    self.running.append((name, self.bulkhead._answered(each.tier, each.waiter)))

    @rule(name=st.sampled_from(NAMES))
    def enter(self, name: str) -> None:
        fits = not self.waiting and self.fits(self.known(name))
        with tier(name):
            slot = self.bulkhead._enter()
        assert (slot is not None) == fits
        if slot is not None:
            self.running.append((self.known(name), slot))

    @rule(name=st.sampled_from(NAMES))
    def queue_up(self, name: str) -> None:
        before = len(self.waiting)
        try:
            self.waiting.append((self.known(name), Waiting(self.bulkhead, name)))
        except BulkheadFull:
            assert before >= self.queue
        self.settle()

    @precondition(lambda self: self.running)
    @rule(data=st.data(), how=st.sampled_from(["release", "reclaim", "twice"]))
    def leave(self, data: st.DataObject, how: str) -> None:
        _, slot = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        if how == "reclaim":
            slot.reclaim()
        slot.release()
        if how == "twice":
            slot.release()
        self.settle()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def pause(self, data: st.DataObject) -> None:
        name, slot = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        slot.hand_back()
        self.paused.append((name, slot))
        self.settle()

    @precondition(lambda self: self.paused)
    @rule(data=st.data(), ended=st.booleans())
    def resume(self, data: st.DataObject, ended: bool) -> None:
        name, slot = self.paused.pop(data.draw(st.integers(0, len(self.paused) - 1)))
        if ended or self.waiting or not self.fits(name):
            slot.release()
            slot.take_back()  # released while it paused: nothing is taken
        else:
            slot.take_back()
            self.running.append((name, slot))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        _, each = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        self.bulkhead._leave(each.tier, each.waiter)
        self.settle()

    @rule(limit=st.integers(1, 8))
    def resize(self, limit: int) -> None:
        self.bulkhead.resize(limit)
        self.own = limit
        self.limit = self.tuned.get("max_concurrent_calls", limit)
        self.settle()

    @rule(limit=st.none() | st.integers(1, 8), queue=st.none() | st.integers(0, 4))
    def tune(self, limit: int | None, queue: int | None) -> None:
        given = {"max_concurrent_calls": limit, "max_queue": queue}
        settings = {name: value for name, value in given.items() if value is not None}
        waited = list(self.waiting)
        self.bulkhead.tune(settings)
        # Nobody is sent away: who waited still does, or was let in.
        assert {each.waiter.answer for _, each in waited} <= {None, "granted"}
        if settings != self.tuned:
            self.tuned = settings
            self.limit = settings.get("max_concurrent_calls", self.own)
            self.queue = settings.get("max_queue", self.own_queue)
        self.settle()

    @rule(share=st.sampled_from([0.25, 0.75]))
    def shrink(self, share: float) -> None:
        self.bulkhead.shrink(share)
        self.limit = max(1, int(self.limit * share))
        if "max_concurrent_calls" not in self.tuned:
            self.own = self.limit
        self.settle()

    @rule(calls=st.integers(1, 3))
    def shed(self, calls: int) -> None:
        assert self.bulkhead.shed(calls) == min(calls, len(self.waiting))
        self.settle()

    @invariant()
    def they_agree(self) -> None:
        if not hasattr(self, "bulkhead"):
            return
        seen = self.bulkhead.snapshot()
        assert (seen.limit, self.bulkhead.max_queue) == (self.limit, self.queue)
        assert seen.active == len(self.running)
        assert seen.queued == len(self.waiting)
        for name in self.shares:
            assert seen.tiers[name].active == sum(n == name for n, _ in self.running)
            assert seen.tiers[name].queued == sum(n == name for n, _ in self.waiting)
        # Nobody waits for a slot that is free for them.
        assert not any(self.fits(name) for name, _ in self.waiting)


TestBulkheadModel = BulkheadModel.TestCase
TestBulkheadModel.settings = settings(max_examples=250, stateful_step_count=40, deadline=None)
