"""What a stack trace consists of, whatever language wrote it."""

from __future__ import annotations

from typing import NamedTuple

MAX_FRAMES = 256
MAX_EXCEPTIONS = 16


class Frame(NamedTuple):
    """One call. `in_app` tells the service's own code from its libraries; `line` is 0 if unknown."""

    function: str
    module: str
    file: str
    line: int
    in_app: bool
    context: str = ""


class ParsedException(NamedTuple):
    """One exception of a chain. Frames run from the outermost call to the one that raised."""

    type: str
    message: str
    frames: list[Frame]


class ParsedStack(NamedTuple):
    """The exceptions of a trace: the reported one first, then what caused it."""

    exceptions: list[ParsedException]
    language: str


def split_type(text: str) -> tuple[str, str]:
    """`Type: message` in its two parts; the message is "" where there is none."""
    head, separator, rest = text.partition(":")
    if separator and (not rest or rest[0] in " \t"):
        return head.strip(), rest.strip()
    return (text.strip(), "") if " " not in text.strip() else ("", text.strip())
