"""Errors that clients without OTLP post as plain JSON, once checked and before they are stored."""

from __future__ import annotations

from typing import NamedTuple

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
