"""The id by which all that happens for one request is found again, in every service it reaches."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from breakers.runtime import deadlines
from breakers.runtime.span_marks import CORRELATION_ID, mark_span
from breakers.runtime.tiers import current_tier

CORRELATION_HEADER = "X-Correlation-ID"
TIMEOUT_HEADER = "X-Request-Timeout-Ms"
TIER_HEADER = "X-User-Tier"

_ALLOWED = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_current: ContextVar[str] = ContextVar("correlation_id", default="")

correlation_id = _current.get


def accepted(given: str | None) -> str:
    """A caller's id, or a new one where there is none or one that could not be logged as it is."""
    if given and _ALLOWED.fullmatch(given):
        return given
    return uuid.uuid4().hex


@contextmanager
def correlation(given: str | None = None) -> Iterator[str]:
    """Everything inside happens for the request of this id, which is also put on the span."""
    held = accepted(given)
    token = _current.set(held)
    mark_span(CORRELATION_ID, held)
    try:
        yield held
    finally:
        _current.reset(token)


def outgoing_headers() -> dict[str, str]:
    """What a call to another service carries along: the id, the time that is left, the tier.

    The trace context travels by OpenTelemetry's own propagators.
    """
    headers = {}
    if held := _current.get():
        headers[CORRELATION_HEADER] = held
    left = deadlines.remaining()
    if left is not None:
        headers[TIMEOUT_HEADER] = str(max(0, int(left * 1000)))
    if tier := current_tier():
        headers[TIER_HEADER] = tier
    return headers


def timeout_of(headers: Mapping[str, str], longest: float | None) -> float | None:
    """The seconds that a caller gives, at most `longest`; what cannot be read counts as absent."""
    text = headers.get(TIMEOUT_HEADER.lower(), "")
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        return longest
    given = int(text) / 1000
    return given if longest is None else min(given, longest)


def tier_of(headers: Mapping[str, str]) -> str:
    """The caller's tier by its header, or an empty text."""
    return valid_tier(headers.get(TIER_HEADER.lower(), ""))


def valid_tier(name: object) -> str:
    """The name, or an empty text where it is none that a header can carry."""
    return name if isinstance(name, str) and _ALLOWED.fullmatch(name) else ""
