"""One chain as a screen or the API shows it: events in causal order, and the waterfall."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from analytics.choices import ChainKind
from analytics.domain import chains
from analytics.domain.chains import Chain, Gap
from analytics.domain.times import nanoseconds
from analytics.models import CorrelationChain, ErrorEvent, LogRecord, Span
from analytics.selectors.chain_queue import chain_error, chain_span
from analytics.selectors.chains import ChainParts, chain_find, parts_of, trace_parts
from analytics.selectors.logs import logs_of_trace


@dataclass(frozen=True)
class WaterfallRow:
    """A line of the waterfall: a span, or a gap (`span` is None) where one is missing.

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

    @property
    def duration_ms(self) -> float | None:
        return self.span.duration_ns / 1e6 if self.span else None


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
    confidence: float = 1.0

    @property
    def duration_ms(self) -> float:
        return (self.ended_at - self.started_at) / timedelta(milliseconds=1)


def correlate_parts(parts: ChainParts) -> Chain:
    """Put stored spans and errors in causal order."""
    return chains.chain(map(chain_span, parts.spans), map(chain_error, parts.errors))


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
    if stored and stored.kind == ChainKind.EDGE:
        chain = _as_stored(chain, stored, parts)
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
        stored.confidence if stored else 1.0,
    )


def _as_stored(chain: Chain, stored: CorrelationChain, parts: ChainParts) -> Chain:
    """In the order in which the chain was stored: no span says who called whom, and the map of
    services may be another one by now."""
    events = [str(error.id) for error in parts.errors]
    return chain._replace(root_cause=events[0], events=events, services=stored.services)


def _rows(
    chain: Chain,
    parts: ChainParts,
    errors: dict[str, ErrorEvent],
    started_at: datetime,
    ended_at: datetime,
) -> list[WaterfallRow]:
    spans = {(span.trace_id, span.span_id): span for span in reversed(parts.spans)}
    root = errors[chain.root_cause] if chain.root_cause else None
    begin = nanoseconds(started_at)
    whole = max(nanoseconds(ended_at) - begin, 1)
    path = set(chain.path)
    return [
        WaterfallRow(
            row.span_id,
            spans.get((row.trace_id, row.span_id)),
            row.depth,
            row.gap,
            [errors[event] for event in row.errors],
            root is not None and (row.trace_id, row.span_id) == (root.trace_id, root.span_id),
            row.span_id in path,
            max(0.0, (row.start_ns - begin) / whole),
            (row.end_ns - row.start_ns) / whole,
        )
        for row in chain.rows
    ]
