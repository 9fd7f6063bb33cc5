"""Documents of every shape: none raises, and none does more than it asks for."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from breakers.runtime.circuit_state import CircuitState
from breakers.runtime.resilience import Resilience
from breakers.runtime.testing import FakeClock as Clock
from breakers.runtime.variables import ClientVariables
from tests.runtime.desk import document
from tests.runtime.steering import override, told_of
from tests.test_circuit_breaker import attempt

NAMES = st.sampled_from(
    ["graph", "db", "write", "planner", "eu", "level", "mail", "user_operations"]
)
FIELDS = st.sampled_from(
    [
        "override",
        "policy",
        "state",
        "reason",
        "expires_in",
        "expires_at",
        "actor",
        "value",
        "otherwise",
        "rollout",
        "level",
        "notice",
        "id",
        "action",
        "parameters",
        "breaker",
        "timeout",
        "sliding_window_size",
        "sliding_window_type",
        "failure_threshold",
        "max_concurrent_calls",
        "max_queue",
        "max_wait",
        "forced_open",
        "disabled",
        "reset_breaker",
        "reduced",
    ]
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | NAMES | FIELDS
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | FIELDS, inner, max_size=4),
    max_leaves=8,
)
SECTIONS = st.sampled_from(
    [
        "breakers",
        "bulkheads",
        "toggles",
        "degraded",
        "isolated",
        "commands",
        "version",
        "service",
        "else",
    ]
)


@given(
    documents=st.lists(
        st.dictionaries(SECTIONS, JSON | st.dictionaries(NAMES, JSON, max_size=3)), max_size=4
    ),
    steps=st.lists(st.floats(0, 100), max_size=4),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_json_raises_or_touches_what_it_does_not_name(
    documents: list[dict[str, Any]], steps: list[float]
) -> None:
    clock = Clock()
    resilience = Resilience(ClientVariables({}), clock=clock)
    named, other = resilience.breaker("graph"), resilience.breaker("untouched")
    resilience.bulkheads.failure_domain("eu", [resilience.breaker("mail")])
    attempt(other)
    policy = other.policy
    pool = resilience.bulkhead("user_operations")
    reports = resilience.bulkhead("background_tasks").snapshot()
    for served, step in zip(documents, steps + [0.0] * 4, strict=False):
        resilience.apply(served)
        clock.advance(step)
        resilience.expire()
        asked = {
            str(entry["override"]["state"])
            for entry in [_entry(served, "graph")]
            if isinstance(entry.get("override"), dict) and "state" in entry["override"]
        }
        if named.state is not CircuitState.CLOSED and len(documents) == 1:
            assert named.state.value in asked
    for breaker in resilience.breakers:
        attempt(breaker)
        breaker.snapshot()
    assert other.failure_count == 2
    assert other.state is CircuitState.CLOSED
    assert other.policy == policy
    assert pool.call_sync(lambda: "answer") == "answer"
    assert resilience.bulkhead("background_tasks").snapshot() == reports


def _entry(served: dict[str, Any], name: str) -> dict[str, Any]:
    entries = served.get("breakers")
    entry = entries.get(name) if isinstance(entries, dict) else None
    return entry if isinstance(entry, dict) else {}


STATES = st.sampled_from(["forced_open", "forced_closed", "disabled", "metrics_only", "auto", None])


@given(steps=st.lists(st.tuples(STATES, st.sampled_from([None, 1.0, 5.0]), st.booleans())))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_breaker_is_what_the_newest_document_says(
    steps: list[tuple[str | None, float | None, bool]],
) -> None:
    clock = Clock()
    resilience = Resilience(ClientVariables({}), clock=clock)
    breaker = resilience.breaker("graph")
    told = told_of(breaker)
    expected, until = "closed", None
    for number, (state, seconds, late) in enumerate(steps):
        entry = {"graph": override(state, seconds, expires_at=number)} if state else {}
        resilience.apply(document(breakers=entry))
        expected = state if state not in (None, "auto") else "closed"
        until = clock.now + seconds if seconds and expected != "closed" else None
        assert breaker.state.value == expected
        before = len(told)
        resilience.apply(document(breakers=entry))
        clock.advance(2 if late else 0.5)
        if until is not None and clock.now >= until:
            expected = "closed"
        resilience.expire()
        resilience.expire()
        assert breaker.state.value == expected
        assert len(told) - before == (until is not None and clock.now >= until)
