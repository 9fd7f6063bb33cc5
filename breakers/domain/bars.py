"""The bars on a tile, drawn as SVG paths: two minutes of calls, one bar for ten seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

SLOT: Final = 10
BAR: Final = 8
HEIGHT: Final = 100
# What is there must be seen, however little it is beside the rest.
_LEAST: Final = 5


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
        first, second, third = each
        low = max(_LEAST, round(first * scale)) if first else 0
        above = max(_LEAST, round(third * scale)) if third else 0
        middle = max(_LEAST, round(second * scale)) if second else 0
        top = min(HEIGHT, low + middle + above)
        if low:
            failed += f"M{x} {HEIGHT - low}h{BAR}v{low}h-{BAR}z"
        if middle:
            height = max(0, top - above - low)
            passed += f"M{x} {HEIGHT - low - height}h{BAR}v{height}h-{BAR}z"
        if above:
            rejected += f"M{x} {HEIGHT - top}h{BAR}v{above}h-{BAR}z"
    return Bars(failed, passed, rejected, ground)
