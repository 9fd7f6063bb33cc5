"""What a process makes of a control document: by a clock of its own, without any site."""

from __future__ import annotations

import logging
import threading

import pytest

from breakers.runtime import events
from breakers.runtime.circuit_state import CircuitState
from breakers.runtime.degradation import DegradationLevel
from breakers.runtime.resilience import Resilience
from breakers.runtime.testing import FakeClock as Clock
from breakers.runtime.variables import ClientVariables
from tests.patience import PATIENCE
from tests.runtime.desk import document
from tests.runtime.own_lines import own_records
from tests.runtime.steering import override, states, told_of
from tests.test_circuit_breaker import attempt


@pytest.fixture
def resilience(clock: Clock) -> Resilience:
    return Resilience(ClientVariables({}), clock=clock)


# --- Overrides


def test_an_override_ends_by_itself_once(resilience: Resilience, clock: Clock) -> None:
    breaker = resilience.breaker("graph")
    told = told_of(breaker)
    resilience.apply(document(breakers={"graph": override("forced_open", 10)}))
    assert resilience.expire() == 10
    clock.advance(9)
    assert resilience.expire() == 1
    assert breaker.state is CircuitState.FORCED_OPEN
    clock.advance(1)
    assert resilience.expire() is None
    assert breaker.state is CircuitState.CLOSED
    attempt(breaker)
    resilience.expire()
    resilience.apply(document())
    assert breaker.failure_count == 1  # nothing was reset a second time
    assert [(each.to_state.value, each.reason) for each in told] == [
        ("forced_open", "drill"),
        ("closed", "the site's override expired"),
    ]


def test_an_override_that_is_served_again_restarts_nothing(
    resilience: Resilience, clock: Clock
) -> None:
    breaker = resilience.breaker("graph", failure_threshold=100)
    told = told_of(breaker)
    resilience.apply(document(breakers={"graph": override("metrics_only", 10)}))
    attempt(breaker)
    clock.advance(4)
    # It took two seconds longer to arrive this time, and still ends when it was to end.
    again = override("metrics_only", 8, expires_at="in 10 s")
    resilience.apply(document(breakers={"graph": again}))
    assert breaker.failure_count == 1
    assert resilience.expire() == 6
    clock.advance(6)
    resilience.expire()
    assert states(told) == ["metrics_only", "closed"]


def test_an_override_that_ended_here_does_not_begin_again(
    resilience: Resilience, clock: Clock
) -> None:
    breaker = resilience.breaker("graph")
    told = told_of(breaker)
    resilience.apply(document(breakers={"graph": override("forced_open", 10)}))
    clock.advance(10)
    resilience.expire()
    late = override("forced_open", 0.2, expires_at="in 10 s")
    resilience.apply(document(breakers={"graph": late}))
    assert states(told) == ["forced_open", "closed"]
    extended = override("forced_open", 60)
    resilience.apply(document(breakers={"graph": extended}))
    assert states(told) == ["forced_open", "closed", "forced_open"]


def test_a_breaker_that_is_made_later_is_overridden_until_the_same_moment(
    resilience: Resilience, clock: Clock
) -> None:
    decided = {"graph": override("forced_open", 10), "db": override("disabled", 5)}
    resilience.apply(document(breakers=decided))
    clock.advance(5)
    assert resilience.breaker("db").state is CircuitState.CLOSED
    breaker = resilience.breaker("graph")
    keyed = resilience.breakers.keyed("graph", "tenant")
    assert breaker.state is keyed.state is CircuitState.FORCED_OPEN
    clock.advance(5)
    resilience.expire()
    assert breaker.state is keyed.state is CircuitState.CLOSED
    assert resilience.breaker("late").state is CircuitState.CLOSED


def test_a_breaker_that_its_variable_switches_off_is_off_again(clock: Clock) -> None:
    off = ClientVariables({"CIRCUIT_BREAKER_ENABLED": "false"})
    resilience = Resilience(off, clock=clock)
    breaker = resilience.breaker("graph")
    resilience.apply(document(breakers={"graph": override("forced_open", 1)}))
    assert breaker.state is CircuitState.FORCED_OPEN
    clock.advance(1)
    resilience.expire()
    assert breaker.state is CircuitState.DISABLED


def test_a_real_clock_needs_nobody_to_look() -> None:
    resilience = Resilience(ClientVariables({}))
    breaker = resilience.breaker("graph")
    ended = threading.Event()
    breaker.on_event(lambda event: ended.set() if event.to_state is CircuitState.CLOSED else None)
    for state, seconds in (("forced_open", 60), ("forced_closed", 0.2)):
        resilience.apply(document(breakers={"graph": override(state, seconds)}))
    assert ended.wait(PATIENCE)
    thread = resilience._expiries._thread
    if thread is not None:
        thread.join(PATIENCE)
        assert not thread.is_alive()  # nothing ends any more


# --- Toggles and degraded modes


def test_toggles_and_levels_end_by_themselves_once(resilience: Resilience, clock: Clock) -> None:
    changes: list[list[str]] = []
    levels: list[object] = []
    resilience.toggles.on_change(changes.append)
    stop = events.subscribe(
        lambda event: levels.append(event.attributes) if "degraded" in event.name else None
    )
    until = {"expires_at": "soon", "expires_in": 10}
    served = document(
        toggles={"write": {"value": False, **until}},
        degraded={"planner": {"level": "reduced", "notice": "Old plans.", **until}},
    )
    try:
        resilience.apply(served)
        resilience.apply(served)
        assert not resilience.toggles.is_on("write", True)
        assert resilience.degradation.notices() == {"planner": "Old plans."}
        clock.advance(10)
        assert resilience.expire() is None
        assert resilience.toggles.is_on("write", True)
        assert resilience.degradation.level("planner") is DegradationLevel.NORMAL
        resilience.apply(served)  # it was on its way when they ended
        resilience.apply(document())
        assert changes == [["write"], ["write"]]
        assert [level["resilience.degraded.level"] for level in levels] == ["reduced", "normal"]  # type: ignore[index]
    finally:
        stop()


def test_what_the_program_sets_after_an_end_is_its_own(
    resilience: Resilience, clock: Clock
) -> None:
    until = {"expires_in": 1}
    resilience.apply(
        document(
            toggles={"write": {"value": False, **until}},
            degraded={"planner": {"level": "reduced", **until}},
        )
    )
    clock.advance(1)
    resilience.expire()
    resilience.toggles.set("write", "own")
    resilience.degradation.set("planner", DegradationLevel.ESSENTIAL)
    resilience.apply(document())
    assert resilience.toggles.value("write") == "own"
    assert resilience.degradation.level("planner") is DegradationLevel.ESSENTIAL


def test_a_decision_that_is_served_as_over_ends(resilience: Resilience) -> None:
    for until in ({}, {"expires_in": 0}):
        resilience.apply(
            document(
                toggles={"write": {"value": False, **until}},
                degraded={"planner": {"level": "offline", **until}},
                isolated={"eu": {**until}},
                breakers={"graph": {"override": {"state": "forced_open", **until}}},
            )
        )
    assert resilience.toggles.keys() == []
    assert resilience.degradation.notices() == {}
    assert resilience.breaker("graph").state is CircuitState.CLOSED


# --- Isolated domains


def test_a_domain_is_isolated_and_released(resilience: Resilience, clock: Clock) -> None:
    breaker = resilience.breaker("graph")
    pool = resilience.bulkhead("user_operations")
    domain = resilience.bulkheads.failure_domain("eu", [breaker, pool])
    domain.isolate("the program's own reason")
    served = {"eu": {"reason": "flood", "expires_at": "x", "expires_in": 5}}
    resilience.apply(document(isolated=served))
    resilience.apply(document(isolated=served))
    assert domain.reasons == ("the program's own reason", "the site: flood")
    domain.release("the program's own reason")
    assert breaker.state is CircuitState.FORCED_OPEN
    assert pool.isolated
    clock.advance(5)
    resilience.expire()
    assert breaker.state is CircuitState.CLOSED
    assert not pool.isolated
    domain.isolate("the program's own reason")
    resilience.apply(document())
    assert domain.reasons == ("the program's own reason",)


def test_another_reason_leaves_no_gap(resilience: Resilience) -> None:
    breaker = resilience.breaker("graph")
    told = told_of(breaker)
    resilience.bulkheads.failure_domain("eu", [breaker])
    for reason in ("flood", "fire"):
        resilience.apply(document(isolated={"eu": {"reason": reason}}))
    assert states(told) == ["forced_open"]
    resilience.apply(document())
    assert states(told) == ["forced_open", "closed"]


def test_a_domain_that_is_declared_later_is_isolated_when_it_appears(
    resilience: Resilience, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    served = {"eu": {"reason": "flood"}, "us": {"reason": "fire", "expires_in": 1}}
    for _ in range(3):
        resilience.apply(document(isolated=served))
    assert caplog.text.count("'eu', which is not known here") == 1
    clock.advance(1)
    resilience.expire()
    breaker, other = resilience.breaker("graph"), resilience.breaker("mail")
    resilience.bulkheads.failure_domain("eu", [breaker])
    resilience.bulkheads.failure_domain("us", [other])
    assert breaker.state is CircuitState.FORCED_OPEN
    assert other.state is CircuitState.CLOSED


@pytest.mark.parametrize("first", ["override", "isolated"])
@pytest.mark.parametrize("state", ["forced_open", "forced_closed"])
@pytest.mark.parametrize("ends_first", ["override", "isolated"])
def test_an_override_is_above_its_domain_and_neither_ends_the_other(
    resilience: Resilience, clock: Clock, first: str, state: str, ends_first: str
) -> None:
    breaker = resilience.breaker("graph")
    resilience.bulkheads.failure_domain("eu", [breaker])
    told = told_of(breaker)
    ends = {"override": 10.0, "isolated": 10.0} | {ends_first: 5.0}
    whole = document(
        breakers={"graph": override(state, ends["override"])},
        isolated={"eu": {"reason": "flood", "expires_at": "x", "expires_in": ends["isolated"]}},
    )
    section = "breakers" if first == "override" else "isolated"
    resilience.apply(document(**{section: whole[section]}))
    resilience.apply(whole)
    resilience.apply(whole)
    assert breaker.state.value == state
    clock.advance(5)
    resilience.expire()
    assert breaker.state.value == ("forced_open" if ends_first == "override" else state)
    clock.advance(5)
    resilience.expire()
    resilience.apply(document())
    assert breaker.state is CircuitState.CLOSED
    assert len(told) <= 4
    assert states(told).count("closed") == 1
    if state == "forced_open":
        assert states(told) == ["forced_open", "closed"]


def test_a_member_of_two_domains_is_let_go_with_the_last(resilience: Resilience) -> None:
    breaker, pool = resilience.breaker("graph"), resilience.bulkhead("user_operations")
    for name in ("eu", "graph-eu"):
        resilience.bulkheads.failure_domain(name, [breaker, pool])
    told = told_of(breaker)
    resilience.apply(document(isolated={"eu": {}, "graph-eu": {}}))
    resilience.apply(document(isolated={"graph-eu": {}}))
    assert breaker.state is CircuitState.FORCED_OPEN
    assert pool.isolated
    resilience.apply(document())
    assert states(told) == ["forced_open", "closed"]
    assert not pool.isolated


# --- What nobody knows


def test_what_is_unknown_is_reported_once(
    resilience: Resilience, caplog: pytest.LogCaptureFixture
) -> None:
    breaker = resilience.breaker("graph")
    for round_ in range(3):
        resilience.apply(
            document(
                weather={"sunny": round_},
                breakers={"graph": override("forced_open", colour="red") | {"owner": "ana"}},
                toggles={"write": {"value": True, "owner": "ana"}},
                degraded={"planner": {"level": "reduced", "since": 1}, "mail": {"level": "so-so"}},
                isolated={"eu": 5},
                commands=[{"id": 7}],
            )
        )
    assert breaker.state is CircuitState.FORCED_OPEN
    assert resilience.toggles.is_on("write")
    assert resilience.degradation.level("planner") is DegradationLevel.REDUCED
    warnings = [
        each.getMessage()
        for each in own_records(caplog)
        if each.levelno == logging.WARNING and "runs at the level" not in each.getMessage()
    ]
    assert len(warnings) == 8
    for part in ("'weather'", "'owner'", "'colour'", "'since'", "'so-so'", "'eu'", "{'id': 7}"):
        assert part in "\n".join(warnings)


@pytest.mark.parametrize("left", [-1, "soon", True, float("inf"), 10**400, [1]])
def test_a_decision_whose_end_is_no_time_has_no_effect(
    resilience: Resilience, left: object, caplog: pytest.LogCaptureFixture
) -> None:
    resilience.bulkheads.failure_domain("eu", [resilience.breaker("mail")])
    until = {"expires_in": left}
    resilience.apply(
        document(
            breakers={"graph": {"override": {"state": "forced_open", **until}}},
            isolated={"eu": until},
            toggles={"write": {"value": True, **until}},
            degraded={"planner": {"level": "offline", **until}},
        )
    )
    assert {each.state for each in resilience.breakers} == {CircuitState.CLOSED}
    assert resilience.breaker("graph").state is CircuitState.CLOSED
    assert resilience.toggles.keys() == []
    assert resilience.degradation.notices() == {}
    assert caplog.text.count("expires_in is") == 4


def test_no_policy_takes_memory_or_breaks_arithmetic(
    resilience: Resilience, caplog: pytest.LogCaptureFixture
) -> None:
    breaker = resilience.breaker("graph")
    before = breaker.policy
    for policy in (
        {"sliding_window_type": "count", "sliding_window_size": 10**12},
        {"permitted_calls_in_half_open_state": 10**12},
        {"timeout": 10**308, "timeout_multiplier": 2},
        {"timeout": 10**400},
    ):
        resilience.apply(document(breakers={"graph": {"policy": policy}}))
        assert breaker.policy == before
    assert all(len(each.getMessage()) < 600 for each in caplog.records)
