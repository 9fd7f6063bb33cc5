"""What actions say, made fit to be kept: bounded, and without secrets."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from health.checks.words import MASK, spellings, without

MOST_BYTES: Final = 64 * 1024
_CUT: Final = "\n… (cut: more than 64 KiB)"
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_DEEPEST: Final = 20
# Of whole numbers, as JSON's readers take them.
_MOST_BITS: Final = 63
# What gives itself away as a secret, whoever says it.
_TELLTALE: Final = (
    re.compile(
        r"(?P<kept>-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)[^-]{1,20000}(?=-----END|\Z)",
    ),
    re.compile(
        r"(?P<kept>\bauthorization[\"']?\s{0,5}[:=]\s{0,5}[\"']?(?!Bearer\b|Basic\b)"
        r"[A-Za-z][A-Za-z0-9_-]{0,30} )[^\s,;\"']{1,2000}",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<kept>\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE),
    re.compile(r"(?P<kept>\b[a-z][a-z0-9+.-]{0,30}://[^\s/:@]{0,200}:)[^\s/@]{1,500}(?=@)", re.I),
    re.compile(
        r"(?P<kept>\b[\w.-]{0,40}(?:password|passwd|pwd|secret|token|api[_-]?key|authorization)"
        r"[\w-]{0,20}[\"']?\s{0,5}[:=]\s{0,5})(?!Bearer\b|Basic\b)(?:\"(?:[^\"\\\n]|\\.){1,500}\""
        r"|'[^'\n]{1,500}'|[^\s,;&\"']{1,500})",
        re.IGNORECASE,
    ),
)


def output_clean(text: str, secrets: Iterable[str] = (), most: int = MOST_BYTES) -> str:
    """`text` that can be stored and shown: without `secrets` and what looks like some, at most
    `most` bytes of UTF-8."""
    # Whoever says megabytes is cut before anything is looked for in them.
    known = tuple(secrets)
    longest = _before_secrets(text, 4 * most, known)
    was_cut = len(text) > longest
    text = _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text[:longest])
    text = without(text, *known)
    for pattern in _TELLTALE:
        text = pattern.sub(lambda found: f"{found['kept']}{MASK}", text)
    data = text.encode()
    if len(data) <= most and not was_cut:
        return text
    return data[: most - len(_CUT.encode())].decode(errors="ignore") + _CUT


def _before_secrets(text: str, at: int, secrets: Iterable[str]) -> int:
    """Where to cut, at most at `at`: not within a secret, whose part nobody would know for one."""
    for each in spellings(*secrets):
        begins = text.rfind(each, max(0, at - len(each) + 1), at + len(each) - 1)
        if begins != -1:
            at = min(at, begins)
    return at


def values_clean(value: Any, secrets: Iterable[str] = (), depth: int = 0) -> Any:
    """JSON that can be stored: what `before` and `after` of steps hold."""
    known = tuple(secrets)
    if depth > _DEEPEST:
        return None
    if isinstance(value, str):
        return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", without(value, *known))[:MOST_BYTES]
    if isinstance(value, Mapping):
        return {
            str(values_clean(str(name), known, depth + 1)): values_clean(each, known, depth + 1)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [values_clean(each, known, depth + 1) for each in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and value.bit_length() <= _MOST_BITS:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return values_clean(str(value), known, depth + 1)
