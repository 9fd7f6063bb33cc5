"""V8's `error.stack` (Node.js, Chromium), with `[cause]` as Node prints it, and Firefox's form."""

from __future__ import annotations

import re

from analytics.domain.stacktraces.base import (
    MAX_EXCEPTIONS,
    MAX_FRAMES,
    Frame,
    ParsedException,
    split_type,
)

_FRAME = re.compile(
    r"^\s{0,32}at (?:(?P<function>[^()]{1,300}) \()?(?P<file>[^()\s][^()]{0,1000}?)"
    r":(?P<line>\d{1,9})(?::\d{1,9})?\)?(?: \{)?$"
)
_NATIVE = re.compile(r"^\s{0,32}at (?P<function>[^()]{1,300}) \((?P<file><anonymous>|native)\)$")
_FIREFOX = re.compile(
    r"^(?P<function>[^@\s]{0,300})@(?P<file>\S{1,1000}?):(?P<line>\d{1,9})(?::\d{1,9})?$"
)
_CAUSE = re.compile(r"^\s{0,32}(?:\[cause\]|Caused by): (?P<text>.{1,2000})$")


def _in_app(file: str) -> bool:
    return not (
        file.startswith(("node:", "internal/", "<anonymous>", "native"))
        or "node_modules/" in file.replace("\\", "/")
    )


def _module(file: str) -> str:
    path = re.sub(r"^(?:file|https?)://[^/]{0,300}", "", file).replace("\\", "/").split("?")[0]
    path = path.rsplit("node_modules/", 1)[-1]
    # Bundlers put a content hash into file names.
    path = re.sub(r"[.-][0-9a-f]{8,64}(?=\.)", "", path)
    return "/".join(path.strip("/").split("/")[-3:])


def parse(raw: str) -> list[ParsedException]:
    """The exceptions of a JavaScript trace, reported one first."""
    found: list[ParsedException] = []
    for line in raw.splitlines():
        match = _FRAME.match(line) or _NATIVE.match(line) or _FIREFOX.match(line)
        if match:
            if not found:
                found.append(ParsedException("", "", []))
            if len(found[-1].frames) < MAX_FRAMES:
                groups = match.groupdict()
                file = groups["file"]
                function = (groups.get("function") or "<anonymous>").removeprefix("async ")
                found[-1].frames.append(
                    Frame(
                        function, _module(file), file, int(groups.get("line") or 0), _in_app(file)
                    )
                )
            continue
        cause = _CAUSE.match(line)
        if cause and len(found) < MAX_EXCEPTIONS:
            found.append(ParsedException(*split_type(cause["text"].rstrip(" {")), []))
        elif not found and line.strip():
            found.append(ParsedException(*split_type(line.strip().removeprefix("Uncaught ")), []))
    return [exception._replace(frames=exception.frames[::-1]) for exception in found]
