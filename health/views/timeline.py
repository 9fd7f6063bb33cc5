"""The states of a check over a range as one bar. Pure, but for the colours, which are the page's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from health.domain.timeline import Stretch, Turn, stretches
from health.models import Check, StateChange
from health.views.bars import HEIGHTS
from resilience_site.core.badges import Badge, badge_for
from resilience_site.core.formatting import duration, exact
from resilience_site.core.timerange import TimeRange

WIDTH, HEIGHT = 1000.0, 32.0
_NARROWEST, _LOWEST = 1.5, 2.0
# More would not be told apart.
MOST_CHANGES: Final = 300


@dataclass(frozen=True)
class Segment:
    """One state of the bar; its place is in units of the drawing."""

    state: str
    tone: str
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Share:
    """How long a state held in the range."""

    badge: Badge
    seconds: float
    percent: str


@dataclass(frozen=True)
class Timeline:
    """The bar, what it says in words, and the time in each state, longest first."""

    segments: Sequence[Segment]
    shares: Sequence[Share]
    label: str
    width: float = WIDTH
    height: float = HEIGHT


def timeline(changes: Sequence[StateChange], within: TimeRange, check: Check) -> Timeline | None:
    """The bar of `within` from the changes that shape it. None where the check is younger."""
    start = max(within.since, check.created_at) if not changes else within.since
    if start >= within.until:
        return None
    turns = [Turn(each.since, each.from_state, each.state) for each in changes]
    found = stretches(turns, within.since, within.until, check.status.state)
    return Timeline([_segment(each, within) for each in found], _shares(found), _label(found))


def _segment(each: Stretch, within: TimeRange) -> Segment:
    badge = badge_for("health", each.state)
    height = max(_LOWEST, HEIGHTS[each.state] * HEIGHT)
    per_second = WIDTH / within.length.total_seconds()
    width = max(_NARROWEST, each.seconds * per_second)
    x = min((each.start - within.since).total_seconds() * per_second, WIDTH - width)
    title = f"{badge.word} for {duration(each.seconds)} from {exact(each.start)}"
    return Segment(each.state, badge.tone, x, HEIGHT - height, width, height, title)


def _shares(found: Sequence[Stretch]) -> list[Share]:
    seconds: dict[str, float] = {}
    for each in found:
        seconds[each.state] = seconds.get(each.state, 0.0) + each.seconds
    whole = sum(seconds.values()) or 1.0
    ordered = sorted(seconds.items(), key=lambda pair: -pair[1])
    return [
        Share(badge_for("health", state), length, f"{100 * length / whole:.3f} %")
        for state, length in ordered
    ]


def _label(found: Sequence[Stretch]) -> str:
    words = [f"{badge_for('health', each.state).word} {duration(each.seconds)}" for each in found]
    if len(words) > 6:
        return f"State over time, {len(words)} stretches; the table of changes lists them"
    return f"State over time: {', '.join(words)}"
