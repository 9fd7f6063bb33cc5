"""Anomalies in public series by NAB's score: the door's detector beside two published ones.

The threshold of each held-out group of series is the one that scores best on the other groups.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import numpy as np

from analytics.domain.anomalies.detector import RARE, REFRACTORY, Detector
from tests.bench import nab

RARITIES = np.arange(1.2, 4.5, 0.1)
TARGET, STRETCH, SPEED = 50, 60, 5_000


def rarities(file: nab.File) -> np.ndarray:
    """What the detector says of each row, before a refractory time is applied."""
    detector = Detector()
    return np.array(
        [
            detector.update(
                datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp(), value
            ).rarity
            for at, value in zip(file.at, file.values.tolist(), strict=True)
        ]
    )


def alarms(rarity: np.ndarray, threshold: float) -> np.ndarray:
    """Where an anomaly begins, at a threshold."""
    marks = np.zeros(len(rarity))
    quiet = 0
    for row in np.flatnonzero(rarity >= threshold):
        if row >= quiet:
            marks[row] = 1.0
            quiet = row + REFRACTORY
    return marks


def groups(of: list[nab.File]) -> dict[str, list[int]]:
    """The numbers of files by where they come from; the artificial ones are one group."""
    found: dict[str, list[int]] = {}
    for number, file in enumerate(of):
        name = "artificial" if file.group.startswith("artificial") else file.group
        found.setdefault(name, []).append(number)
    return found


def cross_validated(
    known: list[np.ndarray], of: list[nab.File], profile: str
) -> tuple[float, dict[str, float]]:
    """The score with each group's threshold chosen on the others, and that of each group."""
    cost = nab.costs(profile)
    weights = [nab.weights(file, cost) for file in of]
    raw = np.array(
        [
            [nab.raw(alarms(rarity, at) > 0, w, cost) for at in RARITIES]
            for rarity, w in zip(known, weights, strict=True)
        ]
    )
    total, parts = 0.0, {}
    for name, held in groups(of).items():
        others = [number for number in range(len(of)) if number not in held]
        chosen = raw[others].sum(axis=0).argmax()
        score = float(raw[held, chosen].sum())
        total += score
        parts[name] = nab.normalised([score], [of[number] for number in held], cost)
    return nab.normalised([total], of, cost), parts


def measure() -> dict[str, Any] | None:
    """All figures; None where the public set is absent."""
    if not nab.FOLDER.exists():
        return None
    of = nab.files()
    started = time.process_time()
    known = [rarities(file) for file in of]
    seconds = time.process_time() - started
    shipped = [alarms(rarity, RARE) for rarity in known]
    figures: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "points": sum(len(file.at) for file in of),
        "points_per_cpu_second": sum(len(file.at) for file in of) / seconds,
        "shipped": {profile: nab.scored(shipped, 0.5, of, profile) for profile in nab.PROFILES},
        "cross_validated": {},
    }
    for profile in nab.PROFILES:
        figures["cross_validated"][profile], parts = cross_validated(known, of, profile)
        if profile == "standard":
            figures["groups"] = parts
    for name, anchor in (
        ("windowed Gaussian", nab.windowed_gaussian),
        ("relative entropy", nab.relative_entropy),
    ):
        scores = [anchor(file.values) for file in of]
        figures[name] = {
            profile: nab.best_threshold(scores, of, profile)[1] for profile in nab.PROFILES
        }
    return figures


def table(figures: dict[str, Any] | None) -> str:
    if figures is None:
        return f"  anomalies: skipped, {nab.FOLDER} is absent"

    def three(scores: dict[str, float]) -> str:
        return " / ".join(f"{scores[profile]:.1f}" for profile in nab.PROFILES)

    worst = min(figures["groups"], key=figures["groups"].get)
    lines = [
        (
            f"NAB standard / low FP / low FN, thresholds of other groups (aim {TARGET}, {STRETCH})",
            three(figures["cross_validated"]),
        ),
        ("  worst group", f"{figures['groups'][worst]:.1f} {worst}"),
        ("  with the shipped threshold, which was chosen on these", three(figures["shipped"])),
        ("  windowed Gaussian, threshold fitted to these", three(figures["windowed Gaussian"])),
        ("  relative entropy, knows the range beforehand", three(figures["relative entropy"])),
        (
            f"points per second of CPU (aim {SPEED:,})",
            f"{figures['points_per_cpu_second']:,.0f}",
        ),
    ]
    return "\n".join(f"  {name:<80} {value}" for name, value in lines)
