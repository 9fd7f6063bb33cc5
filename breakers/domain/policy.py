"""The settings of a breaker that the site may tune."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from breakers.runtime.circuit_state import BreakerPolicy
from breakers.runtime.variables import ConfigError


class Setting(NamedTuple):
    """A field of `BreakerPolicy`: its kind (count, seconds, rate, factor or choice), its unit and
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


class PolicyError(ValueError):
    """A setting that cannot work; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def checked(given: Mapping[str, Any], reported: Mapping[str, Any] | None) -> dict[str, Any]:
    """The settings as they can be sent, judged together with what the breaker works by else.

    Raises `PolicyError` for an unknown field, or one whose value cannot work.
    """
    for field in given:
        if field not in TUNABLE:
            allowed = ", ".join(TUNABLE)
            raise PolicyError(field, f"{field!r} cannot be tuned; what can: {allowed}.")
    for field, value in given.items():
        _check_alone(field, value)
    base = {name: value for name, value in (reported or {}).items() if name in TUNABLE}
    try:
        BreakerPolicy(**{**base, **given})
    except (ConfigError, TypeError) as error:
        raise PolicyError(_field_of(str(error), given), str(error)) from None
    return dict(given)


def _check_alone(field: str, value: Any) -> None:
    setting = TUNABLE[field]
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
    if setting.kind == "count" and (value != int(value) or value < 1):
        raise PolicyError(field, f"{setting.label} must be a whole number of 1 or more.")


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
