"""Generated histories of failing machines, for measuring predictions: our own, in the manner of
public data sets on predictive maintenance, none of which is copied here.

A machine has parts. Each is replaced at visits, which come in a rhythm of days; a part that was
not replaced for long fails, or any part fails by chance. Hours before a failure (the lead) the
part's own errors are told: one type, or several within the same hour, or spread over some hours.
Some failures come without a warning, and errors of all types come at random besides. The scenes
differ in what helps: how many types tell a failure at once, whether leads are constant, whether
visits (and so failures) come at one hour of the day, how noisy it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

HOUR = 3600.0
DAY = 24 * HOUR
START = 1_700_006_400.0 - 1_700_006_400.0 % DAY


@dataclass(frozen=True)
class Scene:
    """What a set of machines is like. `parts` gives each part's error types and how often it
    fails per machine and year; `noise` errors per machine and day by type."""

    name: str
    parts: tuple[tuple[tuple[int, ...], float], ...] = (
        ((1,), 1.9), ((2, 3), 2.6), ((4,), 1.3), ((5,), 1.8),
    )  # fmt: skip
    noise: tuple[float, ...] = (0.0224, 0.02, 0.0159, 0.0163, 0.0048)
    # Hours of the lead: from, to. Equal: constant.
    lead: tuple[float, float] = (24.0, 24.0)
    # Hours over which the types of one warning are spread, and how many more errors repeat it.
    spread: float = 0.0
    repeats: float = 0.0
    # Days between visits, and whether failures show at the hour of visits. 0: none.
    visits: float = 15.0
    at_visits: bool = True
    unwarned: float = 0.02
    machines: int = 100
    days: int = 365
    tags: tuple[str, ...] = field(default=())


SCENES = (
    Scene("visited: lone and paired errors a day ahead, failures at visits"),
    Scene("visited, noisier and with 8 % unwarned", unwarned=0.08,
          noise=(0.03, 0.03, 0.025, 0.025, 0.01)),
    Scene("free: two or three types within an hour, leads of 2 to 46 h", visits=0.0,
          parts=(((1, 2), 1.9), ((2, 3), 2.6), ((4, 5, 1), 1.3), ((5, 3), 1.8)),
          lead=(2.0, 46.0), unwarned=0.05, at_visits=False),
    Scene("free, spread: types over 12 h, repeated, leads of 13 to 46 h", visits=0.0,
          parts=(((1, 2), 1.9), ((2, 3), 2.6), ((4, 1), 1.3), ((5, 3), 1.8)),
          lead=(13.0, 46.0), spread=12.0, repeats=1.0, unwarned=0.05, at_visits=False),
    Scene("free, lone: half of the parts tell by one type, repeated within a day", visits=0.0,
          parts=(((1,), 1.9), ((2, 3), 2.6), ((4,), 1.3), ((5, 1), 1.8)),
          lead=(25.0, 46.0), spread=20.0, repeats=2.0, unwarned=0.05, at_visits=False),
)  # fmt: skip


@dataclass(frozen=True)
class Machines:
    """Rows as the door reads them: (entity, seconds, type) and (entity, seconds)."""

    events: list[tuple[str, float, str]]
    failures: list[tuple[str, float]]
    entities: list[str]


def generate(scene: Scene, seed: int) -> Machines:
    random = np.random.default_rng(seed)
    events: list[tuple[str, float, str]] = []
    failures: list[tuple[str, float]] = []
    names = [str(number) for number in range(1, scene.machines + 1)]
    for name in names:
        for at, part in _failures(scene, random):
            failures.append((name, START + at))
            if random.random() < scene.unwarned:
                continue
            events.extend(
                (name, START + moment, f"error{kind}")
                for moment, kind in _warning(scene, part, at, random)
            )
        for kind, rate in enumerate(scene.noise, start=1):
            for _ in range(random.poisson(rate * scene.days)):
                at = HOUR * random.integers(0, scene.days * 24)
                events.append((name, START + at, f"error{kind}"))
    kept = [row for row in events if row[1] >= START]
    return Machines(sorted(set(kept)), sorted(set(failures)), names)


def _failures(scene: Scene, random: np.random.Generator) -> list[tuple[float, int]]:
    """(seconds, part), the machine's own rhythm of visits included."""
    found: list[tuple[float, int]] = []
    phase = DAY * random.integers(0, max(1, int(scene.visits)))
    for part, (_, a_year) in enumerate(scene.parts):
        for _ in range(random.poisson(a_year * scene.days / 365)):
            at = random.uniform(2 * DAY, scene.days * DAY)
            if scene.visits:
                period = scene.visits * DAY
                at = phase + round((at - phase) / period) * period
            at += 6 * HOUR if scene.at_visits else HOUR * random.integers(0, 24)
            if DAY < at < scene.days * DAY:
                found.append((HOUR * round(at / HOUR), part))
    return found


def _warning(
    scene: Scene, part: int, failed: float, random: np.random.Generator
) -> list[tuple[float, int]]:
    lead = HOUR * round(random.uniform(*scene.lead))
    told: list[tuple[float, int]] = []
    kinds = scene.parts[part][0]
    for kind in kinds:
        for _ in range(1 + random.poisson(scene.repeats)):
            delay = HOUR * round(random.uniform(0, scene.spread))
            told.append((min(failed - lead + delay, failed - HOUR), kind))
    return told


def smaller(scene: Scene, machines: int, days: int) -> Scene:
    return replace(scene, machines=machines, days=days)
