"""Breakers by name: what they work by, how many there are, and what the site decides."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakers.runtime.circuit_state import CircuitState
from breakers.runtime.defaults import CIRCUIT_BREAKER_CONFIG, boundary_settings, breaker_policy
from breakers.runtime.registry import BreakerRegistry
from breakers.runtime.testing import FakeClock as Clock
from breakers.runtime.variables import ClientVariables, ConfigError
from tests.runtime.own_lines import own_records
from tests.test_circuit_breaker import attempt


def registry(**environment: str) -> BreakerRegistry:
    return BreakerRegistry(ClientVariables(environment))


def test_the_dictionary_s_entries_are_the_defaults() -> None:
    made = registry()
    for name, entry in CIRCUIT_BREAKER_CONFIG.items():
        policy = made.breaker(name).policy
        assert policy.failure_threshold == entry["failure_threshold"]
        assert policy.timeout == entry["timeout_seconds"]
        assert policy.permitted_calls_in_half_open_state == entry["half_open_max_calls"]
    other = made.breaker("anything").policy
    assert (other.failure_threshold, other.timeout) == (5, 60)
    assert other.permitted_calls_in_half_open_state == 3


@given(
    argument=st.none() | st.just(1),
    document=st.none() | st.just(2),
    specific=st.none() | st.just(3),
    general=st.none() | st.just(4),
    name=st.sampled_from(["microsoft_graph", "redis", "database", "other"]),
)
def test_the_stronger_says_what_counts(
    argument: int | None, document: int | None, specific: int | None, general: int | None, name: str
) -> None:
    prefix = {"microsoft_graph": "GRAPH_API", "redis": "REDIS", "database": "DATABASE"}.get(name)
    environment = {}
    if specific and prefix:
        environment[f"{prefix}_FAILURE_THRESHOLD"] = str(specific)
    if general:
        environment["CIRCUIT_BREAKER_FAILURE_THRESHOLD"] = str(general)
    policy = breaker_policy(
        name,
        ClientVariables(environment),
        document={"failure_threshold": document} if document else {},
        arguments={"failure_threshold": argument} if argument else {},
    )
    entry = CIRCUIT_BREAKER_CONFIG.get(name, {"failure_threshold": 5})["failure_threshold"]
    specific = specific if prefix else None
    assert policy.failure_threshold == (argument or document or specific or general or entry)


def test_variables_switch_breakers_off() -> None:
    made = registry(CIRCUIT_BREAKER_ENABLED="false", REDIS_CIRCUIT_BREAKER_ENABLED="true")
    assert made.breaker("other").state is CircuitState.DISABLED
    assert made.breaker("database").state is CircuitState.DISABLED
    assert made.breaker("redis").state is CircuitState.CLOSED


def test_the_pool_of_critical_operations_has_a_variable() -> None:
    assert boundary_settings("critical_operations", ClientVariables({})) == (10, 50, 30)
    resized = ClientVariables({"CRITICAL_OPERATION_THREAD_POOL_SIZE": "4"})
    assert boundary_settings("critical_operations", resized) == (4, 50, 30)
    assert boundary_settings("user_operations", resized) == (20, 100, 60)
    assert boundary_settings("elsewhere", resized) is None


def test_one_name_is_one_breaker_in_all_threads() -> None:
    made = registry()
    together = threading.Barrier(8, timeout=30)

    def get(_: int) -> int:
        together.wait()
        return id(made.breaker("graph"))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(get, range(8)))) == 1


def test_other_settings_for_a_known_name_are_reported_and_not_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = registry()
    assert made.breaker("a", failure_threshold=2) is made.breaker("a", failure_threshold=9)
    made.breaker("a", failure_threshold=9)
    assert made.breaker("a").failure_threshold == 2
    assert caplog.text.count("keeps") == 1


def test_wrong_settings_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="timeout is -1"):
        registry().breaker("a", timeout=-1)


def test_keyed_breakers_are_bounded_and_those_in_use_stay() -> None:
    made = BreakerRegistry(ClientVariables({}), max_keyed=10)
    opened = made.keyed("graph", "opened")
    forced = made.keyed("graph", "forced")
    for _ in range(3):
        attempt(opened)
        attempt(made.keyed("microsoft_graph", "graph"))
    opened.adopt_open("test", 60)
    forced.force_closed()
    for tenant in range(1000):
        made.keyed("graph", tenant)
        assert len(made) <= 10
    assert made.keyed("graph", "opened") is opened
    assert made.keyed("graph", "forced") is forced
    assert made.keyed("graph", 999).name == "graph[999]"
    assert made.keyed("graph", 999).policy == made.breaker("graph").policy


def test_where_all_are_in_use_the_bound_gives_way(caplog: pytest.LogCaptureFixture) -> None:
    made = BreakerRegistry(ClientVariables({}), max_keyed=5)
    for tenant in range(20):
        made.keyed("graph", tenant).force_open()
    assert len(made) == 20
    assert "in use" in caplog.text


def test_a_control_document_steers_breakers_that_exist_and_those_to_come() -> None:
    clock = Clock()
    made = BreakerRegistry(ClientVariables({}), clock=clock)
    early, keyed = made.breaker("graph"), made.keyed("graph", 1)
    made.apply(
        {
            "breakers": {
                "graph": {"override": {"state": "forced_open", "reason": "maintenance"}},
                "late": {"policy": {"failure_threshold": 9, "timeout": 7}},
            }
        }
    )
    assert early.state is CircuitState.FORCED_OPEN
    assert keyed.state is CircuitState.FORCED_OPEN
    late = made.breaker("late")
    assert (late.failure_threshold, late.timeout) == (9, 7)
    made.apply({"breakers": {}})
    assert early.state is CircuitState.CLOSED
    assert keyed.state is CircuitState.CLOSED
    assert late.failure_threshold == 5


def test_a_document_that_says_nothing_of_a_breaker_leaves_its_state() -> None:
    made = registry()
    breaker = made.breaker("graph")
    breaker.adopt_open("test", 60)
    made.apply({"breakers": {"other": {"override": {"state": "disabled"}}}})
    assert breaker.state is CircuitState.OPEN


@pytest.mark.parametrize(
    "entry",
    [
        {"override": {"state": "ajar"}},
        {"override": "forced_open"},
        {"override": {"reason": "no state"}},
        {"policy": {"failure_threshold": -3}},
        {"policy": {"colour": "red"}},
        {"policy": ["nothing"]},
        "nonsense",
    ],
)
def test_what_the_library_does_not_know_is_reported_and_ignored(
    entry: object, caplog: pytest.LogCaptureFixture
) -> None:
    made = registry()
    breaker = made.breaker("graph")
    document = {"breakers": {"graph": entry, "db": {"override": {"state": "disabled"}}}}
    made.apply(document)
    made.apply(document)
    assert breaker.state is CircuitState.CLOSED
    assert breaker.failure_threshold == 5
    assert made.breaker("db").state is CircuitState.DISABLED
    if entry not in ("nonsense", {"policy": ["nothing"]}):
        told = [each.getMessage() for each in own_records(caplog)]
        assert len([each for each in told if "→" not in each]) == 1


def test_a_document_of_another_shape_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    registry().apply({"breakers": [1]})
    assert "no usable breakers" in caplog.text
