"""The states of a circuit breaker, what moves it between them, and who is told.

Each transition begins an era. A call keeps the era that admitted it, and its outcome counts only
while that era lasts. The lock is held for arithmetic alone: callbacks, predicates and the texts of
exceptions are the caller's code, and run outside it. What ends in `_locked` needs the lock held.
"""

from __future__ import annotations

import logging
import math
import threading
from asyncio import CancelledError
from collections import deque
from collections.abc import Callable

from breakers.runtime import collaborators as told
from breakers.runtime.announcements import described, tell
from breakers.runtime.circuit_state import BreakerEvent, BreakerPolicy, CircuitState, matches
from breakers.runtime.collaborators import CallMeter, ProbeSource
from breakers.runtime.deadlines import is_own_cancellation
from breakers.runtime.errors import CallNotPermitted
from breakers.runtime.windows import CountWindow, Window

logger = logging.getLogger(__name__)

UNCOUNTED = 0


class StateMachine:
    """What a circuit breaker is inside: admission, outcomes and transitions."""

    __slots__ = (
        "__weakref__", "_admits", "_chance", "_clock", "_consecutive", "_delivering", "_drawn",
        "_era", "_listeners", "_lock", "_meter", "_not_permitted", "_open_for", "_opened_at",
        "_pending", "_placed", "_policy", "_probe_era", "_probes", "_reopen_at", "_reported",
        "_slow_after", "_slow_calls", "_state", "_wait_until", "_window", "last_failure",
        "last_failure_time", "name",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        policy: BreakerPolicy,
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self.name = name
        self.last_failure = ""
        self.last_failure_time: float | None = None
        self._clock = clock
        self._chance = chance
        # Reentrant, since the garbage collector may end an abandoned guarded stream in here.
        self._lock = threading.RLock()
        self._listeners: tuple[Callable[[BreakerEvent], object], ...] = ()
        self._pending: deque[BreakerEvent] | None = None
        self._delivering = False
        self._meter: CallMeter | None = None
        self._probes: ProbeSource | None = None
        self._probe_era = UNCOUNTED
        self._era = 1
        self._admits: int | None = 1
        self._state = CircuitState.CLOSED
        self._not_permitted = self._slow_calls = self._placed = 0
        self._opened_at = self._reopen_at = self._wait_until = self._open_for = 0.0
        self._drawn, self._reported = 0.5, False
        self._adopt_policy(policy)
        self._window: Window = policy.window()

    def _adopt_policy(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._consecutive = policy.sliding_window_type == "consecutive"
        slow = policy.slow_call_duration_threshold
        self._slow_after = math.inf if slow is None else slow

    # --- Admission

    def _admit(self) -> int | None:
        """The era of one more call that the fast path did not let pass; None: `_refusal` says why.

        It is the caller that raises, as each frame less makes a rejection quicker.
        """
        if self._state is CircuitState.OPEN and self._clock() < self._reopen_at:
            # Without the lock: an interpreter with its global lock does not divide this addition.
            self._not_permitted += 1
            return None
        probes = self._probes
        leased = probes is not None and self._may_probe() and probes.take()
        with self._lock:
            era = self._admitted_locked(self._clock(), probes is None or leased)
            probed = era is not None and era == self._probe_era
            if era is None:
                self._not_permitted += 1
        if leased and not probed and probes is not None:
            probes.done(None)
        if self._pending:
            self._deliver()
        return era

    def _refusal(self) -> CallNotPermitted:
        """What a rejected call gets; not kept in a variable, where it would hold its own frame."""
        state = self._state
        if state is CircuitState.OPEN:
            left = self._reopen_at - self._clock()
            return CallNotPermitted(self.name, "open", left if left > 0 else 0.0, self.last_failure)
        if state is CircuitState.HALF_OPEN:
            left = max(0.0, self._wait_until - self._clock())
            return CallNotPermitted(self.name, "half_open", left, self.last_failure)
        wait = None if state is CircuitState.FORCED_OPEN else 0.0
        return CallNotPermitted(
            self.name, "forced_open" if wait is None else "open", wait, self.last_failure
        )

    def _may_probe(self) -> bool:
        state = self._state
        return state is CircuitState.HALF_OPEN or (
            state is CircuitState.OPEN and self._clock() >= self._reopen_at
        )

    def _admitted_locked(self, now: float, may_probe: bool) -> int | None:
        if self._admits is not None:  # since the fast path looked
            return self._admits
        self._end_wait_locked(now)
        opened = self._state is CircuitState.OPEN and now >= self._reopen_at
        if not may_probe or not (opened or self._has_room_locked()):
            return None
        self._note_locked(told.ADMITTED, now)
        if opened:
            self._move_locked(CircuitState.HALF_OPEN, "timeout", now)
        self._placed += 1
        return self._era

    def _has_room_locked(self) -> bool:
        """Whether one more half-open probe may be placed."""
        permitted = self._policy.permitted_calls_in_half_open_state
        return self._state is CircuitState.HALF_OPEN and self._placed < permitted

    def _end_wait_locked(self, now: float) -> None:
        """Open again when the probes have not all come back in time."""
        if self._state is CircuitState.HALF_OPEN and now >= self._wait_until:
            self._note_locked(told.LOOKED, now)
            self._move_locked(CircuitState.OPEN, "probes_overdue", self._wait_until)

    def _retry_after_locked(self, now: float) -> float | None:
        if self._state is CircuitState.OPEN:
            return max(0.0, self._reopen_at - now)
        if self._state is CircuitState.HALF_OPEN:
            return max(0.0, self._wait_until - now)
        return None

    # --- Outcomes

    def _succeeded(self, era: int, duration: float, now: float) -> None:
        # The path of most calls. `acquire` and `release` take a third less time than `with`.
        lock = self._lock
        lock.acquire()
        try:
            slow = duration >= self._slow_after
            if slow and era:
                self._slow_calls += 1
            if self._meter is not None and era:
                self._meter.record(told.SUCCESS, duration, now, era)
            if era == self._era:
                window = self._window
                window.add(False, slow, now)
                if window.failed or window.slow or self._state is CircuitState.HALF_OPEN:
                    self._evaluate_locked(now)
        finally:
            lock.release()
        if self._probes is not None and era == self._probe_era:
            self._probes.done(True)
        if self._pending:
            self._deliver()

    def _failed(self, era: int, what: str, duration: float) -> None:
        with self._lock:
            now = self._clock()
            slow = duration >= self._slow_after
            if slow and era:
                self._slow_calls += 1
            if self._meter is not None and era:
                self._meter.record(told.FAILURE, duration, now, era)
            if era == self._era:
                self.last_failure = what
                self.last_failure_time = now
                self._window.add(True, slow, now)
                self._evaluate_locked(now)
        if self._probes is not None and era == self._probe_era:
            self._probes.done(False)
        if self._pending:
            self._deliver()

    def _uncounted(self, era: int, duration: float = 0.0) -> None:
        """Neither success nor failure: only a probe's place becomes free again."""
        with self._lock:
            if self._meter is not None and era:
                self._meter.record(told.IGNORED, duration, self._clock(), era)
            if era == self._era and self._state is CircuitState.HALF_OPEN:
                self._placed -= 1
        if self._probes is not None and era == self._probe_era:
            self._probes.done(None)

    def _raised(self, era: int, error: BaseException, duration: float) -> None:
        if not era:
            return
        policy = self._policy
        try:
            if not isinstance(error, Exception):
                # Whoever cancels a call says nothing about what it called; our own deadline does.
                failed = isinstance(error, CancelledError) and is_own_cancellation()
                ignored = not failed
            else:
                ignored = matches(error, policy.ignored_exceptions)
                failed = not ignored and matches(error, policy.expected_exception)
            what = described(error) if failed else ""
        except Exception:
            logger.exception("A predicate of circuit breaker %r failed", self.name)
            self._uncounted(era, duration)
        except BaseException:
            self._uncounted(era, duration)
            raise
        else:
            if ignored:
                self._uncounted(era, duration)
            elif failed:
                self._failed(era, what, duration)
            else:
                self._succeeded(era, duration, self._clock())

    def _returned(self, era: int, result: object, duration: float, now: float) -> None:
        """An outcome on which `record_result` has a say."""
        judge = self._policy.record_result
        try:
            failed = judge is not None and bool(judge(result))
        except Exception:
            logger.exception("record_result of circuit breaker %r failed", self.name)
            self._uncounted(era, duration)
        except BaseException:
            self._uncounted(era, duration)
            raise
        else:
            if failed:
                self._failed(era, f"a result of type {type(result).__name__}", duration)
            else:
                self._succeeded(era, duration, now)

    def _era_without_permit(self) -> int:
        """The era of an outcome whose call asked for no permit."""
        with self._lock:
            now = self._clock()
            era = self._admitted_locked(now, True) or UNCOUNTED
        if self._pending:
            self._deliver()
        return era

    # --- Transitions

    def _evaluate_locked(self, now: float) -> None:
        state = self._state
        if state is CircuitState.CLOSED:
            if reason := self._exceeded_locked(self._policy.minimum_number_of_calls):
                self._move_locked(CircuitState.OPEN, reason, now)
        elif state is CircuitState.HALF_OPEN:
            probes = self._policy.permitted_calls_in_half_open_state
            reason = self._exceeded_locked(probes)
            if reason:
                self._move_locked(CircuitState.OPEN, reason, now)
            elif self._window.calls >= probes:
                self._move_locked(CircuitState.CLOSED, "recovered", now)
        elif (
            state is CircuitState.METRICS_ONLY
            and not self._reported
            and (reason := self._exceeded_locked(self._policy.minimum_number_of_calls))
        ):
            self._reported = True
            self._announce_locked(self._event_locked(state, reason, now))

    def _exceeded_locked(self, minimum: int) -> str:
        """Why the last outcomes are too bad, or an empty text."""
        policy, window = self._policy, self._window
        if self._consecutive:
            threshold = 1 if self._state is CircuitState.HALF_OPEN else policy.failure_threshold
            if window.row >= threshold:
                return "failure_threshold"
        calls = window.calls
        if calls < minimum:
            return ""
        if not self._consecutive and window.failed / calls >= policy.failure_rate_threshold:
            return "failure_rate"
        if window.slow and window.slow / calls >= policy.slow_call_rate_threshold:
            return "slow_call_rate"
        return ""

    def _move_locked(
        self, to: CircuitState, reason: str, now: float, open_for: float | None = None
    ) -> None:
        before = self._state
        if before is to:
            return
        event = self._event_locked(to, reason, now)
        self._state = to
        self._era += 1
        self._placed = 0
        self._admits = self._era
        if to is CircuitState.OPEN:
            self._admits = None
            self._open_locked(before, now, open_for)
            event = event._replace(retry_after=self._reopen_at - now)
        elif to is CircuitState.HALF_OPEN:
            self._admits = None
            self._begin_probes_locked(now)
        elif to is CircuitState.FORCED_OPEN:
            self._admits = None
        elif to is CircuitState.DISABLED:
            self._admits = UNCOUNTED
        else:
            self._forget_locked()
        self._announce_locked(event)
        self._note_locked(told.MOVED, now, event, self._drawn, self._not_permitted)

    def _forget_locked(self) -> None:
        self._window = self._policy.window()
        self._open_for = 0.0
        self._reported = False

    def _open_locked(self, before: CircuitState, now: float, open_for: float | None) -> None:
        policy = self._policy
        grown = self._open_for * policy.timeout_multiplier
        longest = policy.max_timeout or policy.timeout * 10
        again = before is CircuitState.HALF_OPEN and grown
        self._open_for = min(grown, max(longest, policy.timeout)) if again else policy.timeout
        self._drawn = self._chance() if policy.timeout_jitter else 0.5
        self._opened_at = now
        spread = 1 + policy.timeout_jitter * (2 * self._drawn - 1)
        self._reopen_at = now + (self._open_for * spread if open_for is None else open_for)

    def _begin_probes_locked(self, now: float) -> None:
        policy = self._policy
        self._window = CountWindow(policy.permitted_calls_in_half_open_state)
        self._probe_era = self._era
        wait = policy.max_wait_duration_in_half_open_state
        self._wait_until = now + (policy.timeout if wait is None else wait)

    def _decide(self, state: CircuitState, reason: str) -> None:
        """A person, the site or another replica sets the state."""
        with self._lock:
            now = self._clock()
            self._note_locked(told.DECIDED, now, state, reason)
            if self._state is state is CircuitState.CLOSED:
                self._forget_locked()
            self._move_locked(state, reason, now)
        if self._pending:
            self._deliver()

    # --- Telling

    def _rates_locked(self) -> tuple[float | None, float | None]:
        """Failure rate and slow-call rate, None below the minimum."""
        window, minimum = self._window, self._policy.minimum_number_of_calls
        if self._state is CircuitState.HALF_OPEN:
            minimum = self._policy.permitted_calls_in_half_open_state
        if not window.calls or window.calls < minimum:
            return None, None
        return window.failed / window.calls, window.slow / window.calls

    def _note_locked(self, what: int, now: float, *details: object) -> None:
        if self._meter is not None:
            self._meter.note(what, now, *details)

    def _event_locked(self, to: CircuitState, reason: str, now: float) -> BreakerEvent:
        failure_rate, slow_rate = self._rates_locked()
        return BreakerEvent(
            self.name, self._state, to, reason, failure_rate, slow_rate, self._window.calls, now,
            "transition" if to is not self._state else "rate_exceeded",
        )  # fmt: skip

    def _announce_locked(self, event: BreakerEvent) -> None:
        self._pending = self._pending or deque()
        self._pending.append(event)

    def _deliver(self) -> None:
        """Tell the listeners, in order; one thread at a time does it for all."""
        with self._lock:
            if self._delivering:
                return
            self._delivering = True
        try:
            while True:
                with self._lock:
                    if not self._pending:
                        self._delivering = False
                        return
                    event = self._pending.popleft()
                tell(event, self._listeners)
        except BaseException:
            self._delivering = False
            raise
