""".NET: `Exception.ToString()`, with inner exceptions and asynchronous calls."""

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
    modules=(
        "System.", "Microsoft.", "MS.", "Internal.", "Interop.", "Npgsql.", "StackExchange.",
        "Newtonsoft.", "Grpc.", "Polly.", "OpenTelemetry.", "Azure.", "Xunit.", "NUnit.", "FSharp.",
    ),
    files=("/_/src/",),
)  # fmt: skip
FAILURE_LAST = False

_FRAME = re.compile(
    r"\s+at (\S+?)\(([^()]*(?:\([^()]*\)[^()]*)*)\)(?: in (.+):line (\d+))?\s*$"
).match
_HEADER = re.compile(
    r"(?:Unhandled exception\. )?([^\W\d][\w.+`]*)(?: \(0x[0-9A-Fa-f]+\))?(?:: ?(.*))?$"
).match
_END_OF_INNER = re.compile(r"\s*--- End of inner exception stack trace ---").match
_MEMBER = re.compile(r"\(Inner Exception #(\d+)\) ").match
_ARROW = "---> "
_CLOSING = "<---"
# A state machine or a lambda carries the name of the method that it was written in.
_WRITTEN_IN = re.compile(
    r"(.*?)\.?<{1,2}(\w+)>(?:g__(\w+)\|\w*|[a-z]__[\w|]*)(?:>d(?:__\w+)?)?(?:\.MoveNext)?$"
).match
_CLOSURE = re.compile(r"\.<>c(?:__DisplayClass[\w]*)?$")


class _Open:
    """An exception while its lines are read."""

    def __init__(self, said: str, relation: str) -> None:
        self.said = [said]
        self.relation = relation
        self.frames: list[Frame] = []

    def exception(self) -> ParsedException:
        head, newline, rest = "\n".join(self.said).partition("\n")
        match = _HEADER(head)
        type_, first = (match[1], match[2] or "") if match else ("", head)
        return ParsedException(
            type_, f"{first}{newline}{rest}".rstrip(), self.frames[::-1], self.relation
        )


def parse(lines: Sequence[str], library: Library) -> list[ParsedException]:
    """The exceptions of `ToString()`: the reported one first, then the inner ones."""
    found: list[_Open] = []
    # Headers are printed from the outside in, the frames from the inside out.
    unfinished: list[_Open] = []
    for raw_line in lines:
        line = raw_line.rstrip()
        closing = line.endswith(_CLOSING)
        if closing:
            line = line[: -len(_CLOSING)]
        frame = _frame(line, library)
        if frame is not None:
            if not unfinished:
                found.append(_Open("", REPORTED))
                unfinished.append(found[-1])
            unfinished[-1].frames.append(frame)
        elif _END_OF_INNER(line):
            if len(unfinished) > 1:
                unfinished.pop()
        elif line.lstrip().startswith("--- End of "):
            continue
        else:
            _words(line.strip(), found, unfinished)
        if closing and len(unfinished) > 1:
            unfinished.pop()
    return [open_.exception() for open_ in found if open_.frames or any(open_.said)]


def _words(stripped: str, found: list[_Open], unfinished: list[_Open]) -> None:
    if stripped.startswith(_ARROW):
        stripped = stripped[len(_ARROW) :]
    elif unfinished:
        if stripped and not unfinished[-1].frames:
            unfinished[-1].said.append(stripped)
        return
    # The older form puts the whole chain of headers on one line.
    for part in stripped.split(f" {_ARROW}"):
        member = _MEMBER(part)
        if member is not None:
            part = part[member.end() :]
        if not part:
            continue
        relation = REPORTED if not found else MEMBER if member is not None else CAUSE
        found.append(_Open(part, relation))
        unfinished.append(found[-1])


def _frame(line: str, library: Library) -> Frame | None:
    match = _FRAME(line[:MAX_LINE])
    # Parameters are types with names, where Java and JavaScript put the file.
    if match is None or (match[2] and " " not in match[2]):
        return None
    module, function = _split(match[1])
    file = match[3] or ""
    in_app = not library.holds(module, file) and not function.startswith("lambda_method")
    return Frame(function, module, file, int((match[4] or "0")[:9]), in_app)


def _split(name: str) -> tuple[str, str]:
    if name.endswith("]"):
        name = name[: name.rfind("[")]
    written_in = _WRITTEN_IN(name)
    if written_in is not None:
        module = _CLOSURE.sub("", written_in[1])
        return module, written_in[3] or written_in[2]
    for constructor in ("..ctor", "..cctor"):
        if name.endswith(constructor):
            return name[: -len(constructor)], constructor[1:]
    module, _, function = name.rpartition(".")
    return module, function
