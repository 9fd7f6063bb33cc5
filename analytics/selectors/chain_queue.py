"""Reads of the chain builder: of many traces at once, and no more columns than it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from analytics.domain.chains import ChainError, ChainSpan
from analytics.domain.errors import STATUS_ERROR
from analytics.domain.times import nanoseconds
from analytics.models import ErrorEvent, Span
from analytics.selectors.chains import correlation_parts

# A trace's parts lie around the error that asked for its chain.
_AROUND = timedelta(hours=1)
MAX_MESSAGE = 500


Wanted = dict[str, list[str] | date]


class Told(NamedTuple):
    """What an error says beside where it happened."""

    operation: str
    message: str
    correlation_id: str
    occurred_at: datetime


@dataclass(frozen=True)
class Material:
    """What a chain is made of: its spans as they were stored, its errors, and what they say by
    id."""

    spans: list[ChainSpan] = field(default_factory=list)
    errors: list[ChainError] = field(default_factory=list)
    told: dict[str, Told] = field(default_factory=dict)


class KnownChain(NamedTuple):
    """A stored chain's key."""

    id: UUID
    opened_on: date


# Times as whole microseconds: the driver reads integers far faster than timestamps.
_SPANS = """
SELECT span_id, parent_span_id, service, operation, kind,
    (extract(epoch FROM started_at) * 1000000)::bigint, duration_ns, status, trace_id
FROM analytics_span
WHERE trace_id = ANY(%(traces)s) AND started_at BETWEEN %(since)s AND %(until)s
"""
_ERRORS = f"""
SELECT id::text, span_id, service, type,
    (extract(epoch FROM occurred_at) * 1000000)::bigint, trace_id,
    operation, left(message, {MAX_MESSAGE}), correlation_id, occurred_at
FROM analytics_errorevent
WHERE trace_id = ANY(%(traces)s) AND trace_id <> ''
    AND occurred_at BETWEEN %(since)s AND %(until)s
"""
_COMPLETE = """
SELECT chain.trace_id FROM analytics_correlationchain chain
WHERE chain.trace_id = ANY(%(traces)s) AND chain.trace_id <> '' AND chain.opened_on >= %(opened)s
    AND chain.span_count = (SELECT count(*) FROM analytics_span
        WHERE trace_id = chain.trace_id AND started_at BETWEEN %(since)s AND %(until)s)
    AND chain.error_count = (SELECT count(*) FROM analytics_errorevent
        WHERE trace_id = chain.trace_id AND trace_id <> ''
        AND occurred_at BETWEEN %(since)s AND %(until)s)
"""


def _around(since: datetime, until: datetime) -> dict[str, datetime]:
    return {"since": since - _AROUND, "until": until + _AROUND}


def traces_material(
    trace_ids: Sequence[str], since: datetime, until: datetime
) -> dict[str, Material]:
    """The spans and errors of traces, by trace id."""
    found = {trace_id: Material() for trace_id in trace_ids}
    wanted: Wanted = {"traces": list(trace_ids), **_around(since, until)}
    with connection.cursor() as cursor:
        cursor.execute(_SPANS, wanted)
        for row in cursor.fetchall():
            span_id, parent_id, service, name, kind, micros, duration, status, trace_id = row
            start, failed = micros * 1_000, status == STATUS_ERROR
            found[trace_id].spans.append(
                ChainSpan(
                    span_id, parent_id, service, name, kind, start, start + duration, failed,
                    trace_id,
                )
            )  # fmt: skip
        cursor.execute(_ERRORS, wanted)
        for error_id, span_id, service, kind, micros, trace_id, *told in cursor.fetchall():
            material = found[trace_id]
            material.errors.append(
                ChainError(error_id, span_id, service, kind, micros * 1_000, trace_id)
            )
            material.told[error_id] = Told(*told)
    return found


def complete_traces(
    trace_ids: Sequence[str], since: datetime, until: datetime, opened_since: date
) -> set[str]:
    """The traces whose stored chains already hold all their spans and errors."""
    wanted: Wanted = {
        "traces": list(trace_ids), "opened": opened_since, **_around(since, until),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_COMPLETE, wanted)
        return {row[0] for row in cursor.fetchall()}


def known_chains(trace_ids: Sequence[str], since: date) -> dict[str, KnownChain]:
    """The chains already made for traces, by trace id."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT trace_id, id, opened_on FROM analytics_correlationchain "
            "WHERE trace_id = ANY(%s) AND trace_id <> '' AND opened_on >= %s",
            [list(trace_ids), since],
        )
        return {row[0]: KnownChain(*row[1:]) for row in cursor.fetchall()}


def correlation_material(correlation_id: str, since: datetime, until: datetime) -> Material:
    """The errors that carry a correlation id in a time range, with the spans of their traces."""
    parts = correlation_parts(correlation_id, since, until)
    return Material(
        [chain_span(span) for span in parts.spans],
        [chain_error(error) for error in parts.errors],
        {
            str(error.id): Told(
                error.operation, error.message[:MAX_MESSAGE], error.correlation_id,
                error.occurred_at,
            )
            for error in parts.errors
        },
    )  # fmt: skip


def chain_span(span: Span) -> ChainSpan:
    """A stored span as the correlation sees it."""
    start = nanoseconds(span.started_at)
    return ChainSpan(
        span.span_id, span.parent_span_id, span.service, span.operation, span.kind,
        start, start + span.duration_ns, span.status == STATUS_ERROR, span.trace_id,
    )  # fmt: skip


def chain_error(error: ErrorEvent) -> ChainError:
    """A stored error as the correlation sees it."""
    at = nanoseconds(error.occurred_at)
    return ChainError(str(error.id), error.span_id, error.service, error.type, at, error.trace_id)
