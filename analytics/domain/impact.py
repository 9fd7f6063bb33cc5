"""How far failures reached, worked out from counts. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

# Names under which telemetry says for whom a request was, the surest first.
USER_KEYS = ("enduser.id", "enduser.pseudo.id", "user.id", "user.hash", "user_id")
TIER_KEYS = (
    "enduser.tier", "user.tier", "resilience.tier", "resilience.bulkhead.tier",
    "http.request.header.x-user-tier", "http.request.header.x_user_tier",
)  # fmt: skip


@dataclass(frozen=True)
class Budget:
    """The error budget of a service: `calls` in `days` days at `target` (0..1) allow `allowed`
    failures, of which `failed` are spent here.

    It is that of the service's objective of availability (`slo_id`), or by the site's target where
    it has none. Where the objective is measured by checks, all are seconds: the counted ones, and
    those down (`unit`).
    """

    service: str
    days: int
    target: float
    calls: int
    failed: int
    unit: str = "calls"
    slo_id: UUID | None = None

    @property
    def allowed(self) -> float:
        return self.calls * (1 - self.target)

    @property
    def spent(self) -> float | None:
        """The share of the budget that went, above 1 where more went than there was; None without
        calls."""
        return self.failed / self.allowed if self.allowed > 0 else None


def dependents(edges: Iterable[tuple[str, str]], origins: Iterable[str]) -> set[str]:
    """Who calls the origins, directly or through others (edges are (caller, callee)), without
    them."""
    callers: Mapping[str, set[str]] = defaultdict(set)
    for caller, callee in edges:
        callers[callee].add(caller)
    begun = set(origins)
    reached, waiting = set(begun), [*begun]
    while waiting:
        for caller in callers.get(waiting.pop(), ()):
            if caller not in reached:
                reached.add(caller)
                waiting.append(caller)
    return reached - begun


def first_of(attributes: Mapping[str, object], keys: Iterable[str]) -> str:
    """The first of the named attributes that says something, as text of at most 200 characters."""
    for key in keys:
        value = attributes.get(key)
        # Attributes of headers are lists of values.
        if isinstance(value, list):
            value = value[0] if value else None
        if value not in (None, ""):
            return str(value)[:200]
    return ""
