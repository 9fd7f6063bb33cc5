"""The breaker and its windows beside models that are slow, simple and plainly right."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from breakers.runtime.circuit_breaker import CircuitBreaker, Permit
from breakers.runtime.circuit_state import BreakerEvent, BreakerPolicy, CircuitState
from breakers.runtime.errors import CallNotPermitted
from breakers.runtime.windows import BUCKETS, CountWindow, TimeWindow

outcomes = st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 30)), max_size=60)


@given(st.integers(1, 20), outcomes)
def test_a_count_window_holds_the_last_calls(
    size: int, calls: list[tuple[bool, bool, float]]
) -> None:
    window = CountWindow(size)
    for place, (failed, slow, _) in enumerate(calls):
        window.add(failed, slow, 0.0)
        held = calls[max(0, place + 1 - size) : place + 1]
        assert window.calls == len(held)
        assert window.failed == sum(f for f, _, _ in held)
        assert window.slow == sum(s for _, s, _ in held)


@given(st.integers(1, 100), outcomes)
def test_a_time_window_looks_back_between_nine_and_ten_tenths(
    seconds: int, calls: list[tuple[bool, bool, float]]
) -> None:
    window = TimeWindow(seconds)
    now, width = 0.0, seconds / BUCKETS
    held: list[tuple[bool, bool, float]] = []
    for failed, slow, passed in calls:
        now += passed
        window.add(failed, slow, now)
        held.append((failed, slow, now))
        surely = [each for each in held if now - each[2] < seconds - width - 1e-6]
        perhaps = [each for each in held if now - each[2] <= seconds + 1e-6]
        assert len(surely) <= window.calls <= len(perhaps)
        assert sum(f for f, _, _ in surely) <= window.failed <= sum(f for f, _, _ in perhaps)
        assert sum(s for _, s, _ in surely) <= window.slow <= sum(s for _, s, _ in perhaps)


@dataclass
class Admitted:
    permit: Permit
    generation: int


class BreakerModel(RuleBasedStateMachine):
    """A breaker by a count window or by a row of failures, and a list of what it was told."""

    @initialize(
        consecutive=st.booleans(),
        threshold=st.integers(1, 4),
        size=st.integers(1, 6),
        minimum=st.integers(1, 6),
        rate=st.sampled_from([0.1, 0.25, 0.5, 0.75, 1.0]),
        slow_rate=st.sampled_from([None, 0.5, 1.0]),
        probes=st.integers(1, 3),
        wait=st.sampled_from([None, 3.0, 30.0]),
    )
    def begin(
        self,
        consecutive: bool,
        threshold: int,
        size: int,
        minimum: int,
        rate: float,
        slow_rate: float | None,
        probes: int,
        wait: float | None,
    ) -> None:
        self.now = 0.0
        self.policy = BreakerPolicy(
            failure_threshold=threshold,
            timeout=10,
            sliding_window_type="consecutive" if consecutive else "count",
            sliding_window_size=size,
            minimum_number_of_calls=min(minimum, size),
            failure_rate_threshold=rate,
            slow_call_duration_threshold=None if slow_rate is None else 1.0,
            slow_call_rate_threshold=slow_rate or 1.0,
            permitted_calls_in_half_open_state=probes,
            max_wait_duration_in_half_open_state=wait,
        )
        self.wait = 10.0 if wait is None else wait
        self.breaker = CircuitBreaker.of("model", self.policy, clock=lambda: self.now)
        self.told: list[BreakerEvent] = []
        self.breaker.on_event(self.told.append)
        self.state = CircuitState.CLOSED
        self.since = 0.0
        self.generation = 0
        self.history: list[tuple[bool, bool]] = []
        self.placed = 0
        self.running: list[Admitted] = []
        self.transitions: list[tuple[CircuitState, CircuitState]] = []

    # --- The model

    def move(self, to: CircuitState, at: float | None = None) -> None:
        if to is self.state:
            if to is CircuitState.CLOSED:
                self.history = []
            return
        self.transitions.append((self.state, to))
        self.state, self.since = to, self.now if at is None else at
        self.generation += 1
        self.placed = 0
        if to not in (CircuitState.OPEN, CircuitState.FORCED_OPEN, CircuitState.DISABLED):
            self.history = []

    def overdue(self) -> None:
        if self.state is CircuitState.HALF_OPEN and self.now >= self.since + self.wait:
            self.move(CircuitState.OPEN, self.since + self.wait)

    def admits(self) -> bool:
        self.overdue()
        if self.state is CircuitState.OPEN and self.now >= self.since + 10:
            self.move(CircuitState.HALF_OPEN)
        if self.state is CircuitState.HALF_OPEN:
            if self.placed >= self.policy.permitted_calls_in_half_open_state:
                return False
            self.placed += 1
            return True
        return self.state not in (CircuitState.OPEN, CircuitState.FORCED_OPEN)

    def count(self, failed: bool, slow: bool) -> None:
        self.history.append((failed, slow))
        if self.state is CircuitState.CLOSED:
            if self.bad(self.policy.minimum_number_of_calls, self.policy.failure_threshold):
                self.move(CircuitState.OPEN)
        elif self.state is CircuitState.HALF_OPEN:
            probes = self.policy.permitted_calls_in_half_open_state
            if self.bad(probes, 1):
                self.move(CircuitState.OPEN)
            elif len(self.history) >= probes:
                self.move(CircuitState.CLOSED)

    def held(self) -> list[tuple[bool, bool]]:
        return self.history[-int(self.policy.sliding_window_size or 100) :]

    def bad(self, minimum: int, row: int) -> bool:
        policy = self.policy
        held = self.history if self.state is CircuitState.HALF_OPEN else self.held()
        consecutive = policy.sliding_window_type == "consecutive"
        if consecutive and len(self.history) >= row and all(f for f, _ in self.history[-row:]):
            return True
        if len(held) < minimum:
            return False
        failed, slow = sum(f for f, _ in held), sum(s for _, s in held)
        if not consecutive and failed / len(held) >= policy.failure_rate_threshold:
            return True
        return slow > 0 and slow / len(held) >= policy.slow_call_rate_threshold

    # --- What happens to both

    @rule()
    def acquire(self) -> None:
        admitted = self.admits()
        try:
            self.running.append(Admitted(self.breaker.acquire(), self.generation))
        except CallNotPermitted:
            assert not admitted
        else:
            assert admitted

    @precondition(lambda self: self.running)
    @rule(
        data=st.data(),
        outcome=st.sampled_from(["success", "failure", "ignore"]),
        slow=st.booleans(),
    )
    def settle(self, data: st.DataObject, outcome: str, slow: bool) -> None:
        call = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        duration = 2.0 if slow else 0.1
        slow = slow and self.policy.slow_call_duration_threshold is not None
        if outcome == "ignore":
            call.permit.ignore()
            if call.generation == self.generation:
                self.placed -= self.state is CircuitState.HALF_OPEN
            return
        if outcome == "success":
            call.permit.success(duration)
        else:
            call.permit.failure(OSError(), duration)
        if call.generation == self.generation and self.state is not CircuitState.DISABLED:
            self.count(outcome == "failure", slow)

    @rule(seconds=st.sampled_from([0.0, 1.0, 2.999, 5.0, 10.0, 40.0]))
    def wait_for(self, seconds: float) -> None:
        self.now += seconds

    @rule(to=st.sampled_from(["force_open", "force_closed", "disable", "reset"]))
    def decide(self, to: str) -> None:
        getattr(self.breaker, to)()
        self.move(
            {
                "force_open": CircuitState.FORCED_OPEN,
                "force_closed": CircuitState.FORCED_CLOSED,
                "disable": CircuitState.DISABLED,
                "reset": CircuitState.CLOSED,
            }[to]
        )

    @invariant()
    def they_agree(self) -> None:
        if not hasattr(self, "breaker"):
            return
        self.overdue()
        assert self.breaker.state is self.state
        assert [(e.from_state, e.to_state) for e in self.told] == self.transitions
        seen = self.breaker.snapshot()
        held = self.history if self.state is CircuitState.HALF_OPEN else self.held()
        if self.state not in (CircuitState.OPEN, CircuitState.FORCED_OPEN, CircuitState.DISABLED):
            assert seen.calls == len(held)
            assert seen.failed_calls == sum(f for f, _ in held)
        for event in self.told:
            assert event.from_state is not event.to_state


TestBreakerModel = BreakerModel.TestCase
TestBreakerModel.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
