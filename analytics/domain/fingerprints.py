"""Which errors are one pattern: same type and same in-app frames, else same masked message."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from analytics.domain.masking import mask
from analytics.domain.stacktraces import Frame, ParsedStack

# Part of every key: a new way of grouping makes new groups and leaves the old ones as they were.
GROUPING_VERSION = 1

BY_FRAMES = "same exception type, raised by the same calls of the service's own code"
BY_MESSAGE = "same exception type and same message once ids, numbers and addresses are masked"
_MAX_TEMPLATE = 500
_MAX_FRAMES = 50
_GENERATED = [
    (re.compile(r"\$\$?Lambda[\w$/.]{0,100}|lambda\$[\w$]{0,100}"), "<lambda>"),
    (re.compile(r"\$\d{1,9}"), "$"),
    (re.compile(r"0x[0-9a-fA-F]{1,32}"), "0x"),
    (re.compile(r"func\d{1,9}(?:\.\d{1,9}){0,8}"), "func"),
    (re.compile(r"\[\.\.\.\]"), ""),
]


class Fingerprint(NamedTuple):
    """The group an error belongs to: its key, a readable template, and why it belongs there."""

    key: UUID
    template: str
    rule: str


def _frame(frame: Frame) -> str:
    # Without the line: an edit above the call must not make a new group.
    name = f"{frame.module}:{frame.function}"
    for pattern, replacement in _GENERATED:
        name = pattern.sub(replacement, name)
    return name


def stack_signature(parsed: ParsedStack) -> str:
    """What groups a stack: for each exception of the chain its type and own frames.

    "" where no frame was understood. A trace without any frame of the service's own code is told
    by the last library frame, as all that is known of the place.
    """
    parts = []
    for exception in parsed.exceptions:
        own = [_frame(frame) for frame in exception.frames if frame.in_app]
        names = own or [_frame(frame) for frame in exception.frames[-1:]]
        # Recursion of any depth is one frame.
        kept = [name for i, name in enumerate(names) if i == 0 or name != names[i - 1]]
        if kept:
            parts.append("\n".join((exception.type, *kept[-_MAX_FRAMES:])))
    return "\n\n".join(parts)


def fingerprint(service: str, type_: str, message: str, signature: str) -> Fingerprint:
    """The group of an error; `signature` is that of its stack, "" without usable frames."""
    template = mask(message)[:_MAX_TEMPLATE] or type_
    basis = signature or template
    rule = BY_FRAMES if signature else BY_MESSAGE
    text = "\0".join((str(GROUPING_VERSION), service, type_, rule, basis))
    digest = blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
    return Fingerprint(UUID(bytes=digest), template, rule)
