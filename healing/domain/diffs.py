"""What changed between two texts, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

CONTEXT = 3


@dataclass(frozen=True)
class DiffLine:
    """One line: `old` and `new` are its numbers in both texts, None where it is not in there. A
    `gap` stands for lines that are the same in both."""

    kind: Literal["same", "removed", "added", "gap"]
    text: str = ""
    old: int | None = None
    new: int | None = None


def text_diff(before: str, after: str) -> list[DiffLine]:
    """The changed lines with three lines around them; empty where the texts are the same."""
    old, new = before.splitlines(), after.splitlines()
    if old == new:
        return []
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    lines: list[DiffLine] = []
    seen_old = 0
    for group in matcher.get_grouped_opcodes(CONTEXT):
        if group[0][1] > seen_old:
            lines.append(DiffLine("gap"))
        for tag, i1, i2, j1, j2 in group:
            lines += _lines(tag, old, new, (i1, i2, j1, j2))
        seen_old = group[-1][2]
    if seen_old < len(old):
        lines.append(DiffLine("gap"))
    return lines


def _lines(
    tag: str, old: list[str], new: list[str], span: tuple[int, int, int, int]
) -> Iterator[DiffLine]:
    i1, i2, j1, j2 = span
    if tag == "equal":
        for n in range(i2 - i1):
            yield DiffLine("same", old[i1 + n], i1 + n + 1, j1 + n + 1)
        return
    for i in range(i1, i2):
        yield DiffLine("removed", old[i], i + 1, None)
    for j in range(j1, j2):
        yield DiffLine("added", new[j], None, j + 1)
