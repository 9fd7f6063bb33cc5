"""What a circuit breaker is told, what state it can be in, and what it says of itself."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from breakers.runtime import checks
from breakers.runtime.windows import CountWindow, TimeWindow, Window

WindowType = Literal["consecutive", "count", "time"]
COUNT_WINDOW_CALLS = 100
TIME_WINDOW_SECONDS = 60.0
_OPTIONAL_SECONDS = (
    "slow_call_duration_threshold",
    "max_wait_duration_in_half_open_state",
    "max_timeout",
)

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

    The type "consecutive" opens after `failure_threshold` failures in a row; "count" and "time" by
    the share of failures among the last `sliding_window_size` calls (100), or of as many seconds
    (60). Slow calls open all three by their share. Shares count from `minimum_number_of_calls`
    calls on, and are compared by `>=`.

    A failure is an `expected_exception`, unless it is one of `ignored_exceptions` (both may also be
    predicates of an exception), or a result for which `record_result` says so; another exception is an answer, and counts as a success.

    A half-open breaker waits for its probes for `max_wait_duration_in_half_open_state`, or else
    for `timeout`, and opens again. After an open time that led to no recovery the next one is
    `timeout_multiplier` times as long, up to `max_timeout` (10 times the first), and each is off
    by up to the share `timeout_jitter`.
    """

    failure_threshold: int = 5
    timeout: float = 60.0
    expected_exception: Exceptions | Callable[[Exception], bool] = Exception
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
        # A class can be called as well; what is no predicate has to be made of classes.
        if not _is_predicate(self.expected_exception):
            checks.exceptions("expected_exception", self.expected_exception)
        if not _is_predicate(self.ignored_exceptions):
            checks.exceptions("ignored_exceptions", self.ignored_exceptions, empty=True)
        if self.record_result is not None:
            checks.function("record_result", self.record_result, "the result")
        checks.count("failure_threshold", self.failure_threshold)
        checks.count("minimum_number_of_calls", self.minimum_number_of_calls)
        checks.count("permitted_calls_in_half_open_state", self.permitted_calls_in_half_open_state)
        checks.rate("failure_rate_threshold", self.failure_rate_threshold)
        checks.rate("slow_call_rate_threshold", self.slow_call_rate_threshold)
        checks.seconds("timeout", self.timeout)
        for name in _OPTIONAL_SECONDS:
            if (value := getattr(self, name)) is not None:
                checks.seconds(name, value)
        if not checks.is_number(self.timeout_multiplier) or self.timeout_multiplier < 1:
            checks.refuse("timeout_multiplier", self.timeout_multiplier, "a number of 1 or more")
        if not checks.is_number(self.timeout_jitter) or not 0 <= self.timeout_jitter < 1:
            checks.refuse("timeout_jitter", self.timeout_jitter, "a number from 0, below 1")
        self._check_window()

    def _check_window(self) -> None:
        kind, size = self.sliding_window_type, self.sliding_window_size
        if kind not in ("consecutive", "count", "time"):
            checks.refuse("sliding_window_type", kind, "consecutive, count or time")
        if kind == "time":
            if size is not None:
                checks.seconds("sliding_window_size", size)
            return
        if size is not None:
            checks.count("sliding_window_size", size)
        held = int(size or COUNT_WINDOW_CALLS)
        rates_decide = kind == "count" or self.slow_call_duration_threshold is not None
        if rates_decide and self.minimum_number_of_calls > held:
            checks.refuse(
                "minimum_number_of_calls",
                self.minimum_number_of_calls,
                f"at most the {held} calls of the window",
            )

    def window(self) -> Window:
        """An empty window of this kind."""
        size = self.sliding_window_size
        if self.sliding_window_type == "time":
            return TimeWindow(size or TIME_WINDOW_SECONDS)
        return CountWindow(int(size or COUNT_WINDOW_CALLS))


class BreakerEvent(NamedTuple):
    """A transition, or for the kind "rate_exceeded" a rate that METRICS_ONLY let pass.

    `at` is the reading of the breaker's clock; rates are None below the minimum number of calls.
    `retry_after` is how many seconds later the first probe is placed, where it opened.
    """

    name: str
    from_state: CircuitState
    to_state: CircuitState
    reason: str
    failure_rate: float | None
    slow_call_rate: float | None
    calls: int
    at: float
    kind: Literal["transition", "rate_exceeded"] = "transition"
    retry_after: float | None = None


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


def matches(error: Exception, wanted: Exceptions | Callable[[Exception], bool]) -> bool:
    """Whether `error` is of the classes `wanted`, or as that predicate wants it."""
    if isinstance(wanted, type | tuple):
        return isinstance(error, wanted)
    return bool(wanted(error))


def _is_predicate(value: object) -> bool:
    return callable(value) and not isinstance(value, type)
