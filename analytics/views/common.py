"""What the screens share: their time range, their live parts, and how rows are described."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.http import HttpRequest

from analytics.figures import errors_query
from analytics.models import ErrorEvent, ErrorPattern
from analytics.selectors import rollups
from health.selectors import service_list
from resilience_site.core.choices import Scope
from resilience_site.core.screens import bad_question, is_partial
from resilience_site.core.selectors import api_keys
from resilience_site.core.timerange import TimeRange, parse_range

__all__ = [
    "bad_question",
    "chosen_range",
    "count_rows",
    "counts_question",
    "first_steps",
    "is_partial",
    "list_range",
    "severity_word",
    "with_severity",
    "with_trend",
]

DEFAULT_RANGE = timedelta(hours=1)
TREND_RANGE = timedelta(hours=24)
PAGE_ROWS = 50
# Of the chart of errors over time.
BARS = 60
_CLOCKS_AHEAD = timedelta(minutes=10)
_SEVERITIES = (
    (21, "fatal"),
    (17, "error"),
    (13, "warn"),
    (9, "info"),
    (5, "debug"),
    (1, "trace"),
    (0, "unset"),
)


def severity_word(number: int) -> str:
    """The word of an OpenTelemetry severity number."""
    return next(word for low, word in _SEVERITIES if number >= low)


def chosen_range(request: HttpRequest, now: datetime) -> TimeRange:
    """The range of the page's address. Raises `Problem` for a text that is no time."""
    return parse_range(
        request.GET.get("since"), request.GET.get("until"), now=now, default=DEFAULT_RANGE
    )


def list_range(request: HttpRequest, now: datetime) -> TimeRange:
    """As `chosen_range`; an open end reaches a little ahead of our clock, as the senders' clocks
    may."""
    within = chosen_range(request, now)
    return within if request.GET.get("until") else TimeRange(within.since, now + _CLOCKS_AHEAD)


def with_severity(errors: Iterable[ErrorEvent]) -> list[tuple[ErrorEvent, str]]:
    """Errors, each with the word of its severity."""
    return [(error, severity_word(error.severity)) for error in errors]


def with_trend(patterns: list[ErrorPattern], now: datetime) -> list[tuple[ErrorPattern, list[int]]]:
    """Patterns, each with its errors an hour of the last day."""
    day = TimeRange(now - TREND_RANGE, now)
    counts = rollups.pattern_counts([pattern.id for pattern in patterns], day)
    return [(pattern, counts[pattern.id]) for pattern in patterns]


def counts_question(service: str, pattern: str) -> dict[str, str]:
    """The filters of errors that the figures per minute know, as they stand in the address."""
    named = {"service": service, "pattern": pattern}
    return {name: value for name, value in named.items() if value}


def count_rows(
    within: TimeRange, service: str = "", pattern: UUID | None = None
) -> list[tuple[datetime, int, str]]:
    """What the chart of errors over time draws, newest first, each with the query of its errors."""
    step = rollups.step_for(within, BARS)
    counts = rollups.error_counts(within, service=service, pattern=pattern, step=step)
    question = counts_question(service, str(pattern or ""))
    return [(at, count, errors_query(at, step, question)) for at, count in reversed(counts)]


def first_steps(rows: Sequence[object]) -> dict[str, Any]:
    """What an empty list teaches: whether any service is connected, and the key to connect with."""
    if rows or service_list().exists():
        return {"connected": True}
    usable = api_keys().filter(scope=Scope.INGEST, revoked_at=None).order_by("pk")
    return {"connected": False, "ingest_key": usable.values_list("name", flat=True).first() or ""}
