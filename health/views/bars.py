"""The last day of checks as bars: each stretch of a state as a slice, and the availability of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from health.domain.availability import (
    DEFAULT,
    MAINTENANCE,
    PREFIX,
    Seconds,
    Segment,
    percent_text,
)
from health.models import Check
from health.selectors.timelines import Wanted, segments_of
from resilience_site.core.badges import badge_for
from resilience_site.core.formatting import ABSENT, duration

DAY: Final = timedelta(hours=24)
WIDTH, HEIGHT = 240.0, 20.0
_NARROWEST: Final = 1.0
# States differ in height, not in colour alone; what is not known leaves its place empty.
HEIGHTS: Final = {
    "up": 0.35,
    "degraded": 0.6,
    "unreachable": 0.8,
    "down": 1.0,
    "maintenance": 0.5,
    "unknown": 0.0,
}


@dataclass(frozen=True)
class Slice:
    """One state of a bar, in units of the drawing."""

    tone: str
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True)
class Bar:
    """A day: what is drawn, what it says in words, and the availability with its denominator."""

    slices: Sequence[Slice]
    label: str
    text: str
    width: int = int(WIDTH)
    height: int = int(HEIGHT)

    @property
    def absent(self) -> bool:
        return self.text == ABSENT


def day_bars(checks: Sequence[Check], now: datetime) -> dict[UUID, Bar]:
    """The last 24 hours of these checks, by two queries."""
    start = now - DAY
    found = segments_of([Wanted(each.id, each.service_id, start, now) for each in checks])
    return {key: _bar(segments, start) for key, segments in found.items()}


def _bar(segments: Sequence[Segment], start: datetime) -> Bar:
    lengths: dict[str, float] = {}
    for each in segments:
        length = (each.end - each.start).total_seconds()
        lengths[each.column] = lengths.get(each.column, 0.0) + length
    available = DEFAULT.apply(Seconds(**lengths))
    text = percent_text(available.ratio)
    if available.ratio is None:
        label = "Availability, last 24 h: n/a, nothing is known of it"
    else:
        known, bad = duration(available.counted), duration(available.bad)
        label = f"Availability, last 24 h: {text}, {bad} of {known} not available"
    return Bar([drawn for each in segments if (drawn := _slice(each, start))], label, text)


def _slice(each: Segment, start: datetime) -> Slice | None:
    state = MAINTENANCE if each.column.startswith(PREFIX) else each.column
    height = HEIGHTS[state] * HEIGHT
    if not height:
        return None
    per_second = WIDTH / DAY.total_seconds()
    width = max(_NARROWEST, (each.end - each.start).total_seconds() * per_second)
    x = min((each.start - start).total_seconds() * per_second, WIDTH - width)
    return Slice(
        badge_for("health", state).tone,
        f"{x:.1f}",
        f"{HEIGHT - height:.0f}",
        f"{width:.1f}",
        f"{height:.0f}",
    )
