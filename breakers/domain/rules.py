"""A policy in words: what opens a breaker, and what closes it again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from breakers.runtime.circuit_state import COUNT_WINDOW_CALLS, TIME_WINDOW_SECONDS


def opening_rules(policy: Mapping[str, Any] | None) -> list[str]:
    """What opens the breaker, one sentence for each rule; empty for an unknown policy.

    Anybody may report a policy: what is no number counts as not told.
    """
    if not policy:
        return []
    kind = policy.get("sliding_window_type", "consecutive")
    least = _number(policy, "minimum_number_of_calls", 10)
    window = _window(kind, policy)
    rules = []
    if kind == "consecutive":
        count = _number(policy, "failure_threshold", 5)
        rules.append(f"{count:g} failure{'s'[: count != 1]} in a row")
    else:
        share = _share(_number(policy, "failure_rate_threshold", 0.5))
        rules.append(f"{share} or more of {window} fail, from {least:g} calls on")
    slow = _number(policy, "slow_call_duration_threshold", 0)
    if slow:
        share = _share(_number(policy, "slow_call_rate_threshold", 1))
        rules.append(
            f"{share} or more of {window} take {slow:g} s or longer, from {least:g} calls on"
        )
    return rules


def closing_rule(policy: Mapping[str, Any] | None) -> str:
    """What happens after it opened; empty for an unknown policy."""
    if not policy:
        return ""
    probes = _number(policy, "permitted_calls_in_half_open_state", 3)
    calls = "one call is" if probes == 1 else f"{probes:g} calls are"
    text = f"after {_number(policy, 'timeout', 60):g} s {calls} let through as probes"
    factor = _number(policy, "timeout_multiplier", 1)
    if factor > 1:
        longest = _number(policy, "max_timeout", 0)
        most = f", up to {longest:g} s" if longest else ""
        text += f"; if they fail, the wait grows {factor:g} times{most}"
    return text


def _window(kind: object, policy: Mapping[str, Any]) -> str:
    if kind == "time":
        seconds = _number(policy, "sliding_window_size", TIME_WINDOW_SECONDS)
        return f"the calls of the last {seconds:g} s"
    return f"the last {_number(policy, 'sliding_window_size', COUNT_WINDOW_CALLS):g} calls"


def _number(policy: Mapping[str, Any], field: str, otherwise: float) -> float:
    value = policy.get(field)
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if known and math.isfinite(value) else otherwise  # type: ignore[arg-type]


def _share(rate: float) -> str:
    return f"{rate * 100:.3g} %"
