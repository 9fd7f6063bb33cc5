"""The geometry of the bars on a tile: two minutes of calls, one bar for ten seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    """SVG paths in a box of `width` × `HEIGHT`, one for each part of the bars, and the ground
    under each bar that has data: where nothing came in there is none."""

    failed: str
    passed: str
    rejected: str
    ground: str
    width: int


def bars(slices: Sequence[Slice | None]) -> Bars:
    """The bars, the highest as high as the box."""
    most = max((sum(each) for each in slices if each is not None), default=0) or 1
    paths: list[list[str]] = [[], [], []]
    ground: list[str] = []
    for number, each in enumerate(slices):
        if each is None:
            continue
        x = number * SLOT + (SLOT - BAR) // 2
        ground.append(f"M{x} {HEIGHT}h{BAR}")
        floor = float(HEIGHT)
        for path, height in zip(paths, _heights(each, most), strict=True):
            if height:
                floor -= height
                path.append(f"M{x} {floor:.1f}h{BAR}v{height:.1f}h-{BAR}z")
    return Bars(*map("".join, paths), "".join(ground), len(slices) * SLOT)


def _heights(each: Slice, most: int) -> Iterable[float]:
    heights = [max(_LEAST, part / most * HEIGHT) if part else 0.0 for part in each]
    # What was lifted to be seen is taken from the tallest part.
    tallest = heights.index(max(heights))
    heights[tallest] -= max(0.0, sum(heights) - HEIGHT)
    return heights
