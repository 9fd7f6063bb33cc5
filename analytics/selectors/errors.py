"""Reads of errors and their stacks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL

from analytics.domain.errors import uuid_time_ms
from analytics.models import ErrorEvent, ErrorPattern, StackTrace
from resilience_site.core.pagination import DEFAULT_LIMIT, Page, keyset_page
from resilience_site.core.timerange import TimeRange

_WORD = re.compile(r"[^\W_]+")
_MAX_WORDS = 12


@dataclass(frozen=True)
class ErrorFilter:
    """Which errors to list; empty fields do not narrow. A pattern includes its members."""

    service: str = ""
    type: str = ""
    pattern: UUID | None = None
    trace_id: str = ""
    correlation_id: str = ""
    q: str = ""


def words_query(q: str) -> str:
    """A text search query in which each word of `q` begins some word of the error."""
    words = _WORD.findall(q.lower())[:_MAX_WORDS]
    return " & ".join(f"'{word}':*" for word in words)


def error_list(
    *,
    wanted: ErrorFilter,
    within: TimeRange,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page:
    """Errors of a time range, newest first. Raises `Malformed` for a foreign cursor."""
    rows = ErrorEvent.objects.filter(occurred_at__gte=within.since, occurred_at__lt=within.until)
    rows = _narrowed(rows, wanted)
    return keyset_page(
        rows, by=("-occurred_at", "-id"), types=(datetime, UUID), cursor=cursor, limit=limit
    )


def _narrowed(rows: QuerySet[ErrorEvent], wanted: ErrorFilter) -> QuerySet[ErrorEvent]:
    exact = {
        "service": wanted.service,
        "type": wanted.type,
        "trace_id": wanted.trace_id.lower(),
        "correlation_id": wanted.correlation_id,
    }
    rows = rows.filter(**{field: value for field, value in exact.items() if value})
    if wanted.pattern is not None:
        rows = rows.filter(
            RawSQL(
                "pattern_id = ANY(ARRAY[%s::uuid] || ARRAY("
                "SELECT id FROM analytics_errorpattern WHERE merged_into = %s::uuid))",
                [wanted.pattern] * 2,
                BooleanField(),
            )
        )
    if wanted.q.strip():
        query = words_query(wanted.q)
        if not query:
            return rows.none()
        rows = rows.filter(
            RawSQL("analytics_words(type, message) @@ %s::tsquery", [query], BooleanField())
        )
    return rows


def error_get(error_id: UUID) -> ErrorEvent:
    """One error. Its id states its time, so one partition is read.

    Raises `ErrorEvent.DoesNotExist`.
    """
    try:
        at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=uuid_time_ms(error_id.int))
    except OverflowError:
        # Some ids that are none of ours state a time after the year 9999.
        raise ErrorEvent.DoesNotExist(f"{error_id} is no id of an error") from None
    return ErrorEvent.objects.get(
        id=error_id, occurred_at__gte=at, occurred_at__lt=at + timedelta(milliseconds=1)
    )


def errors_get(ids: Sequence[UUID]) -> dict[UUID, ErrorEvent]:
    """Several errors by id; those that are gone are left out."""
    if not ids:
        return {}
    epoch = datetime.fromtimestamp(0, UTC)
    times = [epoch + timedelta(milliseconds=uuid_time_ms(i.int)) for i in ids]
    rows = ErrorEvent.objects.filter(
        id__in=ids,
        occurred_at__gte=min(times),
        occurred_at__lt=max(times) + timedelta(milliseconds=1),
    )
    return {row.id: row for row in rows}


def stack_get(stack_hash: UUID | None) -> StackTrace | None:
    """The stack trace that an error carries, if any."""
    return StackTrace.objects.filter(hash=stack_hash).first() if stack_hash else None


def error_types(within: TimeRange, limit: int = 100) -> list[str]:
    """The exception types of the patterns seen in a time range, for the filter's choices."""
    return list(
        ErrorPattern.objects.filter(last_seen__gte=within.since, count__gt=0)
        .order_by("type")
        .values_list("type", flat=True)
        .distinct()[:limit]
    )
