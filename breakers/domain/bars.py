"""The bars on a tile, drawn as SVG paths: two minutes of calls, one bar for ten seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

SLOT: Final = 10
BAR: Final = 8
HEIGHT: Final = 30
# What is there must be seen, however little it is beside the rest.
_LEAST: Final = 1.5


class Slice(NamedTuple):
    """Calls of one bar: failed ones stand at the bottom, rejected ones on top."""

    failed: int
    passed: int
    rejected: int


class Bars(NamedTuple):
    """Paths in a box that is `HEIGHT` high, one for each part of the bars, and the ground under
    each bar that has data: where nothing came in there is none."""

    failed: str
    passed: str
    rejected: str
    ground: str


def highest(slices: Sequence[Slice | None]) -> int:
    """The calls of the highest bar."""
    return max((sum(each) for each in slices if each is not None), default=0)


def bars(slices: Sequence[Slice | None], most: int | None = None) -> Bars:
    """The bars; one of `most` calls, or else the highest, is as high as the box."""
    most = highest(slices) if most is None else most
    scale = HEIGHT / most if most else 0.0
    failed, passed, rejected, ground = "", "", "", ""
    for number, each in enumerate(slices):
        if each is None:
            continue
        x = number * SLOT + (SLOT - BAR) // 2
        ground += f"M{x} {HEIGHT}h{BAR}"
        # Counted from the ground up.
        first = max(_LEAST, each.failed * scale) if each.failed else 0.0
        third = max(_LEAST, each.rejected * scale) if each.rejected else 0.0
        second = max(_LEAST, each.passed * scale) if each.passed else 0.0
        top = min(HEIGHT, first + second + third)
        if first:
            failed += _bar(x, 0.0, first)
        if second:
            passed += _bar(x, first, top - third)
        if third:
            rejected += _bar(x, top - third, top)
    return Bars(failed, passed, rejected, ground)


def _bar(x: int, low: float, high: float) -> str:
    height = max(0.0, high - low)
    return f"M{x} {HEIGHT - high:.1f}h{BAR}v{height:.1f}h-{BAR}z"
