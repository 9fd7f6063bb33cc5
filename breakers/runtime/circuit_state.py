"""What a circuit breaker is told, what state it can be in, and what it says of itself."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from breakers.runtime.variables import ConfigError
from breakers.runtime.windows import ConsecutiveWindow, CountWindow, TimeWindow, Window

WindowType = Literal["consecutive", "count", "time"]
Exceptions = type[BaseException] | tuple[type[BaseException], ...]


class CircuitState(enum.Enum):
    """The three states of the pattern, and four that people and the site set by hand.

    FORCED_OPEN rejects every call; FORCED_CLOSED lets every call pass and counts it; DISABLED lets
    every call pass and counts nothing; METRICS_ONLY counts, reports once when a rate exceeds its
    threshold, and lets every call pass.
    """

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    FORCED_CLOSED = "forced_closed"
    DISABLED = "disabled"
    METRICS_ONLY = "metrics_only"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """The settings of a breaker: durations in seconds, rates in 0..1.

    `sliding_window_size` is a number of calls for the type "count", seconds for "time", and unused
    for "consecutive". Rates are compared by `>=`, from `minimum_number_of_calls` calls on. A
    failure is an `expected_exception`, unless it is one of `ignored_exceptions`, or a result for
    which `record_result` says so; another exception is an answer, and counts as a success.

    After an open time without success the next one is `timeout_multiplier` times as long, up to
    `max_timeout`, and each is off by up to the share `timeout_jitter` of it.
    """

    failure_threshold: int = 5
    timeout: float = 60.0
    expected_exception: Exceptions = Exception
    sliding_window_type: WindowType = "consecutive"
    sliding_window_size: float | None = None
    minimum_number_of_calls: int = 10
    failure_rate_threshold: float = 0.5
    slow_call_duration_threshold: float | None = None
    slow_call_rate_threshold: float = 1.0
    permitted_calls_in_half_open_state: int = 3
    max_wait_duration_in_half_open_state: float | None = None
    ignored_exceptions: Exceptions | Callable[[Exception], bool] = ()
    record_result: Callable[[Any], bool] | None = None
    timeout_multiplier: float = 1.0
    max_timeout: float | None = None
    timeout_jitter: float = 0.0

    def __post_init__(self) -> None:
        _check_exceptions("expected_exception", self.expected_exception, empty=False)
        if not callable(self.ignored_exceptions):
            _check_exceptions("ignored_exceptions", self.ignored_exceptions, empty=True)
        if self.sliding_window_type not in ("consecutive", "count", "time"):
            _refuse("sliding_window_type", self.sliding_window_type, "consecutive, count or time")
        for name in ("failure_threshold", "permitted_calls_in_half_open_state",
                     "minimum_number_of_calls"):  # fmt: skip
            _check_count(name, getattr(self, name))
        for name in ("failure_rate_threshold", "slow_call_rate_threshold"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 < value <= 1:
                _refuse(name, value, "a number above 0, at most 1")
        for name in ("timeout", "slow_call_duration_threshold", "max_timeout",
                     "max_wait_duration_in_half_open_state"):  # fmt: skip
            value = getattr(self, name)
            if (value is not None or name == "timeout") and (not _is_number(value) or value <= 0):
                _refuse(name, value, "a number of seconds above 0")
        if not _is_number(self.timeout_multiplier) or self.timeout_multiplier < 1:
            _refuse("timeout_multiplier", self.timeout_multiplier, "a number of 1 or more")
        if not _is_number(self.timeout_jitter) or not 0 <= self.timeout_jitter < 1:
            _refuse("timeout_jitter", self.timeout_jitter, "a number from 0, below 1")
        if self.record_result is not None and not callable(self.record_result):
            _refuse("record_result", self.record_result, "a function of the result")
        self.window()

    def window(self) -> Window:
        """An empty window of this kind."""
        size = self.sliding_window_size
        if self.sliding_window_type == "consecutive":
            return ConsecutiveWindow()
        if self.sliding_window_type == "time":
            seconds = 60.0 if size is None else size
            if not _is_number(seconds) or seconds <= 0:
                _refuse("sliding_window_size", size, "a number of seconds above 0")
            return TimeWindow(seconds)
        count = 100 if size is None else size
        _check_count("sliding_window_size", count)
        if self.minimum_number_of_calls > count:
            _refuse(
                "minimum_number_of_calls", self.minimum_number_of_calls,
                f"at most the {count} calls of the window",
            )  # fmt: skip
        return CountWindow(int(count))


class BreakerEvent(NamedTuple):
    """A transition, or in the state METRICS_ONLY a rate that is exceeded (both states the same).

    `at` is the reading of the breaker's clock.
    """

    name: str
    from_state: CircuitState
    to_state: CircuitState
    reason: str
    failure_rate: float | None
    slow_call_rate: float | None
    calls: int
    at: float


class BreakerSnapshot(NamedTuple):
    """A breaker at one moment; rates are None below the minimum number of calls."""

    name: str
    state: CircuitState
    failure_rate: float | None
    slow_call_rate: float | None
    calls: int
    failed_calls: int
    slow_calls: int
    not_permitted_calls: int
    retry_after: float | None
    last_failure: str


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        _refuse(name, value, "a whole number of 1 or more")


def _check_exceptions(name: str, value: object, *, empty: bool) -> None:
    classes = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(c, type) and issubclass(c, BaseException) for c in classes) or not (
        classes or empty
    ):
        _refuse(name, value, "an exception class or a tuple of them")


def _refuse(name: str, value: object, allowed: str) -> None:
    raise ConfigError(f"{name} is {value!r}, but has to be {allowed}")
