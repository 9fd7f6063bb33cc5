"""A place in a bulkhead, as the call that has it sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from breakers.runtime.bulkhead_line import Line
    from breakers.runtime.tiers import TierState

HELD, HANDED_BACK, RELEASED, RECLAIMED = range(4)


class TierSnapshot(NamedTuple):
    """A tier in a bulkhead: slots reserved and taken, calls that wait, calls rejected so far."""

    reserved: int
    active: int
    queued: int
    rejected: int


class BulkheadSnapshot(NamedTuple):
    """A bulkhead at one moment; `longest_held` and `longest_wait` are in seconds."""

    name: str
    limit: int
    active: int
    queued: int
    rejected: int
    longest_held: float
    longest_wait: float
    isolated: str
    tiers: dict[str, TierSnapshot]


class Slot:
    """A slot; it is released once, and what comes after that does nothing.

    `since` is when it was taken; 0.0 where nobody has asked for times yet.
    """

    # No __init__: whoever makes one sets these, since a call of Python code costs as much again.
    __slots__ = ("bulkhead", "since", "state", "tier")

    bulkhead: Line
    tier: TierState
    since: float
    state: int

    def release(self) -> None:
        """The call is over."""
        self.bulkhead._end(self, RELEASED)

    def reclaim(self) -> None:
        """Give the place to others although the call goes on."""
        self.bulkhead._end(self, RECLAIMED)

    # What a guard tells of a call's end: for a bulkhead, all ends are alike.

    def success(self, duration: float | None = None) -> None:
        self.release()

    def failure(self, exc: BaseException, duration: float | None = None) -> None:
        self.release()

    def ignore(self) -> None:
        self.release()

    # A pause between two attempts

    def hand_back(self) -> None:
        """Let others have the place for as long as this call pauses."""
        self.bulkhead._end(self, HANDED_BACK)

    def take_back(self) -> None:
        """Wait for a place again; raises BulkheadFull."""
        if self.state == HANDED_BACK:
            self.bulkhead._renew(self, self.bulkhead._again(self.tier))

    async def take_back_async(self) -> None:
        """The same without blocking the event loop."""
        if self.state == HANDED_BACK:
            self.bulkhead._renew(self, await self.bulkhead._again_async(self.tier))
