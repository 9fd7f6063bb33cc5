"""Rejections as problem details (RFC 9457)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from breakers.runtime.correlation import CORRELATION_HEADER
from breakers.runtime.degradation import Degradation
from breakers.runtime.errors import (
    BulkheadFull,
    CallNotPermitted,
    DeadlineExceeded,
    ResilienceError,
)

CONTENT_TYPE = "application/problem+json"
DEGRADED_HEADER = "X-Degraded-Services"
NOTICE_HEADER = "X-Degraded-Notice"


class Problem(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def problem_of(error: ResilienceError, correlation: str) -> Problem:
    """The answer to a request that this rejection ended."""
    status, kind, title = _kind(error)
    body = {
        "type": f"urn:resilience:{kind}",
        "title": title,
        "status": status,
        "detail": str(error),
        "correlation_id": correlation,
    }
    headers = {"Content-Type": CONTENT_TYPE, CORRELATION_HEADER: correlation}
    if error.retry_after is not None and math.isfinite(error.retry_after):
        body["retry_after"] = round(error.retry_after, 3)
        # The header takes whole seconds; too early would be rejected again.
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return Problem(status, headers, json.dumps(body).encode())


def notice_headers(degradation: Degradation | None) -> dict[str, str]:
    """Headers that tell of degraded services; the notice is percent-encoded UTF-8."""
    notices: Mapping[str, str] = degradation.notices() if degradation is not None else {}
    if not notices or degradation is None:
        return {}
    levels = ", ".join(f"{quote(name)}={degradation.level(name).value}" for name in notices)
    return {
        DEGRADED_HEADER: levels,
        NOTICE_HEADER: quote(" ".join(notices.values()), safe=" ,.:;!"),
    }


def _kind(error: ResilienceError) -> tuple[int, str, str]:
    if isinstance(error, CallNotPermitted):
        return 503, "dependency-unavailable", "A dependency is unavailable"
    if isinstance(error, DeadlineExceeded):
        return 504, "deadline-exceeded", "The request took too long"
    if isinstance(error, BulkheadFull) and error.reason == "rate":
        return 429, "too-many-requests", "Too many requests"
    return 503, "overloaded", "The service is at its limit"
