"""JavaScript: `error.stack` of V8, what node prints of causes, and Firefox's and Safari's form."""

from __future__ import annotations

import re
from collections.abc import Sequence

from analytics.domain.stacktraces.base import (
    CAUSE,
    MAX_LINE,
    MEMBER,
    REPORTED,
    Frame,
    Library,
    ParsedException,
)

LIBRARY = Library(
    files=(
        "node_modules/", "node:", "internal/modules/", "internal/process/", "webpack/bootstrap",
        "webpack/runtime", "chrome-extension://", "moz-extension://", "/deno.land/", "ext:",
    )
)  # fmt: skip
FAILURE_LAST = False

_AT = re.compile(r"\s*at (?:async )?(.*)$").match
_CALL = re.compile(r"(.*?) \(([^()]*|eval at .*)\)$").match
_PLACE = re.compile(r"(.+?):(\d+)(?::\d+)?$").match
_EVAL = re.compile(r"eval at [^()]*\(([^()]*)\)").match
_ALIAS = re.compile(r" \[as [^\]]*\]$")
_GECKO = re.compile(r"([^@\s]*(?:/<)*)@((?:[a-z-]+://|/)\S+?):(\d+)(?::\d+)?$").match
_HEADER = re.compile(r"(?:Uncaught )?([^\W\d][\w$.]*)(?: \[\w+\])?(?:: ?(.*))?$").match
_NAMED = re.compile(r"\[?(?:Uncaught )?[\w$.]*(?:Error|Exception|Rejection)\b").match
_CAUSE = re.compile(r"(?:\{ )?(?:\[cause\]|[Cc]aused by|\[caused by)\s*: (.*)").match
_MEMBERS = re.compile(r"(?:\{ )?\[errors\]: \[").match
# An error without frames of its own, as node prints it.
_BRACKETED = re.compile(r"^\[([^\]]*)\](?: \{)?$")
# Where the engine's own code stands in place of a file.
_ENGINE = re.compile(r"<anonymous>|native|index \d+|unknown location").fullmatch
# What node prints behind a frame when more properties or errors follow.
_FOLLOWED = re.compile(r"(?: \{|,)$")


class _Open:
    """An exception while its lines are read."""

    def __init__(self, relation: str) -> None:
        self.relation = relation
        self.said: list[str] = []
        self.frames: list[Frame] = []

    def exception(self) -> ParsedException:
        type_, message = _header(self.said)
        return ParsedException(type_, message, self.frames[::-1], self.relation)


def parse(lines: Sequence[str], library: Library) -> list[ParsedException]:
    """The exceptions of `error.stack`: the reported one first, then its causes."""
    found: list[_Open] = []
    current = _Open(REPORTED)
    members = False
    for raw_line in lines:
        stripped = raw_line[:MAX_LINE].strip()
        cause = _CAUSE(stripped)
        if cause is not None:
            found.append(current)
            current = _Open(CAUSE)
            current.said.append(cause[1])
            continue
        frame = _frame(stripped, library)
        if frame is not None:
            current.frames.append(frame)
        elif _MEMBERS(stripped):
            members = True
        elif members and _NAMED(stripped):
            found.append(current)
            current = _Open(MEMBER)
            current.said.append(stripped)
        elif not current.frames:
            current.said.append(raw_line.rstrip())
    found.append(current)
    return [open_.exception() for open_ in found if open_.frames or any(open_.said)]


def _header(said: list[str]) -> tuple[str, str]:
    """Type and message out of what stands above the frames, without node's excerpt of source."""
    lines = said
    for index, line in enumerate(said):
        if _NAMED(line.strip()):
            lines = said[index:]
            break
    text = _BRACKETED.sub(r"\1", "\n".join(lines).strip())
    head, newline, rest = text.partition("\n")
    match = _HEADER(head)
    if match is None:
        return "", text
    return match[1], f"{match[2] or ''}{newline}{rest}".rstrip()


def _frame(stripped: str, library: Library) -> Frame | None:
    stripped = _FOLLOWED.sub("", stripped)
    at = _AT(stripped)
    if at is None:
        return _gecko_frame(stripped, library)
    call = _CALL(at[1])
    if call is not None:
        function, place = _ALIAS.sub("", call[1]), call[2]
    elif at[1].startswith(("file:", "/", "node:", "http:", "https:")) or _PLACE(at[1]):
        function, place = "", at[1]
    else:
        return None
    evaluated = _EVAL(place)
    if evaluated is not None:
        place = evaluated[1]
    match = _PLACE(place)
    if match is None:
        return Frame(function, "", "", 0, False) if call and _ENGINE(place) else None
    file = match[1]
    return Frame(
        function or "<anonymous>",
        "",
        file,
        int(match[2][:9]),
        not library.holds("", file),
    )


def _gecko_frame(stripped: str, library: Library) -> Frame | None:
    match = _GECKO(stripped)
    if match is None:
        return None
    file = match[2]
    return Frame(
        match[1] or "<anonymous>", "", file, int(match[3][:9]), not library.holds("", file)
    )
