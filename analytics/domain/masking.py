"""Masking what varies in a message, so that like messages become equal.

One pass of one alternation: each piece of text is matched by the first kind that fits and
replaced by a readable token. Masking a masked message changes nothing.
"""

from __future__ import annotations

import re

MAX_LENGTH = 2_048

# Bounded repetitions keep every match linear, whatever is sent. The order decides: what contains
# other kinds comes first.
_KINDS: list[tuple[str, str]] = [
    ("keep", r"<(?:time|url|email|uuid|ip|path|hex|num|token)>"),
    (
        "time",
        r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
        r"(?!\d)",
    ),
    ("url", r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,15}://[^\s\"'<>)\]}]{1,1000}"),
    ("email", r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,8}"),
    ("uuid", r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"),
    ("address", r"\b0[xX][0-9a-fA-F]{1,32}\b"),
    ("token", r"\beyJ[A-Za-z0-9_-]{5,1000}(?:\.[A-Za-z0-9_-]{1,1000}){0,2}"),
    (
        "ip",
        r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?\b"
        r"|(?<![\w:])(?:[0-9a-fA-F]{1,4}:){3,7}(?::?[0-9a-fA-F]{1,4}){1,7}(?![\w:])"
        # Letters alone are a name in C++ or Rust.
        r"|(?<![\w:])(?=[a-fA-F:]{0,38}\d)(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?::"
        r"(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})(?![\w:])",
    ),
    ("host", r"\b[A-Za-z0-9][A-Za-z0-9.-]{0,253}:\d{2,5}\b(?!:)"),
    (
        "path",
        r"(?<![\w<>/.])(?:[A-Za-z]:\\|\\\\)[^\s\"'<>|:*?]{1,500}"
        r"|(?<![\w<>/.])(?:~|\.{1,2})?(?:/[\w.@%+=~-]{1,255}){2,40}/?",
    ),
    ("hex", r"\b(?=[0-9a-fA-F]{0,31}\d)(?=[0-9a-fA-F]{0,31}[a-fA-F])[0-9a-fA-F]{8,128}\b"),
    (
        "id",
        r"(?<![\w-])(?=[A-Za-z_-]{0,63}\d)(?=[\d_-]{0,63}[A-Za-z])[A-Za-z0-9_-]{16,256}(?![\w-])",
    ),
    ("num", r"(?:(?<!\w)[-+])?\d{1,30}(?:[.,]\d{1,30}){0,4}%?"),
]
_PATTERN = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _KINDS))
_TOKENS = {name: f"<{name}>" for name, _ in _KINDS} | {
    "host": "<ip>",
    "address": "<hex>",
    "id": "<token>",
}


def _token(match: re.Match[str]) -> str:
    kind = match.lastgroup or ""
    if kind == "keep":
        return match.group()
    return _TOKENS[kind]


def mask(text: str) -> str:
    """`text` with ids, numbers, addresses, paths and quoted values replaced by tokens.

    At most `MAX_LENGTH` characters are read.
    """
    return _PATTERN.sub(_token, text[:MAX_LENGTH])
