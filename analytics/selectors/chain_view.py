"""One chain as a screen or the API shows it: events in causal order, and the waterfall."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from analytics.choices import ChainKind
from analytics.domain import chains
from analytics.domain.chains import Chain, ErrorNode, Gap, SpanNode
from analytics.models import ErrorEvent, LogRecord, Span
from analytics.selectors.chains import ChainParts, chain_find, parts_of, trace_parts
from analytics.selectors.logs import logs_of_trace

STATUS_ERROR = 2


@dataclass(frozen=True)
class WaterfallRow:
    """A line of the waterfall: a span, or a gap where one is missing (`span` is None).

    `offset` and `width` are shares (0..1) of the whole chain's time.
    """

    span_id: str
    span: Span | None
    depth: int
    gap: bool
    errors: list[ErrorEvent]
    is_root_cause: bool
    on_path: bool
    offset: float
    width: float


@dataclass(frozen=True)
class ChainView:
    """Everything about one chain. `chain_id` is None while no summary is stored yet."""

    chain_id: UUID | None
    kind: str
    trace_id: str
    correlation_id: str
    started_at: datetime
    ended_at: datetime
    root_cause: ErrorEvent | None
    events: list[ErrorEvent]
    services: list[str]
    path: list[str]
    gaps: list[Gap]
    rows: list[WaterfallRow]
    logs: list[LogRecord]

    @property
    def duration_ms(self) -> float:
        return (self.ended_at - self.started_at) / timedelta(milliseconds=1)


def nanoseconds(at: datetime) -> int:
    """A time as nanoseconds since the epoch, exact to the microsecond."""
    return int(at.timestamp() * 1_000_000) * 1_000


def span_nodes(spans: Iterable[Span]) -> list[SpanNode]:
    """Stored spans as the correlation takes them."""
    return [
        SpanNode(
            span.span_id,
            span.parent_span_id,
            span.service,
            nanoseconds(span.started_at),
            nanoseconds(span.started_at) + span.duration_ns,
            span.status == STATUS_ERROR,
        )
        for span in spans
    ]


def correlate_parts(parts: ChainParts) -> Chain:
    """Put stored spans and errors in causal order."""
    errors = [
        ErrorNode(str(e.id), e.span_id, e.service, nanoseconds(e.occurred_at)) for e in parts.errors
    ]
    return chains.correlate(span_nodes(parts.spans), errors)


def extent(parts: ChainParts) -> tuple[datetime, datetime]:
    """When the first part began and the last one ended; raises ValueError without parts."""
    starts = [s.started_at for s in parts.spans] + [e.occurred_at for e in parts.errors]
    ends = [s.started_at + timedelta(microseconds=s.duration_ns / 1e3) for s in parts.spans]
    ends += [e.occurred_at for e in parts.errors]
    return min(starts), max(ends)


def chain_view(key: str) -> ChainView | None:
    """The chain of a trace id, a correlation id or a chain's own id; None where nothing is known.

    A trace whose errors have just arrived is worked out at once, without waiting for its summary;
    so is a trace without any error, of which only the waterfall can be shown.
    """
    stored = chain_find(key)
    parts = parts_of(stored) if stored else trace_parts(key.lower())
    if not parts.spans and not parts.errors:
        return None
    chain = correlate_parts(parts)
    started_at, ended_at = extent(parts)
    errors = {str(error.id): error for error in parts.errors}
    trace_id = stored.trace_id if stored else key.lower()
    return ChainView(
        stored.id if stored else None,
        stored.kind if stored else ChainKind.TRACE,
        trace_id,
        stored.correlation_id if stored else next((e.correlation_id for e in parts.errors), ""),
        started_at,
        ended_at,
        errors[chain.root_cause] if chain.root_cause else None,
        [errors[event] for event in chain.events],
        chain.services,
        chain.path,
        chain.gaps,
        _rows(chain, parts, errors, started_at, ended_at),
        logs_of_trace(trace_id, started_at, ended_at) if trace_id else [],
    )


def _rows(
    chain: Chain,
    parts: ChainParts,
    errors: dict[str, ErrorEvent],
    started_at: datetime,
    ended_at: datetime,
) -> list[WaterfallRow]:
    spans = {span.span_id: span for span in reversed(parts.spans)}
    by_span: dict[str, list[ErrorEvent]] = {}
    for event in chain.events:
        by_span.setdefault(errors[event].span_id, []).append(errors[event])
    root = errors[chain.root_cause].span_id if chain.root_cause else None
    whole = max((ended_at - started_at) / timedelta(microseconds=1), 1.0)
    path = set(chain.path)
    rows = []
    for row in chain.rows:
        span = spans.get(row.span_id)
        offset = width = 0.0
        if span is not None:
            offset = (span.started_at - started_at) / timedelta(microseconds=1) / whole
            width = span.duration_ns / 1e3 / whole
        rows.append(
            WaterfallRow(
                row.span_id, span, row.depth, row.gap, by_span.get(row.span_id, []),
                bool(root) and row.span_id == root, row.span_id in path, offset, width,
            )
        )  # fmt: skip
    return rows
