"""Go's panics and `runtime.Stack` dumps: the first goroutine is the one that failed."""

from __future__ import annotations

import re

from analytics.domain.stacktraces.base import MAX_FRAMES, Frame, ParsedException

_GOROUTINE = re.compile(r"^goroutine \d{1,20} \[[^\]]{0,200}\]:$")
_CALL = re.compile(
    r"^(?:created by )?(?P<name>[\w./()*\[\]{}%~-]{1,400}?)(?:\([^()]{0,500}\)| in goroutine \d{1,20})?$"
)
_PLACE = re.compile(r"^\s{1,16}(?P<file>\S.{0,1000}?):(?P<line>\d{1,9})(?: \+0x[0-9a-f]{1,16})?$")
_PANIC = re.compile(r"^(?P<type>panic|fatal error): (?P<text>.{0,2000})$")
# Frames of the unwinding itself, above the call that failed.
_MACHINERY = ("panic", "runtime.", "runtime/debug.", "go.opentelemetry.io/")


def _in_app(name: str, file: str) -> bool:
    return not (
        name.startswith(_MACHINERY)
        or "/go/src/" in file
        or "/go/pkg/mod/" in file
        or "/vendor/" in file
        or ("." not in name.split("/", 1)[0] and "/" in name)
    )


def parse(raw: str) -> list[ParsedException]:
    """The exception of a Go dump, as a list of at most one."""
    type_, message = "", ""
    frames: list[Frame] = []
    name = ""
    goroutines = 0
    for line in raw.splitlines():
        panic = _PANIC.match(line)
        if panic and not type_:
            type_, message = panic["type"], panic["text"]
        elif _GOROUTINE.match(line):
            goroutines += 1
            if goroutines > 1:
                break
        elif (place := _PLACE.match(line)) and name:
            if len(frames) < MAX_FRAMES:
                module, _, function = name.rpartition("/")
                package, _, function = function.partition(".")
                module = f"{module}/{package}" if module else package
                frames.append(
                    Frame(
                        function or name, module, place["file"], int(place["line"]),
                        _in_app(name, place["file"]),
                    )
                )  # fmt: skip
            name = ""
        elif call := _CALL.match(line):
            name = call["name"]
    if not frames and not type_:
        return []
    return [ParsedException(type_, message, frames[::-1])]
