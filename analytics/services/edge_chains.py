"""Chains of errors that only time and dependency join."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from uuid import UUID

from django.db import connection, transaction

from analytics.choices import ChainKind
from analytics.domain.edge_chains import (
    SILENCE_NS,
    EdgeChain,
    causal_services,
    edge_chains,
    sureness,
)
from analytics.models import CorrelationChain
from analytics.models.partitions import CHAINS
from analytics.selectors.chain_queue import MAX_MESSAGE
from analytics.selectors.chains import MAX_ERRORS
from analytics.selectors.errors import errors_get
from analytics.selectors.loose_errors import edge_chains_of, loose_errors, service_onsets
from analytics.selectors.rollups import edge_list
from analytics.services.arrivals import Arrival
from analytics.services.chains import chains_announce, chains_write
from resilience_site.config import config
from resilience_site.core import partitions
from resilience_site.core.timerange import TimeRange

# Of which it is told how often services fail, and who calls whom.
HISTORY = timedelta(hours=24)
# Clocks of senders may be ahead of ours.
_AHEAD = timedelta(minutes=10)
_ONE_BUILDER = 0x65646765


def edge_chains_build(*, now: datetime) -> int:
    """Put the newest errors without a trace and a correlation id into chains, as far as time and
    dependency join them; returns how many chains were written.

    A chain that grows keeps its id. Written again only when it has changed.
    """
    if not config.error_correlation_enabled:
        return 0
    arrival = Arrival(now)
    window = timedelta(minutes=config.error_correlation_window_minutes)
    # Twice the window, so that what may still grow is seen whole.
    errors = loose_errors(TimeRange(now - 2 * window - _AHEAD, now + _AHEAD))
    services = sorted({error.service for error in errors})
    if len(services) < 2:
        return 0
    history = TimeRange(now - HISTORY, now + _AHEAD)
    edges = {
        (edge.caller, edge.callee)
        for edge in edge_list(history)
        if edge.caller in services and edge.callee in services
    }
    if not edges:
        return 0
    onsets = service_onsets(services, history, timedelta(seconds=SILENCE_NS / 1e9))
    found = edge_chains(
        errors,
        edges,
        window=window.total_seconds(),
        sure=sureness(onsets, HISTORY.total_seconds()),
    )
    partitions.ensure(CHAINS, now, now)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_ONE_BUILDER])
            if not cursor.fetchone()[0]:
                return 0
        written = [row for each in found if (row := _row(each, edges, now)) is not None]
        chains_write(written, arrival)
        chains_announce(written)
    return len(written)


def _row(found: EdgeChain, edges: set[tuple[str, str]], now: datetime) -> CorrelationChain | None:
    """The chain as it is stored; None where it is stored so already. Chains that turn out to be one
    become the oldest of them."""
    ids = [UUID(each) for each in found.events]
    before = edge_chains_of(ids, now - HISTORY)
    known = {key for chain in before for key in chain.error_ids}
    if len(before) == 1 and known >= set(ids):
        return None
    kept = before[0] if before else None
    if before[1:]:
        CorrelationChain.objects.filter(
            id__in=[chain.id for chain in before[1:]],
            opened_on__in=[chain.opened_on for chain in before[1:]],
        ).delete()
    errors = errors_get([*known, *ids])
    services = causal_services({error.service for error in errors.values()}, edges)
    place = {name: index for index, name in enumerate(services)}
    ordered = sorted(errors.values(), key=lambda e: (place[e.service], e.occurred_at, e.id))
    root = ordered[0]
    return CorrelationChain(
        id=kept.id if kept else _chain_id(ids),
        opened_on=kept.opened_on if kept else now.date(),
        kind=ChainKind.EDGE,
        trace_id="",
        correlation_id="",
        root_cause_id=root.id,
        root_cause_service=root.service,
        root_cause_type=root.type,
        root_cause_message=root.message[:MAX_MESSAGE],
        root_cause_operation=root.operation,
        services=services,
        error_count=len(ordered),
        span_count=0,
        gap_count=0,
        started_at=min(error.occurred_at for error in ordered),
        ended_at=max(error.occurred_at for error in ordered),
        updated_at=now,
        confidence=min([found.confidence, *(chain.confidence for chain in before)]),
        error_ids=[error.id for error in ordered[:MAX_ERRORS]],
    )


def _chain_id(ids: Sequence[UUID]) -> UUID:
    first = min(ids)
    return UUID(bytes=blake2b(f"edge\0{first}".encode(), digest_size=16).digest())
