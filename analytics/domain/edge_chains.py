"""Errors that no id joins, joined by time and dependency: one service failed, and one that calls it
did about then.

Errors of a service in a row are a spell. Two spells of services of which one calls the other belong
together where they began near each other and that is no chance, as told by how often each service
fails. The clocks of two services differ, so what is called comes first, whatever the times say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from analytics.domain.relations import CLOCK_SKEW, attributable, chance_within, matches

# Less than even odds is no reason to show errors as one failure.
LEAST_CONFIDENCE = 0.5
SILENCE_NS = 300 * 1_000_000_000
# The figures that chance is told from are counted per minute.
_MINUTE = 60.0
_NS = 1e9


class LooseError(NamedTuple):
    """An error without a trace and without a correlation id."""

    occurred_ns: int
    id: str
    service: str


class EdgeChain(NamedTuple):
    """Errors that belong together: `events` in causal order, what is called first; `confidence` is
    that of the weakest link."""

    events: list[str]
    services: list[str]
    started_ns: int
    ended_ns: int
    confidence: float


# How sure it is that spells of a caller and a callee that began so many seconds apart belong
# together, 0..1.
Sureness = Callable[[str, str, float], float]


def sureness(onsets: Mapping[str, Sequence[float]], length: float) -> Sureness:
    """Told by when the spells of each service began over the last `length` seconds.

    It is the share of the coincidences of the two that chance does not account for: of the caller's
    spells, so many had one of the callee as near as this one; by chance so many would. A few are
    little to go by, so that share counts by the rule of succession: two thirds after one coincidence,
    nine tenths after eight.
    """

    def sure(caller: str, callee: str, gap: float) -> float:
        near = max(gap, _MINUTE)
        own, other = onsets.get(caller, ()), onsets.get(callee, ())
        # The spells in question may be too new to be among the counted ones.
        together = max(1, len(matches(own, other, near + _MINUTE)))
        by_chance = chance_within(max(1, len(other)), length, near)
        seen = (together + 1) / (together + 2)
        return seen * attributable(together, max(1, len(own)), by_chance)

    return sure


def edge_chains(
    errors: Iterable[LooseError],
    edges: Collection[tuple[str, str]],
    *,
    window: float,
    sure: Sureness,
) -> list[EdgeChain]:
    """The chains among the errors, oldest first; `edges` are (caller, callee), `window` in seconds
    bounds how far apart two spells may begin."""
    spells = _spells(errors)
    links = sorted(_links(spells, edges, window, sure), reverse=True)
    above = list(range(len(spells)))
    weakest = [1.0] * len(spells)

    def top(place: int) -> int:
        while above[place] != place:
            above[place] = above[above[place]]
            place = above[place]
        return place

    # The surest links first, so that the weakest one that a chain needs is as sure as can be.
    for confidence, one, other in links:
        first, second = top(one), top(other)
        if first != second:
            above[first] = second
            weakest[second] = min(weakest[first], weakest[second], confidence)
    members: dict[int, list[list[LooseError]]] = defaultdict(list)
    for place, spell in enumerate(spells):
        members[top(place)].append(spell)
    found = [
        _chain(group, edges, weakest[place]) for place, group in members.items() if len(group) > 1
    ]
    return sorted(found, key=lambda chain: (chain.started_ns, chain.events))


def causal_services(services: Iterable[str], edges: Collection[tuple[str, str]]) -> list[str]:
    """Services with those that are called before those that call them; circles are cut by name."""
    names = sorted(set(services))
    calls: dict[str, set[str]] = {name: set() for name in names}
    callers: dict[str, set[str]] = {name: set() for name in names}
    for caller, callee in edges:
        if caller != callee and caller in calls and callee in calls:
            calls[caller].add(callee)
            callers[callee].add(caller)
    free = [name for name in names if not calls[name]]
    by_name = iter(names)
    ordered: dict[str, None] = {}
    while len(ordered) < len(names):
        name = heappop(free) if free else next(each for each in by_name if each not in ordered)
        ordered[name] = None
        for caller in callers[name] - ordered.keys():
            calls[caller].discard(name)
            if not calls[caller]:
                heappush(free, caller)
    return list(ordered)


def _spells(errors: Iterable[LooseError]) -> list[list[LooseError]]:
    by_service: dict[str, list[LooseError]] = defaultdict(list)
    for error in sorted(set(errors)):
        by_service[error.service].append(error)
    spells: list[list[LooseError]] = []
    for own in by_service.values():
        spells.append([own[0]])
        for error in own[1:]:
            if error.occurred_ns - spells[-1][-1].occurred_ns > SILENCE_NS:
                spells.append([])
            spells[-1].append(error)
    return spells


def _links(
    spells: Sequence[Sequence[LooseError]],
    edges: Collection[tuple[str, str]],
    window: float,
    sure: Sureness,
) -> Iterable[tuple[float, int, int]]:
    of: dict[str, list[int]] = defaultdict(list)
    for place, spell in enumerate(spells):
        of[spell[0].service].append(place)
    for caller, callee in edges:
        if caller == callee:
            continue
        for one in of.get(caller, ()):
            for other in of.get(callee, ()):
                apart = abs(spells[one][0].occurred_ns - spells[other][0].occurred_ns) / _NS
                gap = max(0.0, apart - CLOCK_SKEW)
                if gap <= window:
                    confidence = sure(caller, callee, gap)
                    if confidence >= LEAST_CONFIDENCE:
                        yield confidence, one, other


def _chain(
    group: Sequence[Sequence[LooseError]], edges: Collection[tuple[str, str]], confidence: float
) -> EdgeChain:
    errors = [error for spell in group for error in spell]
    services = causal_services((error.service for error in errors), edges)
    place = {name: index for index, name in enumerate(services)}
    ordered = sorted(errors, key=lambda error: (place[error.service], error))
    times = [error.occurred_ns for error in errors]
    return EdgeChain(
        [error.id for error in ordered], services, min(times), max(times), round(confidence, 3)
    )
