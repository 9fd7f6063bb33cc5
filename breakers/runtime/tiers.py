"""User tiers: whose call it is, and what share of a bulkhead the tier has.

with tier("premium"):
    await bulkhead.call(...)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from breakers.runtime import checks
from breakers.runtime.span_marks import TIER, mark_span

if TYPE_CHECKING:
    from breakers.runtime.waiters import Waiter

_current: ContextVar[str] = ContextVar("tier", default="")


@dataclass(frozen=True, slots=True)
class Tier:
    """What a tier has of a bulkhead.

    `reserved` is the share of its slots that no other tier can take. Waiting calls are served by
    `weight`, and those of a lower `priority` give way when the queue is full.
    """

    reserved: float = 0.0
    weight: float = 1.0
    priority: int = 0

    def __post_init__(self) -> None:
        checks.rate("reserved", self.reserved, zero=True)
        if not checks.is_number(self.weight) or self.weight <= 0:
            checks.refuse("weight", self.weight, "a number above 0")
        if not isinstance(self.priority, int) or isinstance(self.priority, bool):
            checks.refuse("priority", self.priority, "a whole number")


class TierState:
    """One tier inside one bulkhead; everything here is kept under the bulkhead's lock."""

    __slots__ = ("active", "name", "rejected", "reserved", "served", "tier", "waiters")

    def __init__(self, name: str, tier: Tier) -> None:
        self.name = name
        self.tier = tier
        self.reserved = 0
        self.active = 0
        self.rejected = 0
        self.served = 0.0
        self.waiters: deque[Waiter] = deque()


def states(tiers: Mapping[str, Any] | None) -> dict[str, TierState]:
    """A state for each tier, and a last one under "" for calls of no tier or an unknown one.

    A tier is given as `Tier`, as a dictionary of its fields, or as its reserved share.
    """
    made: dict[str, Tier] = {}
    for name, given in (tiers or {}).items():
        if not isinstance(name, str) or not name:
            checks.refuse("tiers", name, "names of tiers")
        if isinstance(given, Tier):
            made[name] = given
        elif isinstance(given, Mapping):
            unknown = sorted(set(given) - {"reserved", "weight", "priority"})
            if unknown:
                checks.refuse(f"tiers[{name!r}]", unknown[0], "reserved, weight or priority")
            made[name] = Tier(**given)
        else:
            made[name] = Tier(reserved=given)
    if sum(tier.reserved for tier in made.values()) > 1 + 1e-9:
        checks.refuse("tiers", dict(tiers or {}), "shares whose reserved parts add up to at most 1")
    lowest = min((tier.priority for tier in made.values()), default=0)
    made[""] = Tier(priority=lowest)
    return {name: TierState(name, tier) for name, tier in made.items()}


@contextmanager
def tier(name: str) -> Iterator[None]:
    """Everything inside is a call of this tier, which is also put on the span."""
    token = _current.set(name)
    mark_span(TIER, name)
    try:
        yield
    finally:
        _current.reset(token)


current_tier = _current.get
