"""Figures of availability, latency, MTTR and MTBF in words, each with its window and denominator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from health.domain.availability import percent_text
from health.domain.reliability import Reliability
from health.selectors.availability import (
    WINDOWS,
    Figure,
    checks_availability,
    checks_reliability,
)
from health.selectors.latencies import Latencies, checks_latencies
from resilience_site.core.formatting import ABSENT, duration

# Failures are too rare for shorter ones.
RELIABILITY_WINDOW: Final = "30 d"


@dataclass(frozen=True)
class Tile:
    """A number with what it rests on."""

    label: str
    text: str
    basis: str
    tone: str = ""


@dataclass(frozen=True)
class CheckFigures:
    """What is told of one check: its availability, MTTR and MTBF, and percentiles by window."""

    availability: Sequence[Tile]
    repair: Sequence[Tile]
    latencies: Sequence[tuple[str, Latencies]]

    @property
    def tiles(self) -> list[Tile]:
        """All that are shown, the 95th percentile of the shortest window last."""
        name, day = self.latencies[0]
        p95 = duration(None if day.p95 is None else day.p95 / 1000)
        basis = f"{day.runs:,} runs that succeeded"
        return [*self.availability, *self.repair, Tile(f"Latency p95, last {name}", p95, basis)]


def check_figures(check_id: UUID, now: datetime) -> CheckFigures:
    """The figures of one check; six queries."""
    figures = checks_availability([check_id], now=now)
    means = checks_reliability(figures)[check_id]
    found = figures[check_id]
    month = next(place for place, each in enumerate(found) if each.window == RELIABILITY_WINDOW)
    return CheckFigures(
        [availability_tile(each) for each in found],
        [budget_tile(found[month]), *repair_tiles(means[month], found[month])],
        [
            (window.name, checks_latencies([check_id], now=now, length=window.length)[check_id])
            for window in WINDOWS[:3]
        ],
    )


def availability_tile(figure: Figure) -> Tile:
    """The availability over one window; says how much time that is about, and the target."""
    label, aim = f"Available, last {figure.window}", percent_text(figure.target)
    if figure.ratio is None:
        return Tile(label, ABSENT, f"nothing is known; target {aim}")
    bad, known = duration(figure.counted.bad), duration(figure.counted.counted)
    tone = "" if figure.met else "bad"
    verdict = "met" if figure.met else "missed"
    basis = f"{bad} of {known} unavailable; target {aim} {verdict}"
    return Tile(label, percent_text(figure.ratio), basis, tone)


def budget_tile(figure: Figure) -> Tile:
    """What is left of the time that may be bad by the target; negative once that is missed."""
    label, left = f"Error budget left, last {figure.window}", figure.budget_left
    if left is None:
        return Tile(label, ABSENT, "nothing is known")
    allowed = duration(figure.counted.budget(figure.target))
    basis = f"of {allowed} allowed by {percent_text(figure.target)}"
    return Tile(label, duration(left), basis, "bad" if left < 0 else "")


def repair_tiles(means: Reliability, figure: Figure) -> list[Tile]:
    """MTTR and MTBF over the window of `figure`."""
    named = f"last {figure.window}"
    return [
        Tile(
            "MTTR",
            duration(means.mttr),
            f"mean of {_outages(means.repaired)} repaired, {named}",
        ),
        Tile(
            "MTBF",
            duration(means.mtbf),
            f"{duration(means.good_seconds)} good, {_outages(means.failures)}, {named}",
        ),
    ]


def _outages(count: int) -> str:
    return f"{count:,} outage{'s'[: count != 1]}"
