"""From changes of state and maintenance windows to seconds by state, and from those to availability.

Seconds are kept in ten columns (`COLUMNS`): the five states outside of maintenance and the same
five in it. What counts as good or bad is said by a `Policy`, when they are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import chain, pairwise
from typing import Final, NamedTuple

from health.domain.timeline import Stretch
from health.domain.windows import Span

STATES: Final = ("up", "degraded", "down", "unreachable", "unknown")
MAINTENANCE: Final = "maintenance"
PREFIX: Final = "maintenance_"
COLUMNS: Final = (*STATES, *(PREFIX + state for state in STATES))
_IN_MAINTENANCE: Final = {state: PREFIX + state for state in STATES}


class Seconds(NamedTuple):
    """Seconds by column, in the order of `COLUMNS`."""

    up: float = 0.0
    degraded: float = 0.0
    down: float = 0.0
    unreachable: float = 0.0
    unknown: float = 0.0
    maintenance_up: float = 0.0
    maintenance_degraded: float = 0.0
    maintenance_down: float = 0.0
    maintenance_unreachable: float = 0.0
    maintenance_unknown: float = 0.0

    def of(self, columns: Iterable[str]) -> float:
        """The sum of some columns."""
        return float(sum(getattr(self, column) for column in columns))

    @property
    def maintenance(self) -> float:
        return sum(self[len(STATES) :])


def total(rows: Iterable[Seconds]) -> Seconds:
    """Column by column."""
    columns = list(zip(*rows, strict=True))
    return Seconds(*map(sum, columns)) if columns else Seconds()


@dataclass(frozen=True)
class Policy:
    """Which columns count as good and which as bad; all others are left out of the denominator.

    Raises `ValueError` for a column that there is not, or that is both.
    """

    good: frozenset[str]
    bad: frozenset[str]

    def __post_init__(self) -> None:
        strange = (self.good | self.bad) - set(COLUMNS)
        if strange:
            raise ValueError(f"no columns of seconds: {', '.join(sorted(strange))}")
        both = self.good & self.bad
        if both:
            raise ValueError(f"both good and bad: {', '.join(sorted(both))}")

    def apply(self, seconds: Seconds) -> Availability:
        good, bad = seconds.of(self.good), seconds.of(self.bad)
        return Availability(good, bad, max(0.0, sum(seconds) - good - bad))


DEFAULT: Final = Policy(good=frozenset({"up", "degraded"}), bad=frozenset({"down", "unreachable"}))


@dataclass(frozen=True)
class Availability:
    """Seconds that counted as good, as bad, and that were left out."""

    good: float
    bad: float
    excluded: float

    @property
    def counted(self) -> float:
        """The denominator: the seconds of which it is known how they were."""
        return self.good + self.bad

    @property
    def ratio(self) -> float | None:
        """The good share of the counted seconds, 0..1; None without any."""
        return self.good / self.counted if self.counted > 0 else None

    def budget(self, target: float) -> float:
        """The bad seconds that a target (0..1) allows in the counted time."""
        return (1.0 - target) * self.counted

    def budget_left(self, target: float) -> float:
        """What is left of them; negative exactly when the target is missed."""
        return self.budget(target) - self.bad

    def met(self, target: float) -> bool | None:
        """Whether the target is met; None without data."""
        return None if self.ratio is None else self.budget_left(target) >= 0


def percent_text(ratio: float | None) -> str:
    """`99.951 %`: three decimals, cut and never rounded up; `n/a` without data."""
    if ratio is None:
        return "n/a"
    # A hundred thousandths, with what floating point took away put back.
    share = int(ratio * 100_000 + 1e-6)
    return f"{share // 1_000}.{share % 1_000:03d} %"


def underlying(state: str, own_state: str, blamed: bool) -> str:
    """The state without maintenance that a change of state tells of; `blamed`: it names a culprit."""
    if state != MAINTENANCE:
        return state
    if not blamed:
        return own_state
    return "unreachable" if own_state == "down" else "degraded"


class Segment(NamedTuple):
    """A column of `COLUMNS` from `start` to `end`."""

    start: datetime
    end: datetime
    column: str


def segments(stretches: Sequence[Stretch], windows: Sequence[Span]) -> list[Segment]:
    """Stretches in order and without gaps, split by windows that are in order and do not overlap."""
    if not windows:
        return [Segment(each.start, each.end, each.state) for each in stretches]
    found: list[Segment] = []
    first = 0
    for each in stretches:
        at = each.start
        while first < len(windows) and windows[first].ends_at <= at:
            first += 1
        for index in range(first, len(windows)):
            window = windows[index]
            if window.starts_at >= each.end:
                break
            if window.starts_at > at:
                found.append(Segment(at, window.starts_at, each.state))
                at = window.starts_at
            until = min(window.ends_at, each.end)
            found.append(Segment(at, until, _IN_MAINTENANCE[each.state]))
            at = until
        if at < each.end:
            found.append(Segment(at, each.end, each.state))
    return found


# From the worst; what is not known or in maintenance says nothing while another check does.
_RANKS: Final = {
    column: rank
    for rank, column in enumerate(
        [
            "down",
            "unreachable",
            "degraded",
            "up",
            "unknown",
            "maintenance_down",
            "maintenance_unreachable",
            "maintenance_degraded",
            "maintenance_up",
            "maintenance_unknown",
        ]
    )
}


def combined(parts: Sequence[Sequence[Segment]]) -> list[Segment]:
    """At each moment the worst of several checks, each given over the same time without gaps.

    A moment is bad as soon as one check is bad, and good when one is good and none is bad.
    """
    if len(parts) == 1:
        return list(parts[0])
    cuts = sorted({moment for each in chain(*parts) for moment in (each.start, each.end)})
    places = [0] * len(parts)
    found: list[Segment] = []
    for start, end in pairwise(cuts):
        worst = "maintenance_unknown"
        for number, part in enumerate(parts):
            while part[places[number]].end <= start:
                places[number] += 1
            worst = min(worst, part[places[number]].column, key=_RANKS.__getitem__)
        if found and found[-1].column == worst:
            found[-1] = Segment(found[-1].start, end, worst)
        else:
            found.append(Segment(start, end, worst))
    return found


def sums(
    parts: Sequence[Segment], start: datetime, width: timedelta
) -> Iterator[tuple[datetime, Seconds]]:
    """The seconds of each bin of `width` from `start` on, of segments without gaps from there on."""
    full = _full(width)
    held: dict[str, float] = {}
    for part in parts:
        at = part.start
        while at < part.end:
            end = min(start + width, part.end)
            if end - at == width:
                yield start, full[part.column]
                start = at = end
                continue
            held[part.column] = held.get(part.column, 0.0) + (end - at).total_seconds()
            at = end
            if end == start + width:
                yield start, Seconds(**held)
                held, start = {}, end
    if held:
        yield start, Seconds(**held)


@cache
def _full(width: timedelta) -> dict[str, Seconds]:
    """A bin that is all in one column."""
    return {column: Seconds(**{column: width.total_seconds()}) for column in COLUMNS}
