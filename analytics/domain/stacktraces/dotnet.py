""".NET's `Exception.ToString()`, with inner exceptions."""

from __future__ import annotations

import re

from analytics.domain.stacktraces.base import (
    MAX_EXCEPTIONS,
    MAX_FRAMES,
    Frame,
    ParsedException,
    split_type,
)

LIBRARY_PREFIXES = ("System.", "Microsoft.", "Npgsql.", "StackExchange.", "Grpc.", "OpenTelemetry.")
_FRAME = re.compile(
    r"^\s{1,16}at (?P<name>[^(\n]{1,400})\([^\n]{0,500}?\)(?: in (?P<file>.{1,1000}?):line (?P<line>\d{1,9}))?$"
)
_END_INNER = re.compile(r"^\s{1,16}--- End of inner exception stack trace ---$")
_GENERATED = re.compile(r"<(?P<method>\w{1,200})>[db]__\d{1,9}(?:_\d{1,9})?")


def _frame(match: re.Match[str]) -> Frame:
    # An async method runs as `Class.<Method>d__3.MoveNext()`.
    name = _GENERATED.sub(r"\g<method>", match["name"]).removesuffix(".MoveNext")
    module, _, function = name.rpartition(".")
    return Frame(
        function, module, match["file"] or "", int(match["line"] or 0),
        not name.startswith(LIBRARY_PREFIXES),
    )  # fmt: skip


def parse(raw: str) -> list[ParsedException]:
    """The exceptions of a .NET trace, reported one first.

    The text nests: the heads come first, outermost first, then the frames, innermost first.
    """
    heads: list[tuple[str, str]] = []
    frames: list[list[Frame]] = []
    open_heads: list[int] = []
    for line in raw.splitlines():
        match = _FRAME.match(line)
        if match:
            if open_heads and len(frames[open_heads[-1]]) < MAX_FRAMES:
                frames[open_heads[-1]].append(_frame(match))
        elif _END_INNER.match(line):
            if len(open_heads) > 1:
                open_heads.pop()
        elif not heads or line.lstrip().startswith("---> "):
            for part in line.strip().removeprefix("---> ").split(" ---> "):
                if len(heads) < MAX_EXCEPTIONS and part:
                    text = re.sub(r"^\(Inner Exception #\d{1,4}\) ", "", part)
                    heads.append(split_type(text))
                    frames.append([])
                    open_heads.append(len(heads) - 1)
    return [
        ParsedException(type_, message, own[::-1])
        for (type_, message), own in zip(heads, frames, strict=True)
    ]
