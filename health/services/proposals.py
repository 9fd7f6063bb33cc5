"""Edges proposed from traces: read from the journal, where analytics tells who calls whom."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from django.db import connection, transaction

from health.choices import DependencyStatus
from health.models import Dependency, JournalReader
from health.services.locks import graph_lock
from resilience_site.core import journal
from resilience_site.core.choices import Topic
from resilience_site.core.journal import Entry, Recorded

log = logging.getLogger(__name__)

_READER: Final = "dependency-proposals"
_KIND: Final = "edge_observed"
_BATCH: Final = 1_000
# Whoever may send traces may name any number of services; people decide on fewer.
MOST_PROPOSED: Final = 2_000


@dataclass(frozen=True)
class Sighting:
    """Calls of one service to another, the last of them told of at `at`."""

    caller: str
    callee: str
    calls: int
    at: datetime


_UPSERT: Final = """
INSERT INTO health_dependency AS d
    (id, child_service, parent_service, hard, status, calls, last_seen, created_at,
     decided_by, reason)
SELECT seen.id, seen.caller, seen.callee, true, %(proposed)s, seen.calls, seen.at, %(now)s, '', ''
FROM unnest(%(ids)s::uuid[], %(callers)s::text[], %(callees)s::text[], %(calls)s::bigint[],
    %(ats)s::timestamptz[]) AS seen (id, caller, callee, calls, at)
JOIN health_service child ON child.name = seen.caller
JOIN health_service parent ON parent.name = seen.callee
WHERE %(room)s OR EXISTS (
    SELECT 1 FROM health_dependency known
    WHERE known.child_service = seen.caller AND known.parent_service = seen.callee)
ORDER BY seen.caller, seen.callee
ON CONFLICT ON CONSTRAINT dependency_once DO UPDATE SET
    calls = d.calls + excluded.calls,
    last_seen = GREATEST(d.last_seen, excluded.last_seen)
RETURNING d.id, d.child_service, d.parent_service, (xmax = 0)
"""


def proposals_read(*, now: datetime) -> int:
    """Take in what the journal has told since the last time; returns how many edges are new.

    What people have declared, accepted or rejected stays as it is, but for the calls that were
    seen. Several workers may call it at once: one of them reads, the others find it busy.
    """
    JournalReader.objects.get_or_create(reader=_READER)
    proposed = 0
    while True:
        with transaction.atomic():
            readers = JournalReader.objects.select_for_update(skip_locked=True)
            reader = readers.filter(reader=_READER).first()
            if reader is None:
                return proposed
            entries = journal.read(reader.cursor, [Topic.DEPENDENCIES], _BATCH)
            if not entries:
                return proposed
            reader.cursor = entries[-1].id
            reader.save(update_fields=["cursor"])
            proposed += _propose(_sightings(entries), now)


def _sightings(entries: Sequence[Recorded]) -> list[Sighting]:
    found: dict[tuple[str, str], Sighting] = {}
    for entry in entries:
        if entry.kind != _KIND or entry.payload["caller"] == entry.payload["callee"]:
            continue
        pair = (entry.payload["caller"], entry.payload["callee"])
        calls = int(entry.payload["calls"])
        former = found.get(pair)
        if former is None:
            found[pair] = Sighting(*pair, calls, entry.at)
        else:
            found[pair] = replace(former, calls=former.calls + calls, at=entry.at)
    return [found[pair] for pair in sorted(found)]


def _propose(sightings: Sequence[Sighting], now: datetime) -> int:
    if not sightings:
        return 0
    proposed = Dependency.objects.filter(status=DependencyStatus.PROPOSED).count()
    room = proposed + len(sightings) <= MOST_PROPOSED
    if not room:
        log.warning("%d proposed edges wait to be decided on; no new one is added", proposed)
    # Whoever declares edges holds it as well, and writes the same rows in another order.
    graph_lock()
    with connection.cursor() as cursor:
        cursor.execute(
            _UPSERT,
            {
                "ids": [uuid4() for _ in sightings],
                "callers": [each.caller for each in sightings],
                "callees": [each.callee for each in sightings],
                "calls": [each.calls for each in sightings],
                "ats": [each.at for each in sightings],
                "proposed": DependencyStatus.PROPOSED,
                "now": now,
                "room": room,
            },
        )
        new = [row for row in cursor.fetchall() if row[3]]
    journal.append([_entry(*row[:3]) for row in new])
    return len(new)


def _entry(key: UUID, child: str, parent: str) -> Entry:
    return Entry(
        Topic.DEPENDENCIES,
        "dependency_propose",
        str(key),
        DependencyStatus.PROPOSED,
        payload={"words": f"service {child} needs service {parent}"},
    )
