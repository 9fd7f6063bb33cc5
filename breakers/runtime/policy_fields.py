"""Policies as plain fields: what a breaker's settings are in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakers.runtime.circuit_state import BreakerPolicy
from breakers.runtime.variables import ConfigError

# What is code cannot be told: which exceptions and results count as failures.
_CODE = ("expected_exception", "ignored_exceptions", "record_result")
POLICY_FIELDS = tuple(name for name in BreakerPolicy.__dataclass_fields__ if name not in _CODE)
MAX_WINDOW_CALLS = 100_000


def to_fields(policy: BreakerPolicy) -> dict[str, Any]:
    """The policy's settings but for those that are code."""
    return {name: getattr(policy, name) for name in POLICY_FIELDS}


def from_fields(fields: Mapping[str, Any]) -> BreakerPolicy:
    """The policy with these settings and the defaults of all others.

    Raises ValueError for a setting that is unknown or cannot work, and for windows of more than
    MAX_WINDOW_CALLS calls.
    """
    unknown = sorted(set(fields) - set(POLICY_FIELDS))
    if unknown:
        allowed = ", ".join(POLICY_FIELDS)
        raise ValueError(f"{unknown[0]!r} is no setting of a breaker; there are: {allowed}")
    try:
        policy = BreakerPolicy(**fields)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    if not is_bounded(policy):
        raise ValueError(f"a window holds at most {MAX_WINDOW_CALLS:,} calls")
    return policy


def is_bounded(policy: BreakerPolicy) -> bool:
    """Whether its windows are small enough to be told."""
    held = [policy.permitted_calls_in_half_open_state]
    if policy.sliding_window_type != "time":
        held.append(int(policy.sliding_window_size or 0))
    return max(held) <= MAX_WINDOW_CALLS
