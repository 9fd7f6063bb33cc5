"""The circuit breaker: stops calling what fails, and finds out by few calls when it is back.

    breaker = CircuitBreaker(3, timeout=120, name="microsoft_graph")

    tasks = await breaker.call(client.get, url)      # or call_sync, @breaker, with breaker:

One breaker serves threads, tasks and plain calls alike.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any, TypeVar

from breakers.runtime import collaborators as told
from breakers.runtime.circuit_state import (
    BreakerEvent,
    BreakerPolicy,
    BreakerSnapshot,
    CircuitState,
    Exceptions,
    WindowType,
)
from breakers.runtime.collaborators import CallMeter, ProbeSource
from breakers.runtime.defaults import UnsetFloat, UnsetInt, breaker_enabled, breaker_policy
from breakers.runtime.guards import Guard
from breakers.runtime.permit import Permit
from breakers.runtime.state_machine import StateMachine
from breakers.runtime.variables import ClientVariables

T = TypeVar("T")

# What the variables say, and else the dictionary of the breaker's name.
_BY_VARIABLES: dict[str, Any] = {
    "failure_threshold": UnsetInt(5),
    "timeout": UnsetFloat(60),
    "permitted_calls_in_half_open_state": UnsetInt(3),
}


class CircuitBreaker(StateMachine, Guard):
    """A circuit breaker; the arguments are those of `BreakerPolicy`.

    `failure_threshold`, `timeout` and `permitted_calls_in_half_open_state` that are not given come
    from the environment's variables when it is made: those of its name, then those for all.

    Raises `ConfigError` for arguments that cannot work, and `CallNotPermitted` for calls that it
    rejects. `clock` is monotonic, in seconds; `chance` gives the jitter, from 0 to 1.
    """

    __slots__ = ()

    def __init__(
        self,
        failure_threshold: int = _BY_VARIABLES["failure_threshold"],
        timeout: float = _BY_VARIABLES["timeout"],
        expected_exception: Exceptions | Callable[[Exception], bool] = Exception,
        *,
        name: str | None = None,
        sliding_window_type: WindowType = "consecutive",
        sliding_window_size: float | None = None,
        minimum_number_of_calls: int = 10,
        failure_rate_threshold: float = 0.5,
        slow_call_duration_threshold: float | None = None,
        slow_call_rate_threshold: float = 1.0,
        permitted_calls_in_half_open_state: int = _BY_VARIABLES[
            "permitted_calls_in_half_open_state"
        ],
        max_wait_duration_in_half_open_state: float | None = None,
        ignored_exceptions: Exceptions | Callable[[Exception], bool] = (),
        record_result: Callable[[Any], bool] | None = None,
        timeout_multiplier: float = 1.0,
        max_timeout: float | None = None,
        timeout_jitter: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        given = {
            "failure_threshold": failure_threshold,
            "timeout": timeout,
            "expected_exception": expected_exception,
            "sliding_window_type": sliding_window_type,
            "sliding_window_size": sliding_window_size,
            "minimum_number_of_calls": minimum_number_of_calls,
            "failure_rate_threshold": failure_rate_threshold,
            "slow_call_duration_threshold": slow_call_duration_threshold,
            "slow_call_rate_threshold": slow_call_rate_threshold,
            "permitted_calls_in_half_open_state": permitted_calls_in_half_open_state,
            "max_wait_duration_in_half_open_state": max_wait_duration_in_half_open_state,
            "ignored_exceptions": ignored_exceptions,
            "record_result": record_result,
            "timeout_multiplier": timeout_multiplier,
            "max_timeout": max_timeout,
            "timeout_jitter": timeout_jitter,
        }
        for field, unset in _BY_VARIABLES.items():
            if given[field] is unset:
                del given[field]
        variables = ClientVariables()
        policy = breaker_policy(name or "", variables, arguments=given)
        super().__init__(name or "unnamed", policy, clock, chance)
        if not breaker_enabled(name or "", variables):
            self.disable("switched off by its variable")

    @classmethod
    def of(
        cls,
        name: str,
        policy: BreakerPolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> CircuitBreaker:
        """A breaker with this policy."""
        breaker = cls.__new__(cls)
        StateMachine.__init__(breaker, name, policy, clock, chance)
        return breaker

    def __repr__(self) -> str:
        return f"<CircuitBreaker {self.name!r} {self._state.value}>"

    # --- Calls

    def call_sync(self, func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Call `func`; raises what it raises, or `CallNotPermitted` without calling it."""
        era = self._admits
        if era is None:
            era = self._admit()
            if era is None:
                raise self._refusal()
        clock = self._clock
        began = clock()
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            self._raised(era, error, clock() - began)
            raise
        now = clock()
        if self._policy.record_result is None:
            self._succeeded(era, now - began, now)
        else:
            self._returned(era, result, now - began, now)
        return result

    async def call(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """The same for a coroutine function, or for a plain one."""
        era = self._admits
        if era is None:
            era = self._admit()
            if era is None:
                raise self._refusal()
        clock = self._clock
        began = clock()
        try:
            result = func(*args, **kwargs)
            if type(result) is CoroutineType or isinstance(result, Awaitable):
                result = await result
        except BaseException as error:
            self._raised(era, error, clock() - began)
            raise
        now = clock()
        if self._policy.record_result is None:
            self._succeeded(era, now - began, now)
        else:
            self._returned(era, result, now - began, now)
        return result

    def _around_plain(self, func: Callable[..., Any]) -> Callable[..., Any]:
        clock, succeeded = self._clock, self._succeeded

        def guarded(*args: Any, **kwargs: Any) -> Any:
            era = self._admits
            if era is None:
                era = self._admit()
                if era is None:
                    raise self._refusal()
            began = clock()
            try:
                result = func(*args, **kwargs)
            except BaseException as error:
                self._raised(era, error, clock() - began)
                raise
            now = clock()
            if self._policy.record_result is None:
                succeeded(era, now - began, now)
            else:
                self._returned(era, result, now - began, now)
            return result

        return guarded

    def _around_coroutine(self, func: Callable[..., Any]) -> Callable[..., Any]:
        clock, succeeded = self._clock, self._succeeded

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            era = self._admits
            if era is None:
                era = self._admit()
                if era is None:
                    raise self._refusal()
            began = clock()
            try:
                result = await func(*args, **kwargs)
            except BaseException as error:
                self._raised(era, error, clock() - began)
                raise
            now = clock()
            if self._policy.record_result is None:
                succeeded(era, now - began, now)
            else:
                self._returned(era, result, now - began, now)
            return result

        return guarded

    def acquire(self) -> Permit:
        """Leave for one call that reports its own outcome; raises `CallNotPermitted`.

        A permit that is never settled keeps a probe's place until the half-open wait is over.
        """
        era = self._admits
        if era is None:
            era = self._admit()
            if era is None:
                raise self._refusal()
        return Permit(self, era, self._clock())

    # --- Record keeping for callers that ask `is_open` and then call by themselves

    async def record_success(self) -> None:
        """A call returned that no permit was taken for."""
        era = self._era_without_permit()
        self._succeeded(era, 0.0, self._clock())

    async def record_failure(self, exception: BaseException) -> None:
        """A call raised that no permit was taken for."""
        self._raised(self._era_without_permit(), exception, 0.0)

    async def is_open(self) -> bool:
        """Whether the next call would be rejected."""
        with self._lock:
            now = self._clock()
            self._end_wait_locked(now)
            state = self._state
            if state is CircuitState.OPEN:
                rejects = now < self._reopen_at
            elif state is CircuitState.HALF_OPEN:
                rejects = self._placed >= self._policy.permitted_calls_in_half_open_state
            else:
                rejects = state is CircuitState.FORCED_OPEN
        if self._pending:
            self._deliver()
        return rejects

    # --- What it shows

    @property
    def state(self) -> CircuitState:
        """The state now; a half-open breaker whose probes are overdue is open again."""
        if self._state is CircuitState.HALF_OPEN:
            with self._lock:
                self._end_wait_locked(self._clock())
            if self._pending:
                self._deliver()
        return self._state

    @property
    def policy(self) -> BreakerPolicy:
        return self._policy

    @property
    def failure_threshold(self) -> int:
        return self._policy.failure_threshold

    @property
    def timeout(self) -> float:
        return self._policy.timeout

    @property
    def not_permitted_calls(self) -> int:
        """Calls rejected so far."""
        return self._not_permitted

    @property
    def slow_calls(self) -> int:
        """Calls so far that took `slow_call_duration_threshold` or longer."""
        return self._slow_calls

    @property
    def failure_count(self) -> int:
        """Failures that count now: since the last success, or in the window where rates decide."""
        return self._window.row if self._consecutive else self._window.failed

    def snapshot(self) -> BreakerSnapshot:
        """Everything about it at one moment."""
        with self._lock:
            now = self._clock()
            self._end_wait_locked(now)
            window = self._window
            if window.expire(now):
                self._note_locked(told.LOOKED, now)
            failure_rate, slow_rate = self._rates_locked()
            seen = BreakerSnapshot(
                self.name, self._state, failure_rate, slow_rate, window.calls, window.failed,
                window.slow, self._not_permitted, self._retry_after_locked(now), self.last_failure,
            )  # fmt: skip
        if self._pending:
            self._deliver()
        return seen

    def on_event(self, callback: Callable[[BreakerEvent], object]) -> Callable[[], None]:
        """Have `callback` called after each transition; returns what takes it off again.

        It runs on the thread whose call made the transition, outside the lock. What it raises is
        logged and goes no further.
        """
        with self._lock:
            self._listeners = (*self._listeners, callback)

        def remove() -> None:
            with self._lock:
                self._listeners = tuple(each for each in self._listeners if each is not callback)

        return remove

    def meter(self, meter: CallMeter | None) -> None:
        """Have `meter` hear of every counted call, and of all else that decides the course."""
        self._meter = meter

    # --- What people and the site decide

    def force_open(self, reason: str = "forced_open") -> None:
        """Reject every call until another decision."""
        self._decide(CircuitState.FORCED_OPEN, reason)

    def force_closed(self, reason: str = "forced_closed") -> None:
        """Let every call pass, whatever fails, until another decision."""
        self._decide(CircuitState.FORCED_CLOSED, reason)

    def disable(self, reason: str = "disabled") -> None:
        """Let every call pass and count nothing until another decision."""
        self._decide(CircuitState.DISABLED, reason)

    def metrics_only(self, reason: str = "metrics_only") -> None:
        """Count and report, but let every call pass until another decision."""
        self._decide(CircuitState.METRICS_ONLY, reason)

    def reset(self, reason: str = "reset") -> None:
        """Back to closed, with nothing remembered."""
        self._decide(CircuitState.CLOSED, reason)

    def configure(self, policy: BreakerPolicy) -> None:
        """Work by another policy from now on. The state stays, what was counted starts anew."""
        with self._lock:
            now = self._clock()
            self._note_locked(told.CONFIGURED, now, policy)
            self._adopt_policy(policy)
            if self._state is CircuitState.OPEN:
                self._open_for = policy.timeout
                self._reopen_at = self._opened_at + policy.timeout
            elif self._state is CircuitState.HALF_OPEN:
                self._era += 1
                self._placed = 0
                self._begin_probes_locked(now)
            else:
                self._window = policy.window()

    # --- What other replicas decide

    def adopt_open(self, reason: str, open_for: float) -> None:
        """Open for `open_for` more seconds, unless it is open or set by hand already."""
        with self._lock:
            now = self._clock()
            self._note_locked(told.ADOPTED_OPEN, now, reason, open_for)
            if self._state in (CircuitState.CLOSED, CircuitState.HALF_OPEN):
                self._move_locked(CircuitState.OPEN, reason, now, open_for)
        if self._pending:
            self._deliver()

    def adopt_closed(self, reason: str) -> None:
        """Close, if it is open or half-open."""
        with self._lock:
            now = self._clock()
            self._note_locked(told.ADOPTED_CLOSED, now, reason)
            if self._state in (CircuitState.OPEN, CircuitState.HALF_OPEN):
                self._move_locked(CircuitState.CLOSED, reason, now)
        if self._pending:
            self._deliver()

    def limit_probes(self, source: ProbeSource | None) -> None:
        """Place half-open probes only by leave of `source`; None: by this breaker's own count."""
        self._probes = source
