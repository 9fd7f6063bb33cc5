"""Stack traces as frames: raw text in the language's own form becomes `ParsedStack`.

Exceptions come reported first, causes after; frames come outermost call first, the one that
threw last. Text that is no stack trace gives no frames, never an error.
"""

from __future__ import annotations

from collections.abc import Mapping

from analytics.domain.stacktraces import dotnet, go, java, javascript, python
from analytics.domain.stacktraces.base import (
    MAX_FRAMES,
    MAX_LINES,
    MAX_RAW,
    Frame,
    Library,
    ParsedException,
    ParsedStack,
    Parser,
    trimmed,
)

__all__ = [
    "DEFAULT_LIBRARIES",
    "MAX_FRAMES",
    "MAX_RAW",
    "Frame",
    "Library",
    "ParsedException",
    "ParsedStack",
    "parse",
]

# In the order in which they are tried when the language is unknown: the most telling form first.
_PARSERS: dict[str, Parser] = {
    "python": python,
    "go": go,
    "java": java,
    "javascript": javascript,
    "dotnet": dotnet,
}
# The values of telemetry.sdk.language, and what people write by hand.
_LANGUAGES = {
    "python": "python",
    "java": "java",
    "kotlin": "java",
    "scala": "java",
    "nodejs": "javascript",
    "webjs": "javascript",
    "javascript": "javascript",
    "typescript": "javascript",
    "go": "go",
    "golang": "go",
    "dotnet": "dotnet",
    "csharp": "dotnet",
}

DEFAULT_LIBRARIES: Mapping[str, Library] = {
    language: parser.LIBRARY for language, parser in _PARSERS.items()
}


def parse(
    raw: str, language: str = "", libraries: Mapping[str, Library] = DEFAULT_LIBRARIES
) -> ParsedStack:
    """Parse a stack trace of a language, as telemetry.sdk.language names it.

    Where the language is unknown or does not fit, the form tells. At most `MAX_RAW` characters and
    `MAX_LINES` lines are read, and `MAX_FRAMES` frames kept. `libraries` says per language which
    frames are not the service's own.
    """
    named = _LANGUAGES.get(language[:50].lower(), "")
    first: list[ParsedException] = []
    if named:
        first = _parse(raw, named, libraries)
        if any(exception.frames for exception in first):
            return ParsedStack(first, named)
    for candidate in _PARSERS:
        if candidate != named:
            found = _parse(raw, candidate, libraries)
            if any(exception.frames for exception in found):
                return ParsedStack(found, candidate)
    return ParsedStack(first, named)


def _parse(raw: str, language: str, libraries: Mapping[str, Library]) -> list[ParsedException]:
    parser = _PARSERS[language]
    library = libraries.get(language, parser.LIBRARY)
    if parser.FAILURE_LAST:
        # The first line of a text cut off at its beginning is half a line.
        lines = raw[-MAX_RAW:].splitlines()[len(raw) > MAX_RAW :][-MAX_LINES:]
    else:
        lines = raw[:MAX_RAW].splitlines()[:MAX_LINES]
    return trimmed(parser.parse(lines, library))
