"""Working through the queue of chains: what is due is put in causal order and summed up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction

from analytics.choices import ChainKind
from analytics.domain.chains import chain, windows
from analytics.domain.times import moment, nanoseconds
from analytics.models import CorrelationChain, ErrorEvent
from analytics.models.partitions import CHAINS
from analytics.selectors.chain_queue import (
    KnownChain,
    Material,
    complete_traces,
    correlation_material,
    known_chains,
    traces_material,
)
from analytics.selectors.chains import correlation_chain_near
from analytics.services import copying
from analytics.services.arrivals import Arrival
from analytics.services.chain_onsets import onsets_note
from resilience_site.config import config
from resilience_site.core import journal, partitions

# Exporters send every few seconds: what belongs to a trace is complete by then, as a rule.
SETTLE_AFTER = timedelta(seconds=15)
BATCH = 1_000
_ONE_BUILDER = 0x636861696E
_MAX_HINTS = 100


class Due(NamedTuple):
    """An entry taken off the queue."""

    trace_id: str
    correlation_id: str
    occurred_at: datetime
    settling: bool


def chains_build(*, now: datetime, limit: int = BATCH) -> int:
    """Build the chains that are due; returns how many entries of the queue were worked through.

    Takes the queue's entries and writes their chains in one transaction. Where another worker is
    at it already, this one leaves it to that.
    """
    if not config.error_correlation_enabled:
        return 0
    partitions.ensure(CHAINS, now, now)
    arrival = Arrival(now)
    with transaction.atomic():
        if not _alone():
            return 0
        due = _take(now, limit)
        if not due:
            return 0
        today = now.date()
        written = _build_traces([d for d in due if d.trace_id], today, arrival)
        written += _build_correlations([d for d in due if not d.trace_id], today, arrival)
        _settle_later(due, now)
        chains_announce(written)
    return len(due)


def _alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_ONE_BUILDER])
        return bool(cursor.fetchone()[0])


def _take(now: datetime, limit: int) -> list[Due]:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM analytics_chainpending WHERE id = ANY(ARRAY(SELECT id FROM "
            "analytics_chainpending WHERE due_at <= %s ORDER BY due_at LIMIT %s "
            "FOR UPDATE SKIP LOCKED)) "
            "RETURNING trace_id, correlation_id, occurred_at, settling",
            [now, limit],
        )
        return [Due(*row) for row in cursor.fetchall()]


def _build_traces(due: Sequence[Due], today: date, arrival: Arrival) -> list[CorrelationChain]:
    due = _without_complete(due, today)
    if not due:
        return []
    times = [d.occurred_at for d in due]
    trace_ids = sorted({d.trace_id for d in due})
    known = known_chains(trace_ids, today - timedelta(days=1))
    chains = []
    for trace_id, own in traces_material(trace_ids, min(times), max(times)).items():
        # The errors may be gone: replaced by a better report of the same failure.
        if not own.errors:
            continue
        key = known.get(trace_id) or KnownChain(_chain_id("trace", trace_id), today)
        correlation = next((t.correlation_id for t in own.told.values() if t.correlation_id), "")
        chains.append(_summary(own, ChainKind.TRACE, key, trace_id, correlation, arrival.at))
        _name_operations(own)
    chains_write(chains, arrival)
    return chains


def _without_complete(due: Sequence[Due], today: date) -> Sequence[Due]:
    """Leave out what is only looked at once more and has not grown: it is nearly all of it."""
    again = [d for d in due if d.settling]
    if not again:
        return due
    times = [d.occurred_at for d in again]
    fresh = {d.trace_id for d in due if not d.settling}
    complete = complete_traces(
        sorted({d.trace_id for d in again} - fresh), min(times), max(times),
        today - timedelta(days=1),
    )  # fmt: skip
    return [d for d in due if d.trace_id not in complete]


def _build_correlations(
    due: Sequence[Due], today: date, arrival: Arrival
) -> list[CorrelationChain]:
    window = timedelta(minutes=config.error_correlation_window_minutes)
    chains: dict[UUID, CorrelationChain] = {}
    for entry in sorted(due, key=lambda d: d.occurred_at):
        at, key = entry.occurred_at, entry.correlation_id
        existing = correlation_chain_near(key, at, window)
        since = min(at, existing.started_at) if existing else at
        until = max(at, existing.ended_at) if existing else at
        found = _within(correlation_material(key, since - window, until + window), at, window)
        if not found.errors:
            continue
        if existing:
            chain = KnownChain(existing.id, existing.opened_on)
        else:
            chain = KnownChain(_chain_id("correlation", f"{key}\0{found.errors[0].id}"), today)
        chains[chain.id] = _summary(found, ChainKind.CORRELATION, chain, "", key, arrival.at)
        chains_write([chains[chain.id]], arrival)
    return list(chains.values())


def _within(material: Material, at: datetime, window: timedelta) -> Material:
    """The part of a correlation id's errors that the silence rule puts together with `at`."""
    times = [error.occurred_ns for error in material.errors]
    width, middle = nanoseconds(at + window) - nanoseconds(at), nanoseconds(at)
    for group in windows(times, width):
        if times[group[0]] - width <= middle <= times[group[-1]] + width:
            members = [material.errors[i] for i in group]
            traces = {error.trace_id for error in members}
            spans = [span for span in material.spans if span.trace_id in traces]
            return Material(spans, members, material.told)
    return Material()


def _chain_id(kind: str, key: str) -> UUID:
    return UUID(bytes=blake2b(f"{kind}\0{key}".encode(), digest_size=16).digest())


def _summary(
    material: Material,
    kind: ChainKind,
    key: KnownChain,
    trace_id: str,
    correlation_id: str,
    now: datetime,
) -> CorrelationChain:
    found = chain(material.spans, material.errors)
    root = next(error for error in material.errors if error.id == found.root_cause)
    told = material.told[root.id]
    operations = {span.id: span.name for span in material.spans}
    return CorrelationChain(
        id=key.id,
        opened_on=key.opened_on,
        kind=kind,
        trace_id=trace_id,
        correlation_id=correlation_id,
        root_cause_id=root.id,
        root_cause_service=root.service,
        root_cause_type=root.type,
        root_cause_message=told.message,
        root_cause_operation=told.operation or operations.get(root.span_id, ""),
        services=found.services,
        error_count=len(found.events),
        span_count=len(material.spans),
        gap_count=len(found.gaps),
        started_at=moment(found.started_ns),
        ended_at=moment(found.ended_ns),
        updated_at=now,
    )


_TYPES = {
    field.attname: field.db_type(connection) for field in CorrelationChain._meta.concrete_fields
}
_NAMES = ", ".join(_TYPES)
_KEY = ("id", "opened_on")
_UPSERT = f"""
INSERT INTO analytics_correlationchain ({_NAMES})
SELECT {_NAMES} FROM json_to_recordset(%s)
    AS rows ({", ".join(f"{name} {kind}" for name, kind in _TYPES.items())})
ON CONFLICT (opened_on, id) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in _TYPES if name not in _KEY)}
"""


def chains_write(chains: Sequence[CorrelationChain], arrival: Arrival) -> None:
    """Store summaries, in place of what was stored of the same chains."""
    if chains:
        onsets_note(chains, arrival)
        rows = [{name: getattr(each, name) for name in _TYPES} for each in chains]
        with connection.cursor() as cursor:
            cursor.execute(_UPSERT, [copying.jsonb(rows)])


def _name_operations(material: Material) -> None:
    """Log records do not name the operation they belong to; their span does."""
    operations = {span.id: span.name for span in material.spans}
    for error in material.errors:
        told = material.told[error.id]
        if not told.operation and error.span_id in operations:
            ErrorEvent.objects.filter(id=error.id, occurred_at=told.occurred_at).update(
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


def chains_announce(chains: Sequence[CorrelationChain]) -> None:
    """Tell open pages of the newest of these chains. Journal entries: topic `chains`, kind
    `chain.updated`, the chain's id as key, payload `{"trace_id": "…"}`."""
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
