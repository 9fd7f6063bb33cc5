"""Python: `traceback.format_exc()`, with chains and exception groups."""

from __future__ import annotations

import re
from collections.abc import Sequence

from analytics.domain.stacktraces.base import (
    CAUSE,
    CONTEXT,
    MAX_CONTEXT,
    MAX_LINE,
    MEMBER,
    REPORTED,
    Frame,
    Library,
    ParsedException,
)

LIBRARY = Library(
    files=(
        "site-packages/",
        "dist-packages/",
        "/lib/python3",
        "/lib/pypy3",
        "/Lib/",
        "<frozen ",
        "/var/lang/",
    )
)
FAILURE_LAST = True

_FRAME = re.compile(r'\s*File "(.+?)", line (\d+)(?:, in (.+))?').match
_TYPE = re.compile(r"([^\W\d][\w.]*)(?:: ?(.*))?$", re.S).match
# The bars and separators of exception groups stand at a column that tells the depth.
_BAR = re.compile(r"( *)([|+])(?: |$|(?=-))").match
_MEMBER_LINE = re.compile(r"(?:\+-)?\+?-+(?: (\d+|\.\.\.) -+)?$").match
_CAUSED = "The above exception was the direct cause of the following exception:"
_DURING = "During handling of the above exception, another exception occurred:"
_REPEATED = re.compile(r"\s*\[Previous line repeated \d+ more times?\]").match


class _Block:
    """One traceback with its closing `Type: message`, while its lines are read."""

    def __init__(self, place: tuple[int, ...], relation: str) -> None:
        self.place = place
        self.relation = relation
        self.frames: list[Frame] = []
        self.said: list[str] = []

    def exception(self) -> ParsedException:
        text = "\n".join(self.said).rstrip()
        match = _TYPE(text)
        if match is None:
            return ParsedException("", text, self.frames, self.relation)
        return ParsedException(match[1], match[2] or "", self.frames, self.relation)


class _Reader:
    """Reads tracebacks line by line.

    A block's place is its position in the tree: members of a group come after the group and,
    along a chain, later blocks before the earlier ones that they followed from.
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self.blocks: list[_Block] = []
        self.place: tuple[int, ...] = (0,)
        self.relation = REPORTED
        self.block: _Block | None = None

    def begin(self) -> _Block:
        self.block = _Block(self.place, self.relation)
        self.blocks.append(self.block)
        return self.block

    def chain(self, relation: str) -> None:
        """What follows was raised after what came before it, at the same depth."""
        *above, index = self.place
        for block in self.blocks:
            if block.place == self.place:
                self.relation, block.relation = block.relation, relation
        self.place = (*above, index - 1)
        self.block = None

    def member(self, depth: int, number: int) -> None:
        """What follows is a member of the group that encloses this depth."""
        above = self.place[: 1 + 2 * max(0, depth - 1)]
        self.place = (*above, number, 0)
        self.relation = MEMBER
        self.block = None

    def line(self, line: str, depth: int) -> None:
        if len(self.place) > 1 + 2 * depth and line:
            self.place = self.place[: 1 + 2 * depth]
            self.block = None
        stripped = line.strip()
        if stripped in (_CAUSED, _DURING):
            self.chain(CAUSE if stripped == _CAUSED else CONTEXT)
        elif stripped.endswith("Traceback (most recent call last):"):
            if self.block is not None and not self.block.frames:
                # What a log wrote above the traceback is no exception.
                self.blocks.remove(self.block)
            self.begin()
        else:
            self.content(line, stripped)

    def content(self, line: str, stripped: str) -> None:
        frame = _FRAME(line[:MAX_LINE])
        block = self.block
        if frame is not None and (block is None or not block.said):
            block = block or self.begin()
            file = frame[1]
            in_app = not self.library.holds("", file)
            function = (frame[3] or "").strip()
            block.frames.append(Frame(function, "", file, int(frame[2][:9]), in_app))
        elif block is None:
            if stripped and line[0] != " ":
                self.begin().said.append(line)
        elif block.said or not line.startswith(" "):
            if stripped or block.said:
                block.said.append(line)
        elif (
            block.frames
            and not block.frames[-1].context
            and stripped.strip("~^ ")
            and not _REPEATED(line)
        ):
            block.frames[-1] = block.frames[-1]._replace(context=stripped[:MAX_CONTEXT])


def parse(lines: Sequence[str], library: Library) -> list[ParsedException]:
    """The exceptions of a traceback: reported first, then causes, members after their group."""
    reader = _Reader(library)
    for line in lines:
        bar = _BAR(line)
        if bar is None:
            reader.line(line, 0)
            continue
        depth = max(0, (len(bar[1]) - 2) // 2)
        rest = line[bar.end() :] if bar[2] == "|" else line[len(bar[1]) :]
        member = _MEMBER_LINE(rest) if bar[2] == "+" else None
        if member is None:
            reader.line(rest.removeprefix("+ "), depth)
        elif member[1]:
            number = int(member[1][:9]) if member[1].isdecimal() else 1_000
            # The first separator stands one step to the left of its members.
            reader.member(depth + 1 if rest.startswith("+-+") else depth, number)
    found = [block for block in reader.blocks if block.frames or block.said]
    found.sort(key=lambda block: block.place)
    return [block.exception() for block in found]
