"""Working through the queue of chains: what is due is put in causal order and summed up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction

from analytics.choices import ChainKind
from analytics.domain.chains import windows
from analytics.models import CorrelationChain, ErrorEvent
from analytics.models.partitions import CHAINS
from analytics.selectors.chain_view import correlate_parts, extent, nanoseconds
from analytics.selectors.chains import (
    ChainParts,
    correlation_chain_near,
    correlation_parts,
    open_chains,
    parts_of_traces,
)
from resilience_site.config import config
from resilience_site.core import journal, partitions

# Exporters send every few seconds: what belongs to a trace is complete by then, as a rule.
SETTLE_AFTER = timedelta(seconds=15)
BATCH = 1_000
_ONE_BUILDER = 0x636861696E
_MAX_HINTS = 100
_MAX_MESSAGE = 500


class Due(NamedTuple):
    """An entry taken off the queue."""

    trace_id: str
    correlation_id: str
    occurred_at: datetime
    settling: bool


def chains_build(*, now: datetime, limit: int = BATCH) -> int:
    """Build the chains that are due; returns how many were written.

    Takes the queue's entries and writes their chains in one transaction. Where another worker is
    at it already, this one leaves it to that.
    """
    if not config.error_correlation_enabled:
        return 0
    partitions.ensure(CHAINS, now, now)
    with transaction.atomic():
        if not _alone():
            return 0
        due = _take(now, limit)
        if not due:
            return 0
        today = now.date()
        written = _build_traces([d for d in due if d.trace_id], today, now)
        written += _build_correlations([d for d in due if not d.trace_id], today, now)
        _settle_later(due, now)
        _announce(written)
    return len(written)


def _alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_ONE_BUILDER])
        return bool(cursor.fetchone()[0])


def _take(now: datetime, limit: int) -> list[Due]:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM analytics_chainpending WHERE id IN (SELECT id FROM "
            "analytics_chainpending WHERE due_at <= %s ORDER BY due_at LIMIT %s "
            "FOR UPDATE SKIP LOCKED) "
            "RETURNING trace_id, correlation_id, occurred_at, settling",
            [now, limit],
        )
        return [Due(*row) for row in cursor.fetchall()]


def _build_traces(due: Sequence[Due], today: date, now: datetime) -> list[CorrelationChain]:
    if not due:
        return []
    times = [d.occurred_at for d in due]
    trace_ids = sorted({d.trace_id for d in due})
    parts = parts_of_traces(trace_ids, min(times), max(times))
    known = open_chains(trace_ids, today - timedelta(days=1))
    chains = []
    for trace_id, own in parts.items():
        # The errors may be gone: replaced by a better report of the same failure.
        if not own.errors:
            continue
        existing = known.get(trace_id)
        chain_id = existing.id if existing else _chain_id("trace", trace_id)
        correlation = next((e.correlation_id for e in own.errors if e.correlation_id), "")
        opened_on = existing.opened_on if existing else today
        chains.append(
            _summary(own, ChainKind.TRACE, chain_id, opened_on, trace_id, correlation, now)
        )
        _name_operations(own)
    _write(chains)
    return chains


def _build_correlations(due: Sequence[Due], today: date, now: datetime) -> list[CorrelationChain]:
    window = timedelta(minutes=config.error_correlation_window_minutes)
    chains: dict[UUID, CorrelationChain] = {}
    for entry in sorted(due, key=lambda d: d.occurred_at):
        at, key = entry.occurred_at, entry.correlation_id
        existing = correlation_chain_near(key, at, window)
        since = min(at, existing.started_at) if existing else at
        until = max(at, existing.ended_at) if existing else at
        found = _within(correlation_parts(key, since - window, until + window), at, window)
        if not found.errors:
            continue
        first = found.errors[0]
        chain_id = existing.id if existing else _chain_id("correlation", f"{key}\0{first.id}")
        opened_on = existing.opened_on if existing else today
        chains[chain_id] = _summary(found, ChainKind.CORRELATION, chain_id, opened_on, "", key, now)
        _write([chains[chain_id]])
    return list(chains.values())


def _within(parts: ChainParts, at: datetime, window: timedelta) -> ChainParts:
    """The part of a correlation id's errors that the silence rule puts together with `at`."""
    times = [nanoseconds(error.occurred_at) for error in parts.errors]
    width, moment = int(window.total_seconds() * 1e9), nanoseconds(at)
    for group in windows(times, width):
        members = [parts.errors[i] for i in group]
        if times[group[0]] - width <= moment <= times[group[-1]] + width:
            traces = {error.trace_id for error in members}
            return ChainParts([s for s in parts.spans if s.trace_id in traces], members)
    return ChainParts([], [])


def _chain_id(kind: str, key: str) -> UUID:
    return UUID(bytes=blake2b(f"{kind}\0{key}".encode(), digest_size=16).digest())


def _summary(
    parts: ChainParts,
    kind: ChainKind,
    chain_id: UUID,
    opened_on: date,
    trace_id: str,
    correlation_id: str,
    now: datetime,
) -> CorrelationChain:
    chain = correlate_parts(parts)
    started_at, ended_at = extent(parts)
    root = next(error for error in parts.errors if str(error.id) == chain.root_cause)
    operations = {span.span_id: span.operation for span in parts.spans}
    return CorrelationChain(
        id=chain_id,
        opened_on=opened_on,
        kind=kind,
        trace_id=trace_id,
        correlation_id=correlation_id,
        root_cause_id=root.id,
        root_cause_service=root.service,
        root_cause_type=root.type,
        root_cause_message=root.message[:_MAX_MESSAGE],
        root_cause_operation=root.operation or operations.get(root.span_id, ""),
        services=chain.services,
        error_count=len(chain.events),
        span_count=len(parts.spans),
        gap_count=len(chain.gaps),
        started_at=started_at,
        ended_at=ended_at,
        updated_at=now,
    )


_COLUMNS = [field.attname for field in CorrelationChain._meta.concrete_fields]
_UPSERT = f"""
INSERT INTO analytics_correlationchain ({", ".join(_COLUMNS)})
VALUES ({", ".join(["%s"] * len(_COLUMNS))})
ON CONFLICT (opened_on, id) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in ("id", "opened_on"))}
"""


def _write(chains: Sequence[CorrelationChain]) -> None:
    rows = [tuple(getattr(chain, name) for name in _COLUMNS) for chain in chains]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_UPSERT, rows)


def _name_operations(parts: ChainParts) -> None:
    """Log records do not name the operation they belong to; their span does."""
    operations = {span.span_id: span.operation for span in parts.spans}
    for error in parts.errors:
        if not error.operation and error.span_id in operations:
            ErrorEvent.objects.filter(id=error.id, occurred_at=error.occurred_at).update(
                operation=operations[error.span_id]
            )


def _settle_later(due: Iterable[Due], now: datetime) -> None:
    """Look once more at what is new, when its last spans have surely come."""
    fresh = {(d.trace_id, d.correlation_id): d.occurred_at for d in due if not d.settling}
    if not fresh:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO analytics_chainpending "
            "(trace_id, correlation_id, occurred_at, created_at, due_at, settling) "
            "SELECT t, c, o, %s, %s, true FROM "
            "unnest(%s::text[], %s::text[], %s::timestamptz[]) AS u (t, c, o)",
            [
                now,
                now + SETTLE_AFTER,
                [key[0] for key in fresh],
                [key[1] for key in fresh],
                list(fresh.values()),
            ],
        )


def _announce(chains: Sequence[CorrelationChain]) -> None:
    newest = sorted(chains, key=lambda chain: chain.started_at)[-_MAX_HINTS:]
    journal.append(
        [
            journal.Entry(
                "chains", "chain.updated", str(chain.id), service=chain.root_cause_service,
                payload={"trace_id": chain.trace_id},
            )
            for chain in newest
        ]
    )  # fmt: skip
