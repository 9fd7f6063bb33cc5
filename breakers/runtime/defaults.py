"""What breakers, retries and bulkheads work by when their caller does not say.

The order, strongest first: the argument of a call, the site's control document, the variable for
that one dependency, the variable for all, the entry of the dictionaries below, and the default of
the variable. Only a variable that is set counts as one: a default never overrides a dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from breakers.runtime.circuit_state import BreakerPolicy
from breakers.runtime.errors import AuthenticationError, HTTPError, RateLimitError
from breakers.runtime.variables import ClientVariables

CIRCUIT_BREAKER_CONFIG: dict[str, dict[str, float]] = {
    "microsoft_graph": {"failure_threshold": 3, "timeout_seconds": 120, "half_open_max_calls": 2},
    "redis": {"failure_threshold": 5, "timeout_seconds": 30, "half_open_max_calls": 3},
    "database": {"failure_threshold": 3, "timeout_seconds": 60, "half_open_max_calls": 2},
}

RETRY_POLICIES: dict[str, dict[str, Any]] = {
    "transient_errors": {
        "max_attempts": 3,
        "base_delay_ms": 1000,
        "max_delay_ms": 10000,
        "exceptions": [ConnectionError, TimeoutError, HTTPError],
    },
    "rate_limiting": {
        "max_attempts": 5,
        "base_delay_ms": 2000,
        "max_delay_ms": 60000,
        "exceptions": [RateLimitError],
    },
    "authentication": {
        "max_attempts": 2,
        "base_delay_ms": 5000,
        "max_delay_ms": 15000,
        "exceptions": [AuthenticationError],
    },
}

ISOLATION_BOUNDARIES: dict[str, dict[str, int]] = {
    "critical_operations": {"thread_pool_size": 10, "queue_size": 50, "timeout_seconds": 30},
    "user_operations": {"thread_pool_size": 20, "queue_size": 100, "timeout_seconds": 60},
    "background_tasks": {"thread_pool_size": 5, "queue_size": 200, "timeout_seconds": 300},
}

# Dependencies with variables of their own.
_PREFIXES = {"microsoft_graph": "GRAPH_API", "redis": "REDIS", "database": "DATABASE"}


class UnsetInt(int):
    """A default argument that is told from the same number given by a caller, by its identity."""

    __slots__ = ()


class UnsetFloat(float):
    """The same for seconds."""

    __slots__ = ()


class _Setting(NamedTuple):
    """One setting of a breaker under its three names."""

    field: str
    entry: str
    suffix: str
    general: str


_SETTINGS = (
    _Setting(
        "failure_threshold",
        "failure_threshold",
        "FAILURE_THRESHOLD",
        "CIRCUIT_BREAKER_FAILURE_THRESHOLD",
    ),
    _Setting("timeout", "timeout_seconds", "TIMEOUT_SECONDS", "CIRCUIT_BREAKER_TIMEOUT_SECONDS"),
    _Setting(
        "permitted_calls_in_half_open_state",
        "half_open_max_calls",
        "HALF_OPEN_MAX_CALLS",
        "CIRCUIT_BREAKER_HALF_OPEN_MAX_CALLS",
    ),
)


def breaker_policy(
    name: str,
    variables: ClientVariables,
    *,
    document: Mapping[str, Any] | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> BreakerPolicy:
    """The policy of the breaker `name`; raises ConfigError for values that cannot work.

    `document` and `arguments` name fields of `BreakerPolicy`.
    """
    chosen: dict[str, Any] = {}
    entry = CIRCUIT_BREAKER_CONFIG.get(name, {})
    known = variables.variables()
    for setting in _SETTINGS:
        specific = f"{_PREFIXES[name]}_{setting.suffix}" if name in _PREFIXES else ""
        for variable in (specific, setting.general):
            if variable in known and variables.is_set(variable):
                chosen[setting.field] = variables.effective(variable).value
                break
        else:
            chosen[setting.field] = entry.get(
                setting.entry, variables.effective(setting.general).value
            )
    return replace(BreakerPolicy(), **(chosen | dict(document or {}) | dict(arguments or {})))


def breaker_enabled(name: str, variables: ClientVariables) -> bool:
    """Whether the breaker `name` guards calls; its own variable, if set, over that for all."""
    specific = f"{_PREFIXES[name]}_CIRCUIT_BREAKER_ENABLED" if name in _PREFIXES else ""
    if specific and variables.is_set(specific):
        return bool(variables.effective(specific).value)
    return variables.circuit_breaker_enabled


class BoundarySettings(NamedTuple):
    """Calls at once, calls that may wait, and the seconds after which a call counts as stuck."""

    size: int
    queue: int
    timeout: float


def boundary_settings(name: str, variables: ClientVariables) -> BoundarySettings | None:
    """The isolation boundary `name`, or None where no such boundary is known."""
    entry = ISOLATION_BOUNDARIES.get(name)
    if entry is None:
        return None
    size = entry["thread_pool_size"]
    if name == "critical_operations" and variables.is_set("CRITICAL_OPERATION_THREAD_POOL_SIZE"):
        size = variables.critical_operation_thread_pool_size
    return BoundarySettings(size, entry["queue_size"], float(entry["timeout_seconds"]))
