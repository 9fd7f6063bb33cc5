"""Replicas that share a breaker's verdict over a real Valkey, which is held and killed."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
import redis

from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import CircuitState
from breakers.runtime.errors import CallNotPermitted
from breakers.runtime.registry import BreakerRegistry
from breakers.runtime.shared_state import SharedState, share
from breakers.runtime.testing import FakeClock
from breakers.runtime.variables import ClientVariables, ConfigError
from tests.patience import PATIENCE, until
from tests.runtime.valkey import OwnValkey

pytestmark = pytest.mark.timeout(400)


def breaker(timeout: float = 60, **more: Any) -> CircuitBreaker:
    return CircuitBreaker(2, timeout, name="graph", **more)


def probed(clock: FakeClock) -> CircuitBreaker:
    """One that is open for 0.2 s, and half-open until two probes have ended, however late.

    A vote says how long the breaker is still open: by the clock of a test, no pause of the machine
    makes it too late to be one.
    """
    return breaker(
        0.2,
        permitted_calls_in_half_open_state=2,
        max_wait_duration_in_half_open_state=3600,
        clock=clock,
    )


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def shared(stack: ExitStack, valkey: OwnValkey, each: CircuitBreaker, **more: Any) -> SharedState:
    # Redis is there: what is late here is a busy machine.
    options = {"namespace": "test", "poll": 0.2, "timeout": PATIENCE} | more
    return stack.enter_context(closing(share([each], valkey.client(), **options)))


def fail(each: CircuitBreaker, times: int = 2) -> None:
    for _ in range(times):
        each.acquire().failure(ConnectionError("down"))


def agreed(states: list[SharedState]) -> int:
    """The epoch that all replicas have heard of; 0 where they have not yet."""
    epochs = {state.status().epochs.get("graph", 0) for state in states}
    return epochs.pop() if len(epochs) == 1 else 0


def permit_of(each: CircuitBreaker, clock: FakeClock) -> Any:
    """A probe, as soon as the breaker's own open time and that of all are over."""
    clock.advance(0.05)
    try:
        return each.acquire()
    except CallNotPermitted:
        return None


def test_what_one_replica_opens_is_open_everywhere_and_late_joiners_adopt_it(
    valkey: OwnValkey, stack: ExitStack
) -> None:
    one, two = breaker(), breaker()
    for each in (one, two):
        state = shared(stack, valkey, each)
        until(lambda state=state: state.status().connected)  # type: ignore[misc]
    fail(one)
    until(lambda: two.state is CircuitState.OPEN)
    assert two.snapshot().retry_after == pytest.approx(60, abs=30)
    late = breaker()
    shared(stack, valkey, late)
    until(lambda: late.state is CircuitState.OPEN)


def test_a_quorum_has_to_agree(valkey: OwnValkey, stack: ExitStack) -> None:
    replicas = [breaker() for _ in range(3)]
    for place, each in enumerate(replicas):
        shared(stack, valkey, each, quorum=2, instance=f"replica-{place}")
    fail(replicas[0])
    time.sleep(0.3)  # an absence has no event to wait for
    assert [each.state for each in replicas[1:]] == [CircuitState.CLOSED] * 2
    fail(replicas[1])
    until(lambda: replicas[2].state is CircuitState.OPEN)


def test_all_close_when_the_fleet_s_probes_succeeded(valkey: OwnValkey, stack: ExitStack) -> None:
    clock = FakeClock()
    one, two = probed(clock), probed(clock)
    states = [shared(stack, valkey, each) for each in (one, two)]
    fail(one)
    until(lambda: two.state is CircuitState.OPEN and agreed(states))
    first, second = (until(lambda each=each: permit_of(each, clock)) for each in (one, two))
    assert permit_of(one, clock) is None
    assert permit_of(two, clock) is None
    first.success()
    second.success()
    until(lambda: one.state is two.state is CircuitState.CLOSED)


def test_a_probe_that_fails_anywhere_opens_all_again(valkey: OwnValkey, stack: ExitStack) -> None:
    clock = FakeClock()
    one, two = probed(clock), probed(clock)
    states = [shared(stack, valkey, each) for each in (one, two)]
    fail(one)
    before = until(lambda: two.state is CircuitState.OPEN and agreed(states))
    until(lambda: permit_of(two, clock)).failure(ConnectionError("down"))
    until(lambda: agreed(states) > before)
    assert two.state is CircuitState.OPEN


# A lease lasts as long as the wait for probes: none of them is given out twice in this test.
FOUR_PROBES: Any = {
    "permitted_calls_in_half_open_state": 4,
    "max_wait_duration_in_half_open_state": 60,
}


def test_a_probe_interrupted_by_a_transition_is_not_mixed_up_with_the_next(
    valkey: OwnValkey, stack: ExitStack
) -> None:
    clock = FakeClock()
    one, two = probed(clock), probed(clock)
    states = [shared(stack, valkey, each) for each in (one, two)]
    fail(one)
    before = until(lambda: two.state is CircuitState.OPEN and agreed(states))
    hanging, failing = (until(lambda: permit_of(one, clock)) for _ in range(2))
    failing.failure(ConnectionError())
    assert one.state is CircuitState.OPEN
    hanging.success()
    until(lambda: agreed(states) > before)
    # The next generation closes on its own two probes.
    for each in (one, two):
        until(lambda each=each: permit_of(each, clock)).success()  # type: ignore[misc]
    until(lambda: one.state is two.state is CircuitState.CLOSED)


def test_a_trip_is_heard_also_where_redis_still_thinks_it_open(
    valkey: OwnValkey, stack: ExitStack
) -> None:
    clock = FakeClock()
    one, two = probed(clock), probed(clock)
    states = [shared(stack, valkey, each) for each in (one, two)]
    until(lambda: all(state.status().connected for state in states))
    fail(one)
    until(lambda: two.state is CircuitState.OPEN and agreed(states))
    for each in (one, two):
        each.reset()  # what a recovery without Redis leaves: closed here, open there
    time.sleep(0.25)  # until the shared open time is over
    fail(one)
    until(lambda: two.state is CircuitState.OPEN)


def hammer(path: str, go: Any, enough: Any, results: Any) -> None:
    """One replica in a process of its own: how many probes it was let place."""
    each = CircuitBreaker(1, 1.0, name="graph", **FOUR_PROBES)
    client = redis.Redis(unix_socket_path=path)
    with closing(share([each], client, namespace="test", poll=0.1, timeout=PATIENCE)):
        results.put("ready")
        until(lambda: each.state is CircuitState.OPEN, 3 * PATIENCE)
        results.put("open")
        go.wait(PATIENCE)
        while not enough.is_set():
            try:
                each.acquire()
                results.put("placed")
            except CallNotPermitted:
                time.sleep(0.0005)
        results.put("ended")


def test_eight_processes_place_no_more_probes_than_one_breaker_would(valkey: OwnValkey) -> None:
    context = multiprocessing.get_context("spawn")
    go, enough, results = context.Event(), context.Event(), context.Queue()
    arguments = (str(valkey.path), go, enough, results)
    processes = [context.Process(target=hammer, args=arguments) for _ in range(8)]
    for process in processes:
        process.start()
    assert {results.get(timeout=2 * PATIENCE) for _ in range(8)} == {"ready"}
    trip = CircuitBreaker(1, 1.0, name="graph", clock=FakeClock(), **FOUR_PROBES)
    with closing(
        share([trip], valkey.client(), namespace="test", poll=0.1, timeout=PATIENCE)
    ) as state:
        until(lambda: state.status().connected)
        trip.acquire().failure(ConnectionError())
        assert {results.get(timeout=PATIENCE) for _ in range(8)} == {"open"}
        go.set()
        told = [results.get(timeout=PATIENCE)]
        time.sleep(2)  # for those that were one too many
        enough.set()
        while told.count("ended") < 8:
            told.append(results.get(timeout=PATIENCE))
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == 0
    print(f"probes placed by eight processes: {told.count('placed')}")
    assert told[0] == "placed"
    assert told.count("placed") <= 4


def commands(valkey: OwnValkey) -> int:
    return int(valkey.client().info("stats")["total_commands_processed"])


def test_calls_do_no_input_or_output(valkey: OwnValkey, stack: ExitStack) -> None:
    each = breaker()
    state = shared(stack, valkey, each, poll=3600)
    until(lambda: state.status().connected)
    call = each(lambda: None)
    before = until(lambda: commands(valkey))
    for _ in range(10_000):
        call()
    # Connections introduce themselves, and the subscriber may still be doing so.
    assert commands(valkey) - before < 100


@pytest.mark.parametrize("how", ["held", "killed"])
def test_without_redis_each_decides_alone_and_joins_again(
    valkey: OwnValkey, stack: ExitStack, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = breaker(0.1, permitted_calls_in_half_open_state=1), breaker()
    # So long that a pause of the machine is not taken for a Redis that is gone.
    states = [shared(stack, valkey, each, timeout=2, poll=0.05) for each in (one, two)]
    until(lambda: all(state.status().connected for state in states))
    valkey.hold() if how == "held" else valkey.kill()
    until(lambda: not any(state.status().connected for state in states))
    fail(one)
    assert one.state is CircuitState.OPEN

    def closed(each: CircuitBreaker) -> bool:
        try:
            each.acquire().success()
        except CallNotPermitted:
            return False
        return each.state is CircuitState.CLOSED

    def same_epochs() -> bool:
        here, there = (state.status().epochs for state in states)
        return here == there

    until(lambda: closed(one))
    assert two.state is CircuitState.CLOSED
    valkey.resume() if how == "held" else valkey.start()
    until(lambda: all(state.status().connected for state in states))
    # A vote that was on its way when Redis came back opens both for what was left of its time.
    until(lambda: closed(one) and closed(two) and same_epochs())
    fail(two)
    until(lambda: one.state is CircuitState.OPEN)
    assert caplog.text.count("decide alone") >= 2


def test_lost_keys_are_as_if_they_had_never_been(valkey: OwnValkey, stack: ExitStack) -> None:
    each = breaker()
    state = shared(stack, valkey, each)
    fail(each)
    until(lambda: state.status().epochs.get("graph"))
    valkey.client().flushall()
    until(lambda: state.status().epochs.get("graph") == 0)
    assert each.state is CircuitState.OPEN  # its own verdict stands


def test_a_registry_shares_what_is_made_later_and_closing_leaves_no_thread(
    valkey: OwnValkey,
) -> None:
    one, two = (BreakerRegistry(ClientVariables({})) for _ in range(2))
    options: Any = {"namespace": "test", "poll": 0.1, "timeout": PATIENCE}
    with (
        closing(share(one, valkey.client(), **options)) as here,
        closing(share(two, valkey.client(), **options)) as there,
    ):
        mine, other = one.breaker("graph", failure_threshold=2), two.breaker("graph")
        fail(mine)
        until(lambda: other.state is CircuitState.OPEN)
    threads = here._threads + there._threads
    until(lambda: not any(each.is_alive() for each in threads))
    mine.reset()
    fail(mine)
    assert mine.state is CircuitState.OPEN


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"namespace": ""}, "namespace is ''"),
        ({"quorum": 0}, "quorum is 0"),
        ({"poll": 0}, "poll is 0"),
        ({"client": "redis"}, "client is 'redis'"),
    ],
)
def test_nonsense_is_refused(arguments: dict[str, Any], named: str) -> None:
    client = redis.Redis(port=1)
    with pytest.raises(ConfigError, match=named):
        share([], **({"client": client, "namespace": "x"} | arguments))
