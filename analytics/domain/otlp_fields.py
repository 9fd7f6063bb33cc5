"""Fields of OTLP/JSON objects: null and absence stand for a field's default, any value of the
wrong type raises `DecodeError`.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Any

import orjson

from analytics.domain.otlp_values import MAX_BYTES, DecodeError

Json = dict[str, Any]

UINT64 = 2**64 - 1
UINT32 = 2**32 - 1
INT64 = (-(2**63), 2**63 - 1)
INT32 = (-(2**31), 2**31 - 1)
_WHOLE = re.compile(r"-?[0-9]{1,20}")
_DOUBLE = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|NaN|-?Infinity")
_LONE_SURROGATE = re.compile(
    rb"(?P<before>(?<!\\)(?:\\\\)*)\\u[dD](?:"
    rb"[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F][0-9a-fA-F]{2})"
)
_NOT_HEX = "?"
_FROM_URL_SAFE = str.maketrans("-_", "+/")


def parse(body: bytes) -> Json:
    """The JSON object that a request's body holds."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        document = _parse_mended(body, error)
    if type(document) is not dict:
        raise DecodeError("body must be a JSON object")
    return document


def _parse_mended(body: bytes, error: orjson.JSONDecodeError) -> Any:
    # JavaScript writes half a surrogate pair as an escape where a text was cut amid a character.
    mended = _LONE_SURROGATE.sub(rb"\g<before>\\ufffd", body)
    if mended == body:
        raise DecodeError(f"body is not valid JSON: {error}") from error
    try:
        return orjson.loads(mended)
    except orjson.JSONDecodeError as still:
        raise DecodeError(f"body is not valid JSON: {still}") from still


def object_of(holder: Json, key: str) -> Json:
    """A nested object; empty where there is none."""
    value = holder.get(key)
    if type(value) is dict:
        return value
    if value is None:
        return {}
    raise DecodeError(f"{key} must be an object")


def list_of(holder: Json, key: str) -> list[Any]:
    """An array; empty where there is none."""
    value = holder.get(key)
    if type(value) is list:
        return value
    if value is None:
        return []
    raise DecodeError(f"{key} must be an array")


def objects_of(holder: Json, key: str) -> list[Json]:
    """An array of objects."""
    found = list_of(holder, key)
    for each in found:
        if type(each) is not dict:
            return [object_of({key: each}, key) for each in found]
    return found


def text_of(holder: Json, key: str) -> str:
    """A text."""
    value = holder.get(key)
    if type(value) is str:
        return value
    if value is None:
        return ""
    raise DecodeError(f"{key} must be a string")


def hex_of(holder: Json, key: str) -> str:
    """An id in lower-case hex; a text of no valid length where it is not hex."""
    text = text_of(holder, key).lower()
    return _NOT_HEX if text.strip("0123456789abcdef") else text


def time_of(holder: Json, key: str) -> int:
    """Nanoseconds since the epoch."""
    return whole(holder.get(key), key, 0, UINT64)


def enum_of(holder: Json, key: str) -> int:
    """An enum's number, known or not."""
    value = holder.get(key)
    if value is None:
        return 0
    if type(value) is not int:
        raise DecodeError(f"{key} must be an integer: OTLP/JSON has no names of enum values")
    return whole(value, key, *INT32)


def flag_of(holder: Json, key: str) -> bool:
    """A truth value."""
    value = holder.get(key)
    if value is None:
        return False
    if type(value) is not bool:
        raise DecodeError(f"{key} must be true or false")
    return value


def whole(value: Any, key: str, low: int, high: int) -> int:
    """An integer within bounds, given as a number or as a decimal string."""
    if type(value) is int:
        number = value
    elif type(value) is str and _WHOLE.fullmatch(value):
        number = int(value)
    elif value is None:
        return 0
    elif type(value) is float and value.is_integer():
        number = int(value)
    else:
        raise DecodeError(f"{key} must be an integer, as a number or a decimal string")
    if not low <= number <= high:
        raise DecodeError(f"{key} is out of range")
    return number


def double(value: Any, key: str) -> float:
    """A double, given as a number or as a string."""
    if type(value) is float or type(value) is int:
        return float(value)
    if type(value) is str and _DOUBLE.fullmatch(value):
        return float(value)
    if value is None:
        return 0.0
    raise DecodeError(f"{key} must be a number")


def optional_double(holder: Json, key: str) -> float | None:
    """A double whose absence means something."""
    value = holder.get(key)
    return None if value is None else double(value, key)


def base64_of(value: Json, key: str) -> str:
    """Bytes, checked and cut to their limit, as base64 again."""
    text = text_of(value, key).rstrip("=").translate(_FROM_URL_SAFE)
    try:
        raw = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError as error:
        raise DecodeError(f"{key} must be base64") from error
    return b64encode(raw[:MAX_BYTES]).decode()
