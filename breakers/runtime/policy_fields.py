"""Policies as plain fields: what the settings of a breaker are in JSON, and what the site gives."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from breakers.runtime import checks
from breakers.runtime.circuit_state import BreakerPolicy
from breakers.runtime.reports import Reports
from breakers.runtime.variables import ConfigError

# What is code cannot be told: which exceptions and results count as failures.
_CODE = ("expected_exception", "ignored_exceptions", "record_result")
POLICY_FIELDS = tuple(name for name in BreakerPolicy.__dataclass_fields__ if name not in _CODE)
POLICY_SIZES = ("sliding_window_size", "permitted_calls_in_half_open_state")
MAX_WINDOW_CALLS = 100_000
# A window has a byte for each call, and no wait is longer than thirty years.
_MOST_CALLS, _LARGEST = 1_000_000, 1e9


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


def document_fields(
    entry: object,
    kind: str,
    name: str,
    allowed: Collection[str],
    sizes: Collection[str],
    reports: Reports,
) -> dict[str, Any]:
    """The `policy` in a control document's entry of the breaker or bulkhead `name`.

    Fields that are not `allowed` are reported and left out; `sizes` are those that count calls.
    Raises ConfigError for a number that is larger than anything can be.
    """
    given = entry.get("policy") if isinstance(entry, Mapping) else None
    given = given if isinstance(given, Mapping) else {}
    for field in sorted(set(given) - set(allowed)):
        reports.once(f"field {field}", f"The site sets the unknown %r of {kind} %r", field, name)
    known = {field: value for field, value in given.items() if field in allowed}
    check_bounds(known, sizes)
    return known


def check_bounds(given: Mapping[str, Any], sizes: Collection[str]) -> None:
    """Raise ConfigError for a number that is larger than anything can be; `sizes` count calls."""
    for field, value in given.items():
        most = _MOST_CALLS if field in sizes else _LARGEST
        if isinstance(value, int | float) and value > most:
            checks.refuse(field, value, f"at most {most:,.0f}")
