"""What happened to entities: typed events and failures, in order of time, in seconds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class History:
    """One entity: `times` of its events with the number of each one's type, and its failures."""

    times: Floats
    kinds: NDArray[np.intp]
    failures: Floats

    @property
    def moments(self) -> Floats:
        """The distinct times of events: when something new is known, and may be foretold."""
        return np.unique(self.times)


@dataclass(frozen=True, eq=False)
class Histories:
    """Entities by name over one stretch of time; `types` names the types by their number."""

    types: tuple[str, ...]
    entities: dict[str, History]
    since: float
    until: float

    def part(self, names: Iterable[str]) -> Histories:
        """The named entities alone; names without history are left out."""
        wanted = {name: self.entities[name] for name in names if name in self.entities}
        return Histories(self.types, wanted, self.since, self.until)

    def cut(self, since: float, until: float) -> Histories:
        """What happened in [since, until)."""
        entities = {}
        for name, history in self.entities.items():
            kept = (history.times >= since) & (history.times < until)
            failed = history.failures[(history.failures >= since) & (history.failures < until)]
            entities[name] = History(history.times[kept], history.kinds[kept], failed)
        return Histories(self.types, entities, since, until)

    @property
    def failures(self) -> int:
        return sum(len(history.failures) for history in self.entities.values())

    @property
    def entity_days(self) -> float:
        return len(self.entities) * max(self.until - self.since, 1.0) / 86_400


def histories_of(
    events: Iterable[tuple[str, float, str]],
    failures: Iterable[tuple[str, float]],
    entities: Iterable[str] = (),
    types: tuple[str, ...] | None = None,
) -> Histories:
    """Histories of (entity, time, type) and (entity, time) in any order; the same row twice counts
    once. `types` fixes the numbers of types (those of a fitted model); others count as unknown,
    which is the number after the last."""
    rows = sorted(set(events))
    failed: dict[str, set[float]] = defaultdict(set)
    for entity, at in failures:
        failed[entity].add(at)
    if types is None:
        types = tuple(sorted({kind for _, _, kind in rows}))
    numbers = {kind: number for number, kind in enumerate(types)}
    seen: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for entity, at, kind in rows:
        seen[entity].append((at, numbers.get(kind, len(types))))
    names = sorted({*seen, *failed, *entities})
    found = {name: _history(seen[name], failed[name]) for name in names}
    bounds = [float(at) for h in found.values() for at in (*h.times, *h.failures)]
    since, until = (min(bounds), max(bounds)) if bounds else (0.0, 0.0)
    return Histories(types, found, since, until)


def _history(events: list[tuple[float, int]], failures: set[float]) -> History:
    return History(
        np.array([at for at, _ in events], dtype=np.float64),
        np.array([kind for _, kind in events], dtype=np.intp),
        np.array(sorted(failures), dtype=np.float64),
    )


def most_frequent(histories: Histories, at_most: int) -> tuple[str, ...]:
    """The types that occur most, by name; the rest is known only as "other"."""
    counts: Counter[int] = Counter()
    for history in histories.entities.values():
        counts.update(history.kinds.tolist())
    best = [number for number, _ in counts.most_common(at_most) if number < len(histories.types)]
    return tuple(sorted(histories.types[number] for number in best))
