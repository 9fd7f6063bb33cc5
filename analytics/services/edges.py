"""Who calls whom: edges of the service map, from spans and their parents."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction

from analytics.choices import EdgeVia
from analytics.domain.errors import STATUS_ERROR
from analytics.domain.peers import peer_of
from analytics.domain.telemetry import SpanRecord
from analytics.models.partitions import EDGE_ROLLUPS
from analytics.services import copying
from analytics.services.call_names import CallNames
from analytics.services.copying import Clock
from analytics.services.folds import Folds
from analytics.services.rollups import (
    CLIENT,
    CONSUMER,
    PRODUCER,
    SERVER,
    CallFigures,
)
from analytics.services.sightings import edges_tell
from resilience_site.core import journal, partitions

# A parent that has not come by then was never sent, or was sampled away.
GIVE_UP_AFTER = timedelta(minutes=2)
_BATCH = 20_000
_PENDING_COLUMNS = (
    "trace_id", "parent_span_id", "service", "started_at", "duration_ns", "failed", "created_at",
)  # fmt: skip


class EdgeMemory(threading.local):
    """What a thread that resolves edges remembers; losing it costs time, never truth."""

    def __init__(self) -> None:
        self.names = CallNames()


memory = EdgeMemory()


def edges_collect(
    spans: Sequence[SpanRecord], peers: Sequence[str], figures: CallFigures
) -> tuple[list[SpanRecord], set[tuple[str, str, str]]]:
    """Count the edges that a batch shows by itself; `peers` are as `peers_named` tells them.

    Returns the entry spans whose parent has not been seen, and the (caller, peer, service) of
    client spans whose peer turned out to be a service.
    """
    by_id = {
        (span.trace_id, span.span_id): (span, peer) for span, peer in zip(spans, peers, strict=True)
    }
    waiting: list[SpanRecord] = []
    aliases: set[tuple[str, str, str]] = set()
    for span, peer in zip(spans, peers, strict=True):
        duration, failed = max(0, span.end_ns - span.start_ns), span.status_code == STATUS_ERROR
        service = span.resource.service
        if span.kind in (CLIENT, PRODUCER):
            if peer:
                figures.add_peer(span.start_ns, service, peer, EdgeVia.PEER, duration, failed)
        elif span.kind in (SERVER, CONSUMER) and span.parent_span_id:
            found = by_id.get((span.trace_id, span.parent_span_id))
            if found is None:
                waiting.append(span)
            elif found[0].resource.service != service:
                parent, called = found
                caller = parent.resource.service
                figures.add_edge(span.start_ns, caller, service, EdgeVia.LINK, duration, failed)
                _alias(aliases, figures, caller, called or peer_of(parent.attributes), service)
    return waiting, aliases


def peers_named(spans: Sequence[SpanRecord]) -> list[str]:
    """The address that each span says is called, "" where it calls none."""
    return [peer_of(span.attributes) if span.kind in (CLIENT, PRODUCER) else "" for span in spans]


def _alias(
    aliases: set[tuple[str, str, str]], figures: CallFigures, caller: str, peer: str, service: str
) -> None:
    """Note which service answers at a peer that has figures of its own."""
    if peer and figures.keeps_peer(caller, peer):
        aliases.add((caller, peer, service))


def edges_queue(waiting: Sequence[SpanRecord], received_at: datetime) -> None:
    """Remember entry spans until their parent arrives."""
    clock, escape = Clock(), copying.text
    at = received_at.isoformat()
    copying.copy_rows(
        "analytics_edgepending",
        _PENDING_COLUMNS,
        [
            f"{s.trace_id}\t{s.parent_span_id}\t{escape(s.resource.service)}\t"
            f"{clock.text(s.start_ns)}\t{max(0, s.end_ns - s.start_ns)}\t"
            f"{'t' if s.status_code == STATUS_ERROR else 'f'}\t{at}"
            for s in waiting
        ],
    )


def aliases_write(aliases: set[tuple[str, str, str]], at: datetime) -> None:
    """Remember which service answers at a peer's address."""
    if not aliases:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO analytics_peeralias (caller, peer, service, updated_at) "
            "VALUES (%s, %s, %s, %s) ON CONFLICT (caller, peer) DO UPDATE "
            "SET service = excluded.service, updated_at = excluded.updated_at "
            "WHERE analytics_peeralias.service <> excluded.service "
            # Once a day is enough to know that it is still in use.
            "OR analytics_peeralias.updated_at < excluded.updated_at - interval '1 day'",
            [(*alias, at) for alias in sorted(aliases)],
        )


_RESOLVE = """
WITH due AS (
    SELECT id, trace_id, parent_span_id, service, started_at, duration_ns, failed
    FROM analytics_edgepending ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
), found AS (
    SELECT DISTINCT ON (due.id) due.*, s.service AS caller, s.attributes
    FROM due JOIN analytics_span s
      ON s.trace_id = due.trace_id AND s.span_id = due.parent_span_id
     AND s.started_at BETWEEN due.started_at - interval '1 hour'
                          AND due.started_at + interval '10 minutes'
)
DELETE FROM analytics_edgepending p USING found WHERE p.id = found.id
RETURNING found.service, found.caller, found.started_at, found.duration_ns, found.failed,
    found.attributes::text
"""


def edges_resolve(*, now: datetime) -> int:
    """Count the edges whose parent has arrived since; returns how many.

    Several workers may run it at once: each row is taken by one of them.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_RESOLVE, [_BATCH])
        found = cursor.fetchall()
        cursor.execute(
            "DELETE FROM analytics_edgepending WHERE created_at < %s", [now - GIVE_UP_AFTER]
        )
        crossing = [row for row in found if row[0] != row[1]]
        peers = [peer_of(copying.orjson.loads(row[-1])) for row in crossing]
        callers = [row[1] for row in crossing]
        known = [pair for pair in zip(callers, peers, strict=True) if pair[1]]
        figures = CallFigures(memory.names.of((), known, Folds(), now))
        aliases: set[tuple[str, str, str]] = set()
        for row, peer in zip(crossing, peers, strict=True):
            service, caller, started_at, duration_ns, failed, _ = row
            start_ns = int(started_at.timestamp() * 1e9)
            figures.add_edge(start_ns, caller, service, EdgeVia.LINK, duration_ns, failed)
            _alias(aliases, figures, caller, peer, service)
        if figures.edges:
            starts = [row[2] for row in found]
            partitions.ensure(EDGE_ROLLUPS, min(starts), max(starts))
        figures.write()
        aliases_write(aliases, now)
        journal.append(edges_tell(figures, now))
    return len(found)
