"""Java's `printStackTrace`, with `Caused by:` and suppressed exceptions."""

from __future__ import annotations

import re

from analytics.domain.stacktraces.base import (
    MAX_EXCEPTIONS,
    MAX_FRAMES,
    Frame,
    ParsedException,
    split_type,
)

LIBRARY_PREFIXES = (
    "java.", "javax.", "jakarta.", "jdk.", "sun.", "com.sun.", "kotlin.", "scala.", "groovy.",
    "org.springframework.", "org.apache.", "org.hibernate.", "org.eclipse.jetty.", "io.netty.",
    "io.undertow.", "reactor.", "com.zaxxer.hikari.", "org.junit.", "io.opentelemetry.",
    "com.fasterxml.jackson.", "okhttp3.", "feign.",
)  # fmt: skip
_FRAME = re.compile(
    r"^\s{0,16}at (?:[\w.$@-]{0,100}/{1,2})?(?:[\w.@-]{0,100}/)?"
    r"(?P<class>[\w.$<>-]{1,300})\.(?P<function>[\w$<>]{1,200})"
    r"\((?P<file>[^:()]{0,200})(?::(?P<line>\d{1,9}))?\)"
)
_CAUSE = re.compile(r"^\s{0,16}(?P<kind>Caused by|Suppressed): (?P<text>.{0,2000})$")
_FIRST = re.compile(
    r"^(?:Exception in thread \"[^\"]{0,200}\" )?(?P<text>[A-Za-z_$][\w.$]{1,300}(?::.{0,2000})?)$"
)


def parse(raw: str) -> list[ParsedException]:
    """The exceptions of a Java trace, reported one first."""
    found: list[ParsedException] = []
    skipping = False
    for line in raw.splitlines():
        cause = _CAUSE.match(line)
        if cause or (not found and _FIRST.match(line)):
            first = _FIRST.match(line)
            text = cause["text"] if cause else (first["text"] if first else "")
            # A suppressed exception was raised while cleaning up: it is no cause.
            skipping = bool(cause and cause["kind"] == "Suppressed")
            if not skipping and len(found) < MAX_EXCEPTIONS:
                found.append(ParsedException(*split_type(text), []))
            continue
        match = _FRAME.match(line)
        if match and found and not skipping and len(found[-1].frames) < MAX_FRAMES:
            name = match["class"]
            found[-1].frames.append(
                Frame(
                    match["function"], name, match["file"], int(match["line"] or 0),
                    not name.startswith(LIBRARY_PREFIXES),
                )
            )  # fmt: skip
    return [exception._replace(frames=exception.frames[::-1]) for exception in found]
