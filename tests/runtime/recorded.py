"""Breakers that are driven at random while they are recorded."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from breakers.runtime.batches import Batch
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import BreakerEvent, BreakerPolicy
from breakers.runtime.errors import CallNotPermitted
from breakers.runtime.permit import Permit
from breakers.runtime.recorder import Recorder
from breakers.runtime.testing import FakeClock

durations = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 11.0]) | st.floats(0, 12)


@st.composite
def policies(draw: st.DrawFn) -> BreakerPolicy:
    kind = draw(st.sampled_from(["consecutive", "count", "time"]))
    size = draw(st.integers(1, 12))
    return BreakerPolicy(
        failure_threshold=draw(st.integers(1, 4)),
        timeout=draw(st.sampled_from([1.0, 5, 7.25])),
        sliding_window_type=kind,
        sliding_window_size=size,
        minimum_number_of_calls=draw(st.integers(1, size)),
        failure_rate_threshold=draw(st.sampled_from([0.2, 0.5, 1.0])),
        slow_call_duration_threshold=draw(st.sampled_from([None, 0.5, 1.0])),
        slow_call_rate_threshold=draw(st.sampled_from([0.4, 1.0])),
        permitted_calls_in_half_open_state=draw(st.integers(1, 3)),
        max_wait_duration_in_half_open_state=draw(st.sampled_from([None, 2.0, 30.0])),
        timeout_multiplier=draw(st.sampled_from([1.0, 2.0])),
        max_timeout=draw(st.sampled_from([None, 9.0])),
        timeout_jitter=draw(st.sampled_from([0.0, 0.3])),
    )


decisions = st.sampled_from(["force_open", "force_closed", "disable", "metrics_only", "reset"])
looks = st.sampled_from(["state", "snapshot", "is_open"])
calls = st.tuples(st.just("call"), st.sampled_from(["success", "failure", "ignore"]), durations)
actions = st.one_of(
    calls,
    calls,
    st.tuples(st.just("burst"), st.sampled_from(["success", "failure"]), st.integers(1, 15)),
    st.tuples(st.just("trip"), st.sampled_from([0.5, 5.0, 30.0])),
    st.tuples(st.just("acquire")),
    st.tuples(
        st.just("settle"),
        st.sampled_from(["success", "failure", "ignore"]),
        st.none() | durations,
        st.integers(0, 5),
    ),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 0.7, 1.9, 5.0, 8.3]) | st.floats(0, 20)),
    st.tuples(st.just("look"), looks),
    st.tuples(st.just("decide"), decisions),
    st.tuples(st.just("adopt_open"), st.sampled_from([0.0, 3.0])),
    st.tuples(st.just("adopt_closed")),
    st.tuples(st.just("configure"), policies()),
    st.tuples(st.just("without_permit"), st.booleans()),
    st.tuples(st.just("share"), st.booleans()),
    st.tuples(st.just("collect")),
)


class Leases:
    """A source of probes that allows every second one."""

    def __init__(self) -> None:
        self.asked = 0

    def take(self) -> bool:
        self.asked += 1
        return self.asked % 2 == 0

    def done(self, success: bool | None) -> None:
        """Nobody waits for it."""


class Recorded:
    """A breaker with its recorder; `told` are its transitions."""

    def __init__(self, policy: BreakerPolicy, *, seed: int = 0, now: float = 81234.567) -> None:
        self.clock = FakeClock(now)
        self.breaker = CircuitBreaker.of(
            "graph", policy, clock=self.clock, chance=random.Random(seed).random
        )
        self.told: list[BreakerEvent] = []
        self.breaker.on_event(lambda event: self.told.append(event))
        self.recorder = Recorder(self.breaker)
        self.running: list[Permit] = []
        self.batches: list[Batch] = []

    def play(self, actions: Iterable[tuple[Any, ...]]) -> None:
        for action, *details in actions:
            getattr(self, f"_{action}")(*details)
        self.collect()

    def transitions(self) -> list[BreakerEvent]:
        return [event for event in self.told if event.kind == "transition"]

    def collect(self) -> None:
        batch = self.recorder.collect()
        if batch is not None:
            # The clocks of tests begin anywhere; so does their Unix time.
            self.batches.append(replace(batch, offset=1_700_000_000.0))

    _collect = collect

    def call(self, outcome: str = "success", duration: float = 0.0) -> bool:
        """One call from its begin to its end; whether it was let through."""
        try:
            permit = self.breaker.acquire()
        except CallNotPermitted:
            return False
        self.clock.now += duration
        _end(permit, outcome, None)
        return True

    def _call(self, outcome: str, duration: float) -> None:
        self.call(outcome, duration)

    def _burst(self, outcome: str, calls: int) -> None:
        for _ in range(calls):
            self.call(outcome, 0.05)

    def _trip(self, wait: float) -> None:
        """Fail until it opens, and let time pass, perhaps up to the next probe."""
        self._burst("failure", 13)
        self.clock.now += wait

    def _acquire(self) -> None:
        with contextlib.suppress(CallNotPermitted):
            self.running.append(self.breaker.acquire())

    def _settle(self, outcome: str, duration: float | None, place: int) -> None:
        if self.running:
            _end(self.running.pop(place % len(self.running)), outcome, duration)

    def _wait(self, seconds: float) -> None:
        self.clock.now += seconds

    def _look(self, how: str) -> None:
        if how == "state":
            assert self.breaker.state
        elif how == "snapshot":
            self.breaker.snapshot()
        else:
            asyncio.run(self.breaker.is_open())

    def _decide(self, how: str) -> None:
        getattr(self.breaker, how)("by hand")

    def _adopt_open(self, seconds: float) -> None:
        self.breaker.adopt_open("shared", seconds)

    def _adopt_closed(self) -> None:
        self.breaker.adopt_closed("shared")

    def _configure(self, policy: BreakerPolicy) -> None:
        self.breaker.configure(policy)

    def _without_permit(self, failed: bool) -> None:
        if failed:
            asyncio.run(self.breaker.record_failure(OSError()))
        else:
            asyncio.run(self.breaker.record_success())

    def _share(self, on: bool) -> None:
        self.breaker.limit_probes(Leases() if on else None)


def _end(permit: Permit, outcome: str, duration: float | None) -> None:
    if outcome == "success":
        permit.success(duration)
    elif outcome == "failure":
        permit.failure(OSError(), duration)
    else:
        permit.ignore()
