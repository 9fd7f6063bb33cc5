"""Reading `resilience.*` telemetry: whatever is sent, what is read can be stored."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakers.domain import signals

values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["open", "closed", "forced_open", "0", "-1", "1e999", "NaN", "\0", "\ud800"])
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
)
keys = st.sampled_from(
    [
        *(f"resilience.breaker.{name}" for name in (
            "name", "from_state", "to_state", "reason", "failure_rate", "calls", "count",
            "retry_after", "policy", "domains", "batch",
        )),
        "resilience.dependency",
        *(f"resilience.retry.{name}" for name in ("outcome", "classification", "delay_ms")),
        *(f"resilience.fallback.{name}" for name in ("source", "age_seconds")),
        *(f"resilience.bulkhead.{name}" for name in (
            "name", "tier", "reason", "count", "kind", "mitigation",
        )),
        "resilience.command.id", "resilience.healing.outcome", "resilience.healing.output",
    ]
)  # fmt: skip
READERS: list[Callable[[Any], Any]] = [
    signals.transition,
    signals.rejected,
    signals.attempt,
    signals.served,
    signals.turned,
    signals.breach,
    signals.configured,
    signals.outcomes,
    signals.reported,
]


def storable(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" not in value and value == value.encode("utf-8", "strict").decode()
    if isinstance(value, float):
        return math.isfinite(value) and value >= 0
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int):
        return 0 <= value < 2**31
    return True


@given(st.dictionaries(keys, values))
def test_what_is_read_of_anything_can_be_stored(attributes: dict[str, Any]) -> None:
    for read in READERS:
        found = read(attributes)
        if isinstance(found, tuple):
            assert all(storable(each) for each in found), (read.__name__, found)


@pytest.mark.parametrize(
    ("value", "read"),
    [(3, 3), ("3", 3), (3.9, 3), (-1, None), (True, None), ("many", None), (2**40, None)],
)
def test_counts_are_whole_and_bounded(value: Any, read: int | None) -> None:
    assert signals.count(value) == read


def test_of_a_policy_only_what_a_setting_can_be_is_read() -> None:
    def configured(policy: str) -> Any:
        return signals.configured(
            {"resilience.breaker.name": "graph", "resilience.breaker.policy": policy}
        )

    assert configured('{"timeout": NaN}') is None
    assert configured("[" * 5_000) is None
    assert configured('["timeout"]') is None
    odd = '{"timeout": 5, "a": "\\u0000", "b": "\\ud800", "c": {"d": 1}, "e": 1' + "0" * 40 + "}"
    assert configured(odd).policy == {"timeout": 5}
