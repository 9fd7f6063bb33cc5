"""Python's `traceback.format_exc`, with causes, contexts and exception groups."""

from __future__ import annotations

import re

from analytics.domain.stacktraces.base import (
    MAX_EXCEPTIONS,
    MAX_FRAMES,
    Frame,
    ParsedException,
    split_type,
)

LIBRARY_PARTS = ("site-packages/", "dist-packages/", "lib/python", "<frozen ", "<string>")
# Members of an exception group are indented behind a bar.
_MARGIN = re.compile(r"^[ ]{0,32}[|+](?: |$)")
_HEADER = re.compile(r"^(?:Exception Group )?Traceback \(most recent call last\):\s*$")
_FRAME = re.compile(
    r'^  File "(?P<file>[^"]{1,1000})", line (?P<line>\d{1,9})(?:, in (?P<function>.{1,300}))?$'
)
_TYPE = re.compile(r"^[A-Za-z_][\w.]{0,300}(?::|$)")


def _in_app(file: str) -> bool:
    path = file.replace("\\", "/")
    return not any(part in path for part in LIBRARY_PARTS)


def _module(file: str) -> str:
    path = file.replace("\\", "/")
    for root in ("site-packages/", "dist-packages/"):
        if root in path:
            return path.rsplit(root, 1)[1].removesuffix(".py").replace("/", ".")
    # The last two folders tell files apart; where the checkout lies does not matter.
    return ".".join(path.removesuffix(".py").strip("/").split("/")[-3:])


def parse(raw: str) -> list[ParsedException]:
    """The exceptions of a Python trace, reported one first."""
    found: list[ParsedException] = []
    frames: list[Frame] = []
    inside = False
    for line in raw.splitlines():
        text = _MARGIN.sub("", line)
        if _HEADER.match(text):
            frames, inside = [], True
            continue
        if not inside:
            continue
        match = _FRAME.match(text)
        if match:
            if len(frames) < MAX_FRAMES:
                file = match["file"]
                frames.append(
                    Frame(
                        match["function"] or "<module>", _module(file), file,
                        int(match["line"]), _in_app(file),
                    )
                )  # fmt: skip
        elif text.startswith("    ") and frames:
            code = text.strip()
            if code.strip("^~ ") and not frames[-1].context:
                frames[-1] = frames[-1]._replace(context=code[:300])
        elif text and not text.startswith(" ") and _TYPE.match(text):
            type_, message = split_type(text)
            found.append(ParsedException(type_, message, frames))
            frames, inside = [], False
    # Python prints the cause first and the reported exception last.
    return found[-MAX_EXCEPTIONS:][::-1]
