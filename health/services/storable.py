"""What targets say, made fit for PostgreSQL: its texts know no NUL and no half of a character."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


def text_storable(text: str) -> str:
    """`text` with a replacement character for each that cannot be stored."""
    return _UNSTORABLE.sub(_REPLACEMENT, text)


def json_storable(value: Any) -> str:
    """`value` as JSON for a `jsonb` column; integers beyond 64 bits become floats."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError:
        return orjson.dumps(_mended(value), default=str).decode()
    return text if "\\u0000" not in text else orjson.dumps(_mended(value)).decode()


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return text_storable(value)
    if isinstance(value, dict):
        return {text_storable(str(key)): _mended(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_mended(each) for each in value]
    if isinstance(value, int) and value.bit_length() > 63:
        return float(value) if value.bit_length() <= 1_000 else None
    return value
