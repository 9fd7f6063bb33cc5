"""A breaker that lives once more through what is recorded of another, by that one's policy or its own."""

from __future__ import annotations

import math

from breakers.runtime.batches import (
    AdoptedClosed,
    AdoptedOpen,
    Batch,
    Configured,
    Decided,
    Mark,
    Moved,
)
from breakers.runtime.checkpoint import restore
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import BreakerEvent, BreakerPolicy, CircuitState
from breakers.runtime.collaborators import FAILURE, SUCCESS
from breakers.runtime.state_machine import StateMachine


class Reenactment(CircuitBreaker):
    """The real state machine, by the clock and the chance of a record; it tells nobody.

    `moves` are its transitions so far. `course` tells from when on calls are rejected until when
    (-inf: not at all), as far as that changes. `draw` is the chance of its next open time.
    """

    __slots__ = ("course", "draw", "moves", "now")

    def __init__(self, batch: Batch, policy: BreakerPolicy | None = None) -> None:
        """Begin where the breaker was when `batch` began; `policy` is tried in place of its own."""
        self.now, self.draw = batch.begins, 0.5
        StateMachine.__init__(
            self, batch.breaker, policy or batch.policy, lambda: self.now, lambda: self.draw
        )
        restore(self, batch.start, batch.policy)
        self.moves: list[BreakerEvent] = []
        self.course = [(batch.begins, self.rejects_until())]

    @property
    def state(self) -> CircuitState:
        """The state as it stands: reading it is no look, which might end a wait for probes."""
        return self._state

    @property
    def era(self) -> int:
        return self._era

    def admit(self, now: float) -> int | None:
        """The era that lets a call through now; None where it is rejected."""
        era = self._admits
        if era is None:
            self.now = now
            era = self._admit()
            self._follow(now)
        return era

    def settle(self, kind: int, era: int, duration: float, now: float) -> None:
        """A call that `era` let through ends now."""
        self.now = now
        if kind == SUCCESS:
            self._succeeded(era, duration, now)
        elif kind == FAILURE:
            self._failed(era, "", duration)
        else:
            self._uncounted(era, duration)
        if self._admits is None:
            self._follow(now)

    def look(self, now: float) -> None:
        """Somebody asks for its state now."""
        self.now = now
        with self._lock:
            self._end_wait_locked(now)
            self._window.expire(now)
        if self._pending:
            self._deliver()
        self._follow(now)

    def obey(self, mark: Mark, now: float) -> None:
        """What people, the site and other replicas decide; a transition follows from its cause."""
        self.now = now
        match mark:
            case Decided(state, reason):
                self._decide(state, reason)
            case AdoptedOpen(reason, open_for):
                self.adopt_open(reason, open_for)
            case AdoptedClosed(reason):
                self.adopt_closed(reason)
            case Configured(policy):
                self.configure(policy)
            case Moved():
                pass
        self._follow(now)

    def rejects_until(self) -> float:
        """The reading of the clock until which calls are rejected, as things stand; -inf: none."""
        if self._admits is not None:
            return -math.inf
        if self._state is CircuitState.OPEN:
            return self._reopen_at
        if self._state is CircuitState.HALF_OPEN:
            return -math.inf if self._has_room_locked() else self._wait_until
        return math.inf

    def _follow(self, now: float) -> None:
        until = self.rejects_until()
        if until != self.course[-1][1]:
            self.course.append((now, until))

    def _move_locked(
        self, to: CircuitState, reason: str, now: float, open_for: float | None = None
    ) -> None:
        super()._move_locked(to, reason, now, open_for)
        self._follow(now)

    def _deliver(self) -> None:
        while self._pending:
            event = self._pending.popleft()
            if event.kind == "transition":
                self.moves.append(event)
