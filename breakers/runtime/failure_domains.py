"""Dependencies that fail together, and are cut off together."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from breakers.runtime.bulkhead import Bulkhead
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import CircuitState

Member = CircuitBreaker | Bulkhead


class FailureDomain:
    """Breakers and bulkheads of one region, cluster or vendor.

    Isolating forces its breakers open and rejects all calls of its bulkheads. Each reason is taken
    back by itself; the domain is released with the last one.
    """

    def __init__(self, name: str, members: Iterable[Member] = ()) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._members: list[Member] = list(members)
        self._reasons: list[str] = []
        self._forced: list[CircuitBreaker] = []

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(self._members)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is isolated; empty when it is not."""
        return tuple(self._reasons)

    def add(self, *members: Member) -> None:
        """Let more belong to it; in an isolated domain they are isolated at once."""
        with self._lock:
            fresh = [each for each in members if each not in self._members]
            self._members += fresh
            if self._reasons:
                self._cut_off(fresh)

    def isolate(self, reason: str) -> int:
        """Cut all members off; how many were not before."""
        with self._lock:
            if reason in self._reasons:
                return 0
            self._reasons.append(reason)
            return self._cut_off(self._members) if len(self._reasons) == 1 else 0

    def release(self, reason: str | None = None) -> int:
        """Take back one reason, or all; how many members were let go."""
        with self._lock:
            if reason is not None and reason not in self._reasons:
                return 0
            self._reasons = [] if reason is None else [r for r in self._reasons if r != reason]
            if self._reasons:
                return 0
            released = 0
            for breaker in self._forced:
                # What a person decided in the meantime stays.
                if breaker.state is CircuitState.FORCED_OPEN:
                    breaker.reset(f"failure domain {self.name} released")
                    released += 1
            self._forced = []
            for member in self._members:
                if isinstance(member, Bulkhead) and member.isolated:
                    member.rejoin()
                    released += 1
            return released

    def _cut_off(self, members: Iterable[Member]) -> int:
        why = f"failure domain {self.name}: {self._reasons[0]}"
        done = 0
        for member in members:
            if isinstance(member, Bulkhead):
                if not member.isolated:
                    member.isolate(why)
                    done += 1
            elif member.state not in (CircuitState.FORCED_OPEN, CircuitState.DISABLED):
                member.force_open(why)
                self._forced.append(member)
                done += 1
        return done
