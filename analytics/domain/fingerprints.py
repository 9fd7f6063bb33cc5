"""Which errors are the same failure.

Two errors of a service are together when their exception types are the same and their own code
called its way to the failure by the same functions, whatever the message says. Without frames of
the service's own code, the masked message decides instead.

Line numbers, build hashes, numbered closures and the depth of a recursion do not count. Every
cause in a chain counts with its type and frames; suppressed exceptions do not, and the members of
an exception group count once per kind, because how many fail at once is chance.

A status code inside a message is a number like any other, so one exception type raised at one
place is one group for 429 and 503 alike. Clients that mean the code to tell failures apart say so
in `error.type`, as the HTTP conventions ask; it then is the type, and types never mix.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from analytics.domain.masking import mask
from analytics.domain.stacktraces.base import (
    MEMBER,
    SUPPRESSED,
    Frame,
    ParsedException,
    ParsedStack,
)

# Part of every key: patterns made by an older version keep their ids beside those of a newer one.
GROUPING_VERSION = 1
MAX_TEMPLATE = 500
FRAMES_RULE = "same exception type and in-app frames"
MESSAGE_RULE = "same exception type and masked message"
TYPE_RULE = "same exception type, without message or in-app frames"
# Patterns of one service that are kept apart: as many as the second pass over messages compares with
# each other, and far more than anybody reads. A sender whose types or messages hold an id or a name
# would make one for each error.
MOST_PATTERNS = 2_000
# The type of the pattern of all that came after a service had its fill, and its rule.
OTHERS = "(other patterns)"
OTHERS_RULE = "too many patterns to keep them apart"
_OTHERS_TEMPLATE = (
    f"errors that fit none of the {MOST_PATTERNS:,} patterns this service has, the most that are "
    "kept apart"
)


class Fingerprint(NamedTuple):
    """The group of an error: its id, a readable form of its message, and why it is together."""

    key: UUID
    template: str
    rule: str


class Counted(NamedTuple):
    """What of an exception of a stack trace tells one failure from another: its type and the
    names of the service's own functions, each once, from the outermost call to the failure."""

    type: str
    relation: str
    frames: list[str]


def counted(parsed: ParsedStack) -> list[Counted]:
    """The exceptions that count, the reported one first; members of a group once per kind."""
    frame_name = _FRAME_NAMES.get(parsed.language, _plain_name)
    found: list[Counted] = []
    for exception in parsed.exceptions:
        if exception.relation == SUPPRESSED:
            continue
        each = Counted(exception.type, exception.relation, _own_frames(exception, frame_name))
        if exception.relation != MEMBER or each not in found:
            found.append(each)
    return found


def stack_signature(parsed: ParsedStack) -> str:
    """What of a stack trace tells one failure from another; "" without frames in the service's
    own code. The same for every occurrence of a stack, so worth remembering."""
    chain: list[str] = []
    members: set[str] = set()
    exceptions = counted(parsed)
    if not any(exception.frames for exception in exceptions):
        return ""
    begins = parsed.exceptions[0].relation != SUPPRESSED
    for position, exception in enumerate(exceptions):
        # The reported exception's type is the error's own and joins in `fingerprint`.
        reported = begins and not position
        described = "\n".join(["" if reported else exception.type, *exception.frames])
        if exception.relation == MEMBER:
            members.add(described)
        else:
            chain.append(described)
    text = "\0".join([*chain, "", *sorted(members)])
    return blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


def fingerprint(service: str, type_: str, message: str, signature: str = "") -> Fingerprint:
    """The group of an error; `signature` comes from `stack_signature` of its stack trace."""
    masked = mask(message)
    template = " ".join(masked.split())[:MAX_TEMPLATE] or type_[:MAX_TEMPLATE]
    if signature:
        return Fingerprint(_key(service, type_, "frames", signature), template, FRAMES_RULE)
    if not masked.strip():
        return Fingerprint(_key(service, type_, "type", ""), template, TYPE_RULE)
    key = _key(service, type_, "message", _alike(masked))
    return Fingerprint(key, template, MESSAGE_RULE)


def others(service: str) -> Fingerprint:
    """The group of a service's errors for whose own group there is no room."""
    return Fingerprint(_key(service, OTHERS, "others", ""), _OTHERS_TEMPLATE, OTHERS_RULE)


def _key(*parts: str) -> UUID:
    text = "\0".join((str(GROUPING_VERSION), *parts))
    digest = blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
    value = int.from_bytes(digest, "big")
    value = value & ~(0xF << 76) & ~(0b11 << 62) | 0x8 << 76 | 0b10 << 62
    return UUID(int=value)


_MASKED = re.compile(r"<(?:num|hex|id|uuid|token|time|ip|mac|email|path|str)>")
_MASKED_LIST = re.compile(r"<\*>(?:[\s,;:./|&+-]{1,3}<\*>)+")


def _alike(masked: str) -> str:
    # One id in a dozen is all digits and masked as a number, and lists vary in length: neither
    # may split a group.
    return _MASKED_LIST.sub("<*>", _MASKED.sub("<*>", " ".join(masked.split())))


def _own_frames(exception: ParsedException, name: Callable[[Frame], str]) -> list[str]:
    # Each function once, where it first appears: a recursion reads the same at any depth.
    return list(dict.fromkeys(name(frame) for frame in exception.frames if frame.in_app))


_JAVA_NUMBERS = re.compile(
    r"\$\$(?:Lambda|EnhancerBy\w+?|FastClassBy\w+?|SpringCGLIB)\$.*|(?<=\$)\d+(?=\$|$)"
    r"|(?<=\$Proxy)\d+|(?<=Accessor)\d+|/0x[0-9a-f]+"
)
_GO_NUMBERS = re.compile(
    r"(?<=\bfunc)\d+(?:\.\d+)*|(?<=gowrap)\d+|-range\d+|-fm$|\[\.\.\.\]|\[.*\]"
)
_ORIGIN = re.compile(r"^(?:[a-z][a-z+.-]*:)+//[^/]*/|[?#].*$")
# app.3f2a1b9c.js, index-BxQakd9P.js: the build put a hash of the content into the name.
_BUILD_HASH = re.compile(r"[.-](?=[A-Za-z0-9_]{6,}\.)(?=\w*\d|\w*[a-z]\w*[A-Z])\w+(?=\.)")
_RELEASE = re.compile(r"[0-9a-f]{7,}|\d+(?:[._-]\d+)*")


def _plain_name(frame: Frame) -> str:
    return f"{frame.module or _file_name(frame.file)}:{frame.function}"


def _java_name(frame: Frame) -> str:
    module = _JAVA_NUMBERS.sub("", frame.module)
    return f"{module}:{_JAVA_NUMBERS.sub('', frame.function)}"


def _go_name(frame: Frame) -> str:
    return f"{frame.module}:{_GO_NUMBERS.sub('', frame.function)}"


def _file_name(file: str) -> str:
    """The file with its folder: what stays the same wherever and however often it is deployed."""
    path = _ORIGIN.sub("", file.replace("\\", "/"))
    *folders, name = path.split("/")
    folder = _RELEASE.sub("", folders[-1]) if folders else ""
    return f"{folder}/{_BUILD_HASH.sub('', name)}"


_FRAME_NAMES: dict[str, Callable[[Frame], str]] = {"java": _java_name, "go": _go_name}
