"""Who is affected when a breaker is forced into a state. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analytics.selectors.rollups import Edge
from breakers.selectors.breaker_view import BreakerView


@dataclass(frozen=True)
class Caller:
    """A service that calls one that is concerned, with its calls a second."""

    name: str
    rate: float


@dataclass(frozen=True)
class Radius:
    """What an override concerns: breakers in live instances, their calls a second of the last
    window, and the services that call theirs."""

    breakers: int
    services: tuple[str, ...]
    instances: int
    silent: int
    rate: float
    window_seconds: int
    callers: tuple[Caller, ...]

    @property
    def callers_rate(self) -> float:
        return sum(caller.rate for caller in self.callers)


def radius_of(
    views: Sequence[BreakerView], edges: Sequence[Edge], instance: str | None = None
) -> Radius:
    """The radius of these breakers, or of one instance of the only one.

    The calls of a single instance are not known apart; its share of all live ones stands for them.
    """
    services = {view.service for view in views}
    live = {(view.service, each.instance) for view in views for each in view.live}
    silent = {(v.service, each.instance) for v in views for each in v.instances if each.silent}
    share = 1.0
    if instance is not None:
        share = 1 / max(1, len(live))
        live = {each for each in live if each[1] == instance}
        silent = {each for each in silent if each[1] == instance}
    rates: dict[str, float] = {}
    for edge in edges:
        if edge.callee in services and edge.caller not in services:
            rates[edge.caller] = rates.get(edge.caller, 0.0) + edge.figures.rate
    window = views[0].window_seconds if views else 60
    return Radius(
        breakers=len(views),
        services=tuple(sorted(services)),
        instances=len(live),
        silent=len(silent),
        rate=share * sum(view.calls + view.rejected for view in views) / window,
        window_seconds=window,
        callers=tuple(
            Caller(name, rate)
            for name, rate in sorted(rates.items(), key=lambda each: (-each[1], each[0]))
        ),
    )
