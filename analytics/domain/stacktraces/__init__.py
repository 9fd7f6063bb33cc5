"""Stack traces as each language prints them, parsed into exceptions and frames."""

from __future__ import annotations

import re
from collections.abc import Callable

from analytics.domain.stacktraces import dotnet, golang, java, javascript, python
from analytics.domain.stacktraces.base import Frame, ParsedException, ParsedStack

__all__ = ["Frame", "ParsedException", "ParsedStack", "parse"]

MAX_CHARACTERS = 65_536

_PARSERS: dict[str, Callable[[str], list[ParsedException]]] = {
    "python": python.parse,
    "java": java.parse,
    "javascript": javascript.parse,
    "go": golang.parse,
    "dotnet": dotnet.parse,
}
_LANGUAGES = {"nodejs": "javascript", "webjs": "javascript", "kotlin": "java", "scala": "java"}
# How each language's trace gives itself away, for senders that do not name theirs.
_SHAPES = [
    ("python", re.compile(r"^\s*[|+]?\s*(?:Exception Group )?Traceback \(most recent", re.M)),
    ("go", re.compile(r"^goroutine \d+ \[", re.M)),
    (
        "java",
        re.compile(r"^\s+at [\w.$/@<>-]+\([\w.$ ]+(?:\.(?:java|kt|scala|groovy):\d+)?\)$", re.M),
    ),
    (
        "dotnet",
        re.compile(r"^\s+at [^(\n]+\([^\n]*\) in .+:line \d+$|End of inner exception", re.M),
    ),
    ("javascript", re.compile(r"^\s+at (?:.+ \()?\S+:\d+:\d+\)?$", re.M)),
    ("dotnet", re.compile(r"^\s+at [\w.`<>]+\(", re.M)),
]


def detect(raw: str) -> str:
    """The language whose trace `raw` looks like, or ""."""
    head = raw[:8_192]
    return next((language for language, shape in _SHAPES if shape.search(head)), "")


def parse(raw: str, language: str) -> ParsedStack:
    """The exceptions and frames of a stack trace; none where it cannot be understood.

    `language` is `telemetry.sdk.language`; where it is unknown, or does not fit, the shape decides.
    """
    raw = raw[:MAX_CHARACTERS]
    stated = _LANGUAGES.get(language, language)
    for candidate in dict.fromkeys((stated, detect(raw))):
        parser = _PARSERS.get(candidate)
        exceptions = parser(raw) if parser else []
        if any(exception.frames for exception in exceptions):
            return ParsedStack(exceptions, candidate)
    return ParsedStack([], stated)
