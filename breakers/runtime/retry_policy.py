"""What a retry works by, and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeVar

from breakers.runtime import checks
from breakers.runtime.backoff import JITTERS, Jitter
from breakers.runtime.classification import Verdict
from breakers.runtime.defaults import UnsetFloat, UnsetInt
from breakers.runtime.errors import RetryBudgetExhausted
from breakers.runtime.failure_codes import Classification
from breakers.runtime.variables import ClientVariables

T = TypeVar("T")

Criticality = Literal["critical", "high", "medium", "low"]
CRITICALITIES = ("critical", "high", "medium", "low")
_RETRIED = (Classification.TRANSIENT, Classification.RATE_LIMITED, Classification.UNKNOWN)
_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))


class _UnsetText(str):
    __slots__ = ()


# What the variables say where the caller does not; told from what he gives by identity.
_ATTEMPTS, _BASE, _LONGEST = UnsetInt(3), UnsetFloat(1), UnsetFloat(30)
_JITTER: Any = _UnsetText("full")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long: durations in seconds; `max_attempts` includes the first.

    `max_attempts`, `base_delay`, `max_delay` and `jitter` that are not given come from the
    environment's variables when it is made.

    With `exceptions`, those are retried and no others; without, what `classifications` names. The
    wait is the backoff of `jitter`, or what the other side asks for by Retry-After if that is
    longer, up to `max_retry_after`.

    `idempotent` says whether a call may take place twice. False: it is retried only where the
    failure proves that it did not take place. None: so it is for failures that carry a request
    whose method is not idempotent by RFC 9110 (POST, PATCH), and all others are retried.
    `retry_result` is a predicate saying whether a returned result calls for another attempt.
    """

    max_attempts: int = _ATTEMPTS
    base_delay: float = _BASE
    max_delay: float = _LONGEST
    jitter: Jitter | Literal[True, False] | None = _JITTER
    exceptions: type[BaseException] | tuple[type[BaseException], ...] | None = None
    classifications: tuple[Classification, ...] = _RETRIED
    idempotent: bool | None = None
    max_retry_after: float = 120.0
    retry_result: Callable[[Any], bool] | None = None

    def __post_init__(self) -> None:
        self._ask_variables()
        checks.count("max_attempts", self.max_attempts)
        checks.seconds("base_delay", self.base_delay, zero=True)
        checks.seconds("max_delay", self.max_delay, zero=True)
        if self.max_delay < self.base_delay:
            checks.refuse("max_delay", self.max_delay, f"at least base_delay, {self.base_delay!r}")
        if isinstance(self.jitter, bool):
            object.__setattr__(self, "jitter", "full" if self.jitter else None)
        if self.jitter is not None and self.jitter not in JITTERS:
            checks.refuse("jitter", self.jitter, "full, equal, decorrelated or None")
        if self.exceptions is not None:
            checks.exceptions("exceptions", self.exceptions)
        for each in self.classifications:
            if not isinstance(each, Classification):
                checks.refuse("classifications", each, "members of Classification")
        if self.idempotent not in (True, False, None):
            checks.refuse("idempotent", self.idempotent, "True, False or None")
        checks.seconds("max_retry_after", self.max_retry_after, zero=True)
        if self.retry_result is not None:
            checks.function("retry_result", self.retry_result, "the result")

    def _ask_variables(self) -> None:
        no_base, no_longest = self.base_delay is _BASE, self.max_delay is _LONGEST
        no_attempts, no_jitter = self.max_attempts is _ATTEMPTS, self.jitter is _JITTER
        if not (no_base or no_longest or no_attempts or no_jitter):
            return
        variables = ClientVariables()
        if no_attempts:
            attempts = variables.retry_max_attempts if variables.retry_enabled else 1
            object.__setattr__(self, "max_attempts", attempts)
        if no_jitter:
            jitter = "full" if variables.retry_jitter_enabled else None
            object.__setattr__(self, "jitter", jitter)
        if no_longest:
            longest = variables.retry_max_delay_ms / 1000
            if not no_base and variables.is_set("RETRY_MAX_DELAY_MS"):
                longest = max(longest, self.base_delay)  # the argument is the stronger of the two
            object.__setattr__(self, "max_delay", longest)
        if no_base:
            base = variables.retry_base_delay_ms / 1000
            object.__setattr__(self, "base_delay", min(base, self.max_delay))

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any], **more: Any) -> RetryPolicy:
        """A policy from `max_attempts, base_delay_ms, max_delay_ms, exceptions`."""
        known = {"max_attempts", "base_delay_ms", "max_delay_ms", "exceptions"}
        if unknown := sorted(set(entry) - known):
            checks.refuse("policy", unknown[0], f"one of {', '.join(sorted(known))}")
        given: dict[str, Any] = {}
        if "max_attempts" in entry:
            given["max_attempts"] = entry["max_attempts"]
        for name in ("base_delay", "max_delay"):
            if (value := entry.get(f"{name}_ms")) is not None:
                checks.seconds(f"{name}_ms", value, zero=True)
                given[name] = value / 1000
        if "exceptions" in entry:
            given["exceptions"] = tuple(entry["exceptions"])
        return cls(**(given | more))

    def for_criticality(self, criticality: Criticality) -> RetryPolicy:
        """The same with one attempt more for critical calls, one less for low ones."""
        if criticality not in CRITICALITIES:
            checks.refuse("criticality", criticality, "critical, high, medium or low")
        more = {"critical": 1, "high": 0, "medium": 0, "low": -1}[criticality]
        return replace(self, max_attempts=max(1, self.max_attempts + more))

    def covers(self, error: BaseException, verdict: Verdict) -> bool:
        """Whether a failure of this kind is worth another attempt, and allowed one."""
        if not isinstance(error, Exception):
            return False
        if self.exceptions is not None:
            if not isinstance(error, self.exceptions):
                return False
        elif verdict.classification not in self.classifications:
            return False
        return verdict.not_executed or self._repeatable(error)

    def _repeatable(self, error: BaseException) -> bool:
        if self.idempotent is not None:
            return self.idempotent
        method = _method_of(error)
        return not method or method in _SAFE_METHODS


def _method_of(error: BaseException) -> str:
    """The HTTP method of the request that failed, as httpx and requests keep it."""
    try:
        request = getattr(error, "request", None) or getattr(
            getattr(error, "response", None), "request", None
        )
    except RuntimeError:  # httpx: this one has no request
        return ""
    return str(getattr(request, "method", "") or "").upper()


Outcome = Literal[
    "succeeded", "exhausted", "not_retried", "deadline", "budget_exhausted", "request_budget"
]


@dataclass(frozen=True, slots=True)
class RetryResult(Generic[T]):
    """How a call with retries ended.

    `outcome` is "succeeded", or why there was no further attempt; `delays` are the waits in
    seconds; `elapsed` is the whole time. `exhausted` is there where a budget allowed no more.
    """

    outcome: Outcome
    attempts: int
    value: T | None = None
    error: BaseException | None = None
    elapsed: float = 0.0
    delays: tuple[float, ...] = field(default=())
    classification: Classification | None = None
    exhausted: RetryBudgetExhausted | None = None

    @property
    def ok(self) -> bool:
        return self.outcome == "succeeded"

    success = ok

    def unwrap(self) -> T:
        """The value; raises the failure of the last attempt."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]
