"""What the control document gives bulkheads."""

from __future__ import annotations

import pytest

from breakers.runtime.isolation import ResourceLimits
from breakers.runtime.resilience import Resilience
from breakers.runtime.testing import FakeClock as Clock
from breakers.runtime.variables import ClientVariables
from tests.runtime.desk import document
from tests.runtime.own_lines import own_records


@pytest.fixture
def resilience(clock: Clock) -> Resilience:
    return Resilience(ClientVariables({}), clock=clock)


# --- Bulkheads


def tuned(**policy: object) -> dict[str, object]:
    return document(bulkheads={"user_operations": {"policy": policy}})


def test_a_bulkhead_is_tuned_and_goes_back_to_its_own_limits(resilience: Resilience) -> None:
    bulkhead = resilience.bulkhead("user_operations")
    other = resilience.bulkhead("background_tasks")
    resilience.apply(tuned(max_concurrent_calls=2, max_queue=1, max_wait=None))
    assert (bulkhead.limit, bulkhead.max_queue, bulkhead.max_wait) == (2, 1, None)
    assert (other.limit, other.max_queue, other.max_wait) == (5, 200, 300.0)
    resilience.apply(tuned(max_queue=7))
    assert (bulkhead.limit, bulkhead.max_queue, bulkhead.max_wait) == (20, 7, 60.0)
    # A site that knows nothing of bulkheads yet takes nothing away.
    resilience.apply({name: {} for name in ("breakers", "toggles")})
    assert bulkhead.max_queue == 7
    resilience.apply(document())
    assert (bulkhead.limit, bulkhead.max_queue, bulkhead.max_wait) == (20, 100, 60.0)


def test_a_bulkhead_that_is_made_later_is_tuned_from_its_beginning(resilience: Resilience) -> None:
    resilience.apply(tuned(max_concurrent_calls=3))
    assert resilience.bulkhead("user_operations").limit == 3


async def test_limits_that_the_code_gives_are_stronger_than_the_site(
    resilience: Resilience,
) -> None:
    named = resilience.bulkhead("user_operations")
    resilience.apply(tuned(max_concurrent_calls=3, max_queue=1))
    manager = resilience.bulkheads
    made = await manager.create_isolation_boundary("graph", ResourceLimits(10, 50, 30))
    again = await manager.create_isolation_boundary("user_operations", ResourceLimits(9))
    assert again.bulkhead is named
    give = {"policy": {"max_concurrent_calls": 2}}
    resilience.apply(document(bulkheads={"graph": give, "user_operations": give}))
    assert (made.bulkhead.limit, named.limit, named.max_queue) == (10, 9, 100)


def test_limits_that_cannot_work_are_left_out_and_said_once(
    resilience: Resilience, caplog: pytest.LogCaptureFixture
) -> None:
    bulkhead = resilience.bulkhead("user_operations")
    resilience.apply(tuned(max_concurrent_calls=4, colour="red"))
    assert bulkhead.limit == 4
    for wrong in (
        {"max_concurrent_calls": 0},
        {"max_concurrent_calls": 10**12},
        {"max_concurrent_calls": 9, "max_queue": "many"},
        {"max_wait": 10**400},
        {"max_wait": float("inf")},
    ):
        for _ in range(2):
            resilience.apply(tuned(**wrong))
        assert (bulkhead.limit, bulkhead.max_queue, bulkhead.max_wait) == (4, 100, 60.0)
    resilience.apply(document(bulkheads=["user_operations"]))
    assert bulkhead.limit == 4
    for shape in ("none", {"policy": []}, {"policy": None, "extra": 1}):
        resilience.apply(tuned(max_concurrent_calls=4))
        resilience.apply(document(bulkheads={"user_operations": shape}))
        assert bulkhead.limit == 20
    lines = [each.getMessage() for each in own_records(caplog)]
    assert len(lines) == len(set(lines)) == 8
    assert "The site sets the unknown 'colour' of bulkhead 'user_operations'" in lines
    assert any(line.startswith("Policy of bulkhead 'user_operations': max_wait") for line in lines)
    assert all(len(line) < 600 for line in lines)
