"""Whom a circuit breaker tells all that decides its course, and whom it asks for probes."""

from __future__ import annotations

from typing import Protocol

# How a call ended.
SUCCESS, FAILURE, IGNORED = range(3)
# What else decides a breaker's course: a half-open probe was placed; somebody looked, and time had
# brought a change; it changed its state; it was told by hand, by other replicas, or by a policy.
ADMITTED, LOOKED, MOVED, DECIDED, ADOPTED_OPEN, ADOPTED_CLOSED, CONFIGURED = range(3, 10)


class CallMeter(Protocol):
    """Hears of a breaker's calls, in the order in which they take effect.

    Called under the breaker's lock, so it has to be short. Times are readings of its clock.
    """

    def record(self, outcome: int, duration: float, now: float, era: int) -> None:
        """A call that `era` had let through ended after `duration` seconds."""

    def note(self, what: int, now: float, *details: object) -> None:
        """Something else happened; causes are told before the moves that follow from them."""


class ProbeSource(Protocol):
    """Whoever hands out the probes of a half-open breaker, for example among all replicas."""

    def take(self) -> bool:
        """Whether one more probe may be placed; answers at once."""

    def done(self, success: bool | None) -> None:
        """How a probe ended; None gives it back unused."""
