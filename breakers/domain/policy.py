"""The settings of breakers and bulkheads that the site may tune."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from breakers.runtime.bulkhead_policy import BULKHEAD_SIZES, BulkheadPolicy
from breakers.runtime.circuit_state import BreakerPolicy
from breakers.runtime.policy_fields import POLICY_SIZES, check_bounds
from breakers.runtime.variables import ConfigError


class Setting(NamedTuple):
    """A field of a policy: its kind (count, size, seconds, rate, factor or choice), its unit and
    what people call it. An `optional` one may be None."""

    kind: str
    unit: str
    label: str
    optional: bool = False
    choices: tuple[str, ...] = ()


TUNABLE: dict[str, Setting] = {
    "failure_threshold": Setting("count", "failures in a row", "Failure threshold"),
    "timeout": Setting("seconds", "s", "Open for"),
    "sliding_window_type": Setting(
        "choice", "", "Window type", choices=("consecutive", "count", "time")
    ),
    "sliding_window_size": Setting("seconds", "calls or s", "Window size", optional=True),
    "minimum_number_of_calls": Setting("count", "calls", "Minimum number of calls"),
    "failure_rate_threshold": Setting("rate", "0..1", "Failure rate threshold"),
    "slow_call_duration_threshold": Setting("seconds", "s", "A call is slow from", optional=True),
    "slow_call_rate_threshold": Setting("rate", "0..1", "Slow call rate threshold"),
    "permitted_calls_in_half_open_state": Setting("count", "calls", "Probes when half-open"),
    "max_wait_duration_in_half_open_state": Setting(
        "seconds", "s", "Wait for probes", optional=True
    ),
    "timeout_multiplier": Setting("factor", "×", "Growth of the open time"),
    "max_timeout": Setting("seconds", "s", "Longest open time", optional=True),
    "timeout_jitter": Setting("share", "0..1", "Jitter of the open time"),
}


class Tunable(NamedTuple):
    """A kind of thing that can be tuned: its `settings`, those of them that count calls, and what
    judges them together: it raises ConfigError, or TypeError for a value of the wrong kind."""

    settings: Mapping[str, Setting]
    sizes: Collection[str]
    judge: Callable[..., object]


def _bulkhead(max_concurrent_calls: Any = 1, **more: Any) -> BulkheadPolicy:
    # How many calls it lets in of its own is not always told.
    return BulkheadPolicy(max_concurrent_calls, **more)


BREAKERS = Tunable(TUNABLE, POLICY_SIZES, BreakerPolicy)
BULKHEADS = Tunable(
    {
        "max_concurrent_calls": Setting("count", "calls", "Calls at once"),
        "max_queue": Setting("size", "calls", "Calls that may wait"),
        "max_wait": Setting("seconds", "s", "Longest wait", optional=True),
    },
    BULKHEAD_SIZES,
    _bulkhead,
)


class PolicyError(ValueError):
    """A setting that cannot work; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def checked(
    given: Mapping[str, Any], reported: Mapping[str, Any] | None, kind: Tunable = BREAKERS
) -> dict[str, Any]:
    """The settings as they can be sent, judged together with what it works by else.

    Raises `PolicyError` for an unknown field, or one whose value cannot work.
    """
    for field in given:
        if field not in kind.settings:
            allowed = ", ".join(kind.settings)
            raise PolicyError(field, f"{field!r} cannot be tuned; what can: {allowed}.")
    for field, value in given.items():
        _check_alone(field, value, kind.settings[field])
    base = {name: value for name, value in (reported or {}).items() if name in kind.settings}
    try:
        check_bounds(given, kind.sizes)
        kind.judge(**{**base, **given})
    except (ConfigError, TypeError) as error:
        raise PolicyError(_field_of(str(error), given), str(error)) from None
    return dict(given)


def _check_alone(field: str, value: Any, setting: Setting) -> None:
    if value is None:
        if not setting.optional:
            raise PolicyError(field, f"{setting.label} needs a value.")
        return
    if setting.choices:
        if value not in setting.choices:
            allowed = ", ".join(setting.choices)
            raise PolicyError(field, f"{setting.label} must be one of {allowed}.")
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PolicyError(field, f"{setting.label} must be a number, not {value!r}.")
    least = {"count": 1, "size": 0}.get(setting.kind)
    if least is None:
        return
    whole = isinstance(value, int) or value.is_integer()
    if not whole or value < least:
        raise PolicyError(field, f"{setting.label} must be a whole number of {least} or more.")


def _field_of(message: str, given: Mapping[str, Any]) -> str:
    return next((field for field in given if field in message), next(iter(given), ""))


def kept_by_service(reported: Mapping[str, Any] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that the site gives and the service does not follow: field → what it keeps.

    An argument in the service's own code is stronger than the site.
    """
    if reported is None:
        return {}
    return {
        field: reported[field]
        for field, value in given.items()
        if field in reported and reported[field] != value
    }
