"""Errors that clients without OTLP post as plain JSON, once checked and before they are stored."""

from __future__ import annotations

from typing import Any, NamedTuple

from analytics.domain.telemetry import Attributes


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
