"""Waiting between two attempts without keeping others out.

A bulkhead says here which slot the current call holds. Whoever pauses hands those slots back for
that time and waits for them again afterwards, so that a back-off sleep takes nobody's place.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar, Token
from typing import Protocol


class Slot(Protocol):
    """A place in a bulkhead. One that was handed back is not released again by its owner."""

    @property
    def bulkhead(self) -> object:
        """Whose place it is."""

    def hand_back(self) -> None:
        """Let another call have the place."""

    def take_back(self) -> None:
        """Wait for the place again; raises BulkheadFull."""

    async def take_back_async(self) -> None:
        """The same without blocking the event loop."""


held_slots: ContextVar[tuple[Slot, ...]] = ContextVar("held", default=())


def hold(slot: Slot) -> Token[tuple[Slot, ...]]:
    """Note that the current call holds `slot`; `release` takes what is returned."""
    return held_slots.set((*held_slots.get(), slot))


def release(token: Token[tuple[Slot, ...]]) -> None:
    """Note that the call has ended."""
    held_slots.reset(token)


def drop(bulkhead: object) -> None:
    """Note that the innermost block of `bulkhead` has ended."""
    slots = held_slots.get()
    for place in range(len(slots) - 1, -1, -1):
        if slots[place].bulkhead is bulkhead:
            held_slots.set(slots[:place] + slots[place + 1 :])
            return


def pause(seconds: float, sleep: Callable[[float], object]) -> None:
    """Sleep without holding a slot. Raises BulkheadFull where one cannot be had again."""
    slots = held_slots.get()
    for slot in reversed(slots):
        slot.hand_back()
    sleep(seconds)
    for slot in slots:
        slot.take_back()


async def pause_async(seconds: float, sleep: Callable[[float], Awaitable[object]]) -> None:
    """The same without blocking the event loop."""
    slots = held_slots.get()
    for slot in reversed(slots):
        slot.hand_back()
    await sleep(seconds)
    for slot in slots:
        await slot.take_back_async()
