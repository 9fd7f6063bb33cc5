"""Errors that clients without OTLP post as plain JSON, once checked and before they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from analytics.domain.errors import CORRELATION_KEYS
from analytics.domain.telemetry import Attributes

# Deeper ones are data that got loose; what writes them out has limits of its own.
MAX_DEPTH = 32
_MAX_CORRELATION = 200
_CORRELATION_NAMES = frozenset(name.lower() for name in CORRELATION_KEYS)


class PostedError(NamedTuple):
    """One posted error. `client_id` is the client's own id of it, or ""; `occurred_ns` is 0 where
    the client gave no time; `severity` is OTLP's number, 0 when unset."""

    client_id: str
    service: str
    environment: str
    operation: str
    type: str
    message: str
    stacktrace: str
    severity: int
    occurred_ns: int
    trace_id: str
    span_id: str
    correlation_id: str
    attributes: Attributes


def storable(error: PostedError) -> PostedError:
    """The error without what JSON can say and the store cannot hold: NUL and halves of surrogate
    pairs; whole numbers beyond 64 bits become texts."""
    return PostedError(*(_storable(field) for field in error))


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_storable(str(key)): _storable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_storable(each) for each in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    return value


def is_too_deep(value: Any, limit: int = MAX_DEPTH) -> bool:
    """Whether lists and objects lie in each other more than `limit` levels deep."""
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for each in level
            if isinstance(each, (dict, list))
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return any(isinstance(each, (dict, list)) for each in level)


def request_correlation_id(headers: Mapping[str, str]) -> str:
    """The correlation id that a request's `X-Correlation-ID` or `Baggage` header carries, or ""."""
    own = headers.get("X-Correlation-ID", "").strip()
    if own:
        return own[:_MAX_CORRELATION]
    for member in headers.get("Baggage", "").split(","):
        name, _, value = member.partition(";")[0].partition("=")
        if unquote(name.strip()).lower() in _CORRELATION_NAMES and value.strip():
            return unquote(value.strip())[:_MAX_CORRELATION]
    return ""
