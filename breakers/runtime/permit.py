"""The leave to make one call through a circuit breaker."""

from __future__ import annotations

from types import TracebackType

from breakers.runtime.state_machine import StateMachine


class Permit:
    """The leave to make one call; its first outcome counts, each later one does nothing.

    Durations are in seconds; without one, the time since the permit was given is taken. As a
    context manager it takes the outcome of its block.
    """

    __slots__ = ("_began", "_breaker", "_era")

    def __init__(self, breaker: StateMachine, era: int, began: float) -> None:
        self._breaker: StateMachine | None = breaker
        self._era = era
        self._began = began

    def success(self, duration: float | None = None) -> None:
        """The call returned."""
        if breaker := self._take():
            now = breaker._clock()
            breaker._succeeded(self._era, now - self._began if duration is None else duration, now)

    def failure(self, exc: BaseException, duration: float | None = None) -> None:
        """The call raised `exc`; whether that is a failure is the policy's to say."""
        if breaker := self._take():
            spent = breaker._clock() - self._began if duration is None else duration
            breaker._raised(self._era, exc, spent)

    def ignore(self) -> None:
        """The call does not count: it was cancelled, or never made."""
        if breaker := self._take():
            breaker._uncounted(self._era, breaker._clock() - self._began)

    def __enter__(self) -> Permit:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.success()
        else:
            self.failure(error)

    def _take(self) -> StateMachine | None:
        breaker, self._breaker = self._breaker, None
        return breaker
