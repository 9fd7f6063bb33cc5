"""Reads of chains: their summaries, and everything that one of them consists of."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from analytics.choices import ChainKind
from analytics.models import CorrelationChain, ErrorEvent, Span
from analytics.selectors.errors import errors_get
from resilience_site.config import config
from resilience_site.core.pagination import DEFAULT_LIMIT, Page, keyset_page
from resilience_site.core.timerange import TimeRange

# More than a person reads; a longer trace is shown in part and says so.
MAX_SPANS = 10_000
MAX_ERRORS = 2_000
_AROUND = timedelta(hours=1)


@dataclass(frozen=True)
class ChainParts:
    """The spans and errors that belong to one trace or correlation id."""

    spans: list[Span]
    errors: list[ErrorEvent]


def chain_list(
    *,
    within: TimeRange,
    service: str = "",
    root_service: str = "",
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page:
    """Chains that began in a time range, newest first; `service` is any that they crossed."""
    rows = CorrelationChain.objects.filter(
        started_at__gte=within.since,
        started_at__lt=within.until,
        # Nothing opens before it starts, so older partitions need no look.
        opened_on__gte=within.since.date(),
    )
    if service:
        rows = rows.filter(services__contains=[service])
    if root_service:
        rows = rows.filter(root_cause_service=root_service)
    return keyset_page(
        rows, by=("-started_at", "-id"), types=(datetime, UUID), cursor=cursor, limit=limit
    )


def chain_find(key: str) -> CorrelationChain | None:
    """The newest chain of a trace id, a correlation id or a chain's own id."""
    wanted = Q(trace_id=key.lower()) | Q(correlation_id=key)
    with suppress(ValueError):
        wanted |= Q(id=UUID(key))
    return CorrelationChain.objects.filter(wanted).order_by("-started_at").first()


def trace_parts(trace_id: str, around: tuple[datetime, datetime] | None = None) -> ChainParts:
    """The stored spans and errors of one trace; `around` bounds the partitions to read."""
    spans, errors = (
        Span.objects.filter(trace_id=trace_id),
        ErrorEvent.objects.filter(trace_id=trace_id),
    )
    if around is not None:
        low, high = around[0] - _AROUND, around[1] + _AROUND
        spans = spans.filter(started_at__gte=low, started_at__lte=high)
        errors = errors.filter(occurred_at__gte=low, occurred_at__lte=high)
    return ChainParts(
        list(spans.order_by("started_at", "id")[:MAX_SPANS]),
        list(errors.order_by("occurred_at", "id")[:MAX_ERRORS]),
    )


def correlation_parts(correlation_id: str, since: datetime, until: datetime) -> ChainParts:
    """The errors that carry a correlation id in a time range, with the spans of their traces."""
    errors = list(
        ErrorEvent.objects.filter(
            correlation_id=correlation_id, occurred_at__gte=since, occurred_at__lte=until
        ).order_by("occurred_at", "id")[:MAX_ERRORS]
    )
    traces = {error.trace_id for error in errors if error.trace_id}
    spans = (
        list(
            Span.objects.filter(
                trace_id__in=traces,
                started_at__gte=since - _AROUND,
                started_at__lte=until + _AROUND,
            ).order_by("started_at", "id")[:MAX_SPANS]
        )
        if traces
        else []
    )
    return ChainParts(spans, errors)


def parts_of(chain: CorrelationChain) -> ChainParts:
    """Everything that belongs to a stored chain."""
    if chain.kind == ChainKind.TRACE:
        return trace_parts(chain.trace_id, (chain.started_at, chain.ended_at))
    if chain.kind == ChainKind.EDGE:
        errors = errors_get(chain.error_ids)
        return ChainParts([], [errors[key] for key in chain.error_ids if key in errors])
    window = timedelta(minutes=config.error_correlation_window_minutes)
    return correlation_parts(
        chain.correlation_id, chain.started_at - window, chain.ended_at + window
    )


def correlation_chain_near(
    correlation_id: str, at: datetime, window: timedelta
) -> CorrelationChain | None:
    """The chain of a correlation id that reaches to within `window` of a time."""
    return (
        CorrelationChain.objects.filter(
            kind=ChainKind.CORRELATION,
            correlation_id=correlation_id,
            started_at__lte=at + window,
            ended_at__gte=at - window,
        )
        .order_by("started_at")
        .first()
    )
