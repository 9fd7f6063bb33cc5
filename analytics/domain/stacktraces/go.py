"""Go: `runtime.Stack`, `debug.Stack`, panics, and the `%+v` form of errors with stacks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from analytics.domain.stacktraces.base import (
    MAX_LINE,
    Frame,
    Library,
    ParsedException,
)

# Packages are compared with a slash at their end: "net/" is the standard library's net and all
# below it. Third-party code lies in the module cache or in a vendor folder.
LIBRARY = Library(
    modules=(
        "runtime/", "internal/", "panic/", "archive/", "bufio/", "bytes/", "cmp/", "compress/",
        "container/", "context/", "crypto/", "database/", "debug/", "embed/", "encoding/",
        "errors/", "expvar/", "flag/", "fmt/", "go/", "hash/", "html/", "image/", "io/", "iter/",
        "log/", "maps/", "math/", "mime/", "net/", "os/", "path/", "plugin/", "reflect/",
        "regexp/", "slices/", "sort/", "strconv/", "strings/", "sync/", "syscall/", "testing/",
        "text/", "time/", "unicode/", "unique/", "unsafe/", "golang.org/x/",
        "google.golang.org/grpc/", "go.opentelemetry.io/",
    ),
    files=("/pkg/mod/", "/vendor/", "@v"),
)  # fmt: skip
FAILURE_LAST = False

_PLACE = re.compile(r"\s+(\S.*?\.(?:go|s)):(\d+)(?: \+0x[0-9a-f]+)?\s*$").match
_GOROUTINE = re.compile(r"goroutine \d+[^\[\n]{0,100}\[").match
_CREATED = "created by "
_IN_GOROUTINE = re.compile(r" in goroutine \d+$")
_PANICS = ("panic: ", "fatal error: ")
_AGAIN = re.compile(r" \[(?:recovered|repanicked)[^\]]*\]$")


def parse(lines: Sequence[str], library: Library) -> list[ParsedException]:
    """The failing goroutine's stack; a panic gives the type and message."""
    type_, said, frames = "", list[str](), list[Frame]()
    goroutines = 0
    before = ""
    for line in lines:
        if _GOROUTINE(line):
            goroutines += 1
            # The failing goroutine comes first, the others only tell what else went on.
            if goroutines > 1 and frames:
                break
            continue
        place = _PLACE(line[:MAX_LINE])
        if place is not None:
            if before:
                frames.append(_frame(before[:MAX_LINE], place[1], int(place[2][:9]), library))
                if said and said[-1] == before:
                    said.pop()
            before = ""
            continue
        before = line.strip()
        panic = next((mark for mark in _PANICS if before.startswith(mark)), "")
        if panic and not frames:
            type_, said = panic.rstrip(": "), [_AGAIN.sub("", before[len(panic) :])]
        elif not goroutines and not frames and before:
            said.append(before)
    if not (frames or said):
        return []
    said = [line for line in said if not line.startswith(("[signal ", "goroutine "))]
    return [ParsedException(type_, "\n".join(said), _until_panic(frames[::-1]))]


def _until_panic(frames: list[Frame]) -> list[Frame]:
    """The frames without those that only recovered and recorded the panic."""
    for position, frame in enumerate(frames):
        if frame.function == "panic" and not frame.module and position:
            return frames[:position]
    return frames


def _frame(call: str, file: str, line: int, library: Library) -> Frame:
    call = _IN_GOROUTINE.sub("", call.removeprefix(_CREATED))
    if call.endswith(")"):
        call = call[: call.rfind("(")]
    slash = call.rfind("/") + 1
    dot = call.find(".", slash)
    package = call[:dot].replace("%2e", ".") if dot >= 0 else ""
    function = call[dot + 1 :] if dot >= 0 else call
    # The runtime's own panic() stands without a package.
    in_app = bool(package) and not library.holds(f"{package}/", file)
    return Frame(function, package, file, line, in_app)
