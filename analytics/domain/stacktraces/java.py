"""Java and other languages of its machine: `Throwable.printStackTrace()`, with causes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from analytics.domain.stacktraces.base import (
    CAUSE,
    MAX_LINE,
    REPORTED,
    SUPPRESSED,
    Frame,
    Library,
    ParsedException,
)

LIBRARY = Library(
    modules=(
        "java.", "javax.", "jakarta.", "jdk.", "sun.", "com.sun.", "kotlin.", "kotlinx.", "scala.",
        "groovy.", "clojure.", "akka.", "reactor.", "rx.", "io.netty.", "io.grpc.", "io.vertx.",
        "io.micrometer.", "io.opentelemetry.", "com.google.", "com.fasterxml.", "com.zaxxer.",
        "org.springframework.", "org.apache.", "org.hibernate.", "org.eclipse.", "org.jboss.",
        "org.postgresql.", "org.slf4j.", "okhttp3.", "retrofit2.", "ch.qos.",
    )
)  # fmt: skip
FAILURE_LAST = False

_FRAME = re.compile(
    r"\s*at (?:[\w.@-]*/){0,2}([^\s()]+)\.([^\s().]+)"
    r"\((Native Method|Unknown Source|[^():\s]+)(?::(\d+))?\)"
).match
_HEADER = re.compile(
    r'(?:Exception in thread "[^"]*" )?'
    r"((?:[^\W\d][\w$]*\.)*[^\W\d][\w$]*(?:/0x[0-9a-f]+)?)(?:: ?(.*))?$"
).match
_RELATIONS = (
    ("Caused by: ", CAUSE),
    ("Suppressed: ", SUPPRESSED),
    ("Wrapped by: ", CAUSE),
)
_ELIDED = re.compile(r"\s*\.\.\. \d+ (?:more|common frames omitted)").match
_NO_FILE = frozenset({"Native Method", "Unknown Source", "<generated>"})


def parse(lines: Sequence[str], library: Library) -> list[ParsedException]:
    """The exceptions of a printed stack trace: reported first, then as they are printed."""
    found: list[ParsedException] = []
    said: list[str] = []
    relation = REPORTED
    frames: list[Frame] = []

    def close() -> None:
        if said or frames:
            found.append(_exception("\n".join(said), frames[::-1], relation))

    for line in lines:
        frame = _frame(line, library)
        if frame is not None:
            frames.append(frame)
            continue
        if _ELIDED(line):
            continue
        stripped = line.strip()
        begun = next((pair for pair in _RELATIONS if stripped.startswith(pair[0])), None)
        if begun is not None:
            close()
            said, frames, relation = [stripped[len(begun[0]) :]], [], begun[1]
        elif not frames and (stripped or said):
            said.append(line.rstrip() if said else stripped)
    close()
    return found


def _exception(said: str, frames: list[Frame], relation: str) -> ParsedException:
    head, newline, rest = said.partition("\n")
    match = _HEADER(head)
    if match is None:
        return ParsedException("", said, frames, relation)
    return ParsedException(match[1], f"{match[2] or ''}{newline}{rest}".rstrip(), frames, relation)


def _frame(line: str, library: Library) -> Frame | None:
    match = _FRAME(line[:MAX_LINE])
    if match is None:
        return None
    module, function, file = match[1], match[2], match[3]
    in_app = not library.holds(module, "")
    return Frame(
        function, module, "" if file in _NO_FILE else file, int((match[4] or "0")[:9]), in_app
    )
