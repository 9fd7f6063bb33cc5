"""How long to wait, and how often: arithmetic of backoff and budgets."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from breakers.runtime.backoff import JITTERS, backoff
from breakers.runtime.retry_budget import RetryBudget, request_attempts, request_budget
from breakers.runtime.testing import FakeClock as Clock
from breakers.runtime.variables import ConfigError

attempts = st.integers(1, 10**6)
delays = st.floats(0.001, 100)
chances = st.floats(0, 1)


@given(attempts, delays, delays)
def test_without_jitter_delays_double_up_to_the_longest(
    attempt: int, base: float, longest: float
) -> None:
    wait = backoff(attempt, base, longest, None)
    assert wait == (longest if attempt > 200 else min(longest, base * 2 ** (attempt - 1)))


@given(attempts, delays, delays, chances)
def test_jitter_stays_in_its_bounds(
    attempt: int, base: float, longest: float, chance: float
) -> None:
    plain = backoff(attempt, base, longest, None)
    assert backoff(attempt, base, longest, "full", chance=lambda: chance) == chance * plain
    equal = backoff(attempt, base, longest, "equal", chance=lambda: chance)
    assert plain / 2 <= equal <= plain
    wait = 0.0
    for _ in range(5):
        bound = min(longest, max(base, 3 * wait)) * 1.000001
        wait = backoff(attempt, base, longest, "decorrelated", previous=wait, chance=lambda: chance)
        assert min(base, longest) * 0.999999 <= wait <= bound


def test_two_seconds_doubled_and_capped_at_thirty() -> None:
    assert [backoff(n, 2, 30, None) for n in range(1, 6)] == [2, 4, 8, 16, 30]
    assert all(0 <= backoff(10**6, 2, 30, jitter) <= 30 for jitter in JITTERS)


class BudgetModel(RuleBasedStateMachine):
    """A budget beside the list of what happened when."""

    @initialize(
        ratio=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
        floor=st.sampled_from([0.0, 0.1, 1.0]),
        limit=st.integers(0, 20),
    )
    def begin(self, ratio: float, floor: float, limit: int) -> None:
        self.now = 0.0
        self.settings = (ratio, floor, limit)
        self.budget = RetryBudget(ratio, floor, 10, limit, clock=lambda: self.now)
        self.calls: list[float] = []
        self.retries: list[float] = []

    def allowed(self, look_back: float) -> float:
        ratio, floor, limit = self.settings
        calls = sum(self.now - at <= look_back for at in self.calls)
        return min(limit, floor * 10 + ratio * calls)

    @rule(times=st.integers(1, 10))
    def call(self, times: int) -> None:
        for _ in range(times):
            self.budget.record_call()
            self.calls.append(self.now)

    @rule()
    def retry(self) -> None:
        # The window looks back between 10 and 11.2 s, so what lies between may count or not.
        surely_spent = sum(self.now - at < 9.99 for at in self.retries)
        perhaps_spent = sum(self.now - at <= 11.2 for at in self.retries)
        if self.budget.try_spend():
            assert surely_spent + 1 <= self.allowed(11.2) + 1e-9
            self.retries.append(self.now)
        else:
            assert perhaps_spent + 1 > self.allowed(9.99) - 1e-9

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 3.7, 12.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_limit_holds_in_any_window(self) -> None:
        if hasattr(self, "budget"):
            assert sum(self.now - at < 10 for at in self.retries) <= self.settings[2]


TestBudgetModel = BudgetModel.TestCase
TestBudgetModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_threads_together_never_spend_more_than_the_limit() -> None:
    clock = Clock()
    budget = RetryBudget(0, 10, 60, 100, clock=clock)
    together = threading.Barrier(8, timeout=30)

    def spend(_: int) -> int:
        together.wait()
        return sum(budget.try_spend() for _ in range(100))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(spend, range(8))) == 100
    assert budget.snapshot() == (0, 100, 0)


def test_a_service_with_little_traffic_can_retry() -> None:
    budget = RetryBudget(clock=Clock())
    assert sum(budget.try_spend() for _ in range(100)) == 30


def test_a_request_s_budget_is_shared_by_all_inside() -> None:
    assert request_attempts.get() is None
    with request_budget(2) as budget:
        assert request_attempts.get() is budget
        assert [budget.take() for _ in range(4)] == [True, True, False, False]
    assert request_attempts.get() is None


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"ratio": -1}, "ratio is -1"),
        ({"floor_per_second": -0.1}, "floor_per_second is -0.1"),
        ({"window": 0}, "window is 0"),
        ({"limit": 1.5}, "limit is 1.5"),
    ],
)
def test_a_budget_of_nonsense_is_refused(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        RetryBudget(**arguments)  # type: ignore[arg-type]
