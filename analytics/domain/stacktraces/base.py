"""What every language's stack trace becomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

MAX_RAW = 65_536
MAX_LINES = 3_000
MAX_FRAMES = 256
MAX_EXCEPTIONS = 64
# Longer lines are data in a message; a frame's line is cut to this before it is read.
MAX_LINE = 1_024
MAX_MESSAGE = 8_192
MAX_CONTEXT = 200

# How an exception stands to the one before it: "" is the exception that was reported.
REPORTED, CAUSE, CONTEXT, SUPPRESSED, MEMBER = "", "cause", "context", "suppressed", "member"


class Frame(NamedTuple):
    """One call. `module` is the package or class ("" where traces name only files), `file` ""
    and `line` 0 where unknown, `context` the source line where the trace carries it."""

    function: str
    module: str
    file: str
    line: int
    in_app: bool
    context: str = ""


class ParsedException(NamedTuple):
    """One exception of a chain; frames run from the outermost call to the one that threw.

    `relation` says how it led to the exception that it was chained to: "" is the one reported.
    """

    type: str
    message: str
    frames: list[Frame]
    relation: str = REPORTED


class ParsedStack(NamedTuple):
    """The reported exception first, then what caused it, deeper and deeper.

    `language` is python, java, javascript, go, dotnet, or "" when no form was recognised.
    """

    exceptions: list[ParsedException]
    language: str


class Library(NamedTuple):
    """What is not the service's own code: beginnings of modules, and parts of file names.

    `own` and `foreign` are what an installation says about it: beginnings of modules, or of the
    path from any folder on; both come before the rest, and `own` before `foreign`.
    """

    modules: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    def holds(self, module: str, file: str) -> bool:
        if self.own and _begins(self.own, module, file):
            return False
        if self.foreign and _begins(self.foreign, module, file):
            return True
        if module and module.startswith(self.modules):
            return True
        if not file:
            return False
        path = file.replace("\\", "/")
        return any(part in path for part in self.files)


def _begins(beginnings: Sequence[str], module: str, file: str) -> bool:
    path = file.replace("\\", "/")
    return any(
        module.startswith(each) or path.startswith(each) or f"/{each.lstrip('/')}" in path
        for each in beginnings
    )


class Parser(Protocol):
    """One language's module; `FAILURE_LAST` says which end of too long a text is read."""

    LIBRARY: Library
    FAILURE_LAST: bool

    def parse(self, lines: Sequence[str], library: Library) -> list[ParsedException]: ...


def trimmed(exceptions: list[ParsedException]) -> list[ParsedException]:
    """The exceptions within the limits; the frames nearest to the failure are kept."""
    left = MAX_FRAMES
    kept = []
    for exception in exceptions[:MAX_EXCEPTIONS]:
        frames = exception.frames[-left:] if left else []
        left -= len(frames)
        kept.append(
            exception._replace(message=exception.message[:MAX_MESSAGE].rstrip(), frames=frames)
        )
    return kept
