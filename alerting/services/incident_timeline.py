"""The timeline of incidents: what the journal tells of their services, and who was told what.

Each incident keeps how far it has read. Where it turns out to concern another service, its time is
read again; what stands in the timeline already is passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import orjson
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from alerting.choices import DeliveryState, EntryKind, IncidentState
from alerting.domain.timeline import EVERYWHERE, TOPICS, Recorded, is_change, line_of
from alerting.models import Delivery, Incident, IncidentEntry
from alerting.services.incident_entries import entries_add, entry
from alerting.services.incident_journal import CHANGED, incident_told
from resilience_site.core import journal

# What changed so long before an incident may be its cause; what shows, for a shorter time.
LEAD_OF_CHANGES: Final = timedelta(hours=1)
LEAD: Final = timedelta(minutes=10)
# What comes of it may be told a while after its end.
TRAIL: Final = timedelta(minutes=10)
# Entries of the journal that one turn reads for one incident.
BATCH: Final = 2_000
# Of one kind; what goes up and down all the time would drown the rest.
MOST_OF_A_KIND: Final = 300
_AT_ONCE: Final = 200
_READ: Final = """
SELECT id, at, topic, kind, key, state, service, payload FROM core_journalentry
WHERE id > %(cursor)s AND id <= %(until)s AND at >= %(since)s AND topic = ANY(%(topics)s)
    AND (service = ANY(%(services)s) OR topic = ANY(%(everywhere)s))
    AND kind <> 'pattern.seen' AND left(kind, 6) <> 'alert.'
    AND (topic <> 'bulkheads' OR kind = 'policy.changed')
ORDER BY id LIMIT %(limit)s
"""


def timelines_follow(*, now: datetime) -> int:
    """Bring the timelines of incidents that are open, or ended a moment ago, up to date; how many
    lines are new."""
    return sum(timeline_follow(each, now=now) for each in _followed(now)[:_AT_ONCE])


def timeline_follow(incident: Incident, *, now: datetime) -> int:
    """Bring one timeline up to date."""
    newest = journal.latest_cursor()
    rows = _entries(incident, newest)
    upto = newest if len(rows) < BATCH else rows[-1].id
    # From the beginning, every line is looked at anew, so none is left out by its number.
    lines = [*_lines(incident, rows, now), *_deliveries(incident)]
    kept = _within_bounds(incident, lines)
    with transaction.atomic():
        entries_add(kept)
        # Whoever added a service meanwhile wants its time read again.
        same = Incident.objects.filter(
            id=incident.id, cursor=incident.cursor, services=incident.services
        )
        same.update(cursor=upto)
        if kept:
            journal.append([incident_told(incident, CHANGED, lines=len(kept))])
    return len(kept)


def _followed(now: datetime) -> QuerySet[Incident]:
    return Incident.objects.filter(
        ~Q(state=IncidentState.RESOLVED) | Q(ended_at__gte=now - TRAIL), merged_into=None
    ).order_by("-started_at", "-id")


def _entries(incident: Incident, newest: int) -> list[Recorded]:
    if newest <= incident.cursor:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            _READ,
            {
                "cursor": incident.cursor,
                "until": newest,
                "since": incident.started_at - LEAD_OF_CHANGES,
                "topics": list(TOPICS),
                "services": _services(incident),
                "everywhere": sorted(EVERYWHERE),
                "limit": BATCH,
            },
        )
        return [
            Recorded(number, at, topic, kind, key, state, service, orjson.loads(payload))
            for number, at, topic, kind, key, state, service, payload in cursor.fetchall()
        ]


def _services(incident: Incident) -> list[str]:
    return sorted({*incident.services, incident.culprit} - {""})


def _lines(incident: Incident, rows: Sequence[Recorded], now: datetime) -> Iterable[IncidentEntry]:
    until = (incident.ended_at or now) + TRAIL
    for row in rows:
        line = line_of(row)
        since = incident.started_at - (LEAD_OF_CHANGES if is_change(row) else LEAD)
        if line is not None and since <= line.at <= until:
            yield entry(
                incident.id, EntryKind(line.kind), line.at, line.text,
                ref=f"journal:{row.id}", link=line.link, actor=line.actor,
            )  # fmt: skip


def _deliveries(incident: Incident) -> Iterable[IncidentEntry]:
    """Who was told of the alerts, or could not be."""
    told = IncidentEntry.objects.filter(incident=incident, kind=EntryKind.DELIVERY)
    known = {ref.partition(":")[2] for ref in told.values_list("ref", flat=True)}
    ended = [DeliveryState.DELIVERED, DeliveryState.FAILED]
    rows = Delivery.objects.filter(
        group__alerts__incident=incident, state__in=ended, created_at__gte=incident.started_at
    ).distinct()
    for row in rows.order_by("created_at")[:MOST_OF_A_KIND]:
        if str(row.id) not in known:
            yield _delivery(incident, row)


def _delivery(incident: Incident, row: Delivery) -> IncidentEntry:
    title = str(row.message.get("title") or "")
    tries = f" at attempt {row.attempts}" if row.attempts > 1 else ""
    if row.state == DeliveryState.DELIVERED:
        text = f"{row.channel_name} was told{tries}: {title}"
    else:
        text = f"{row.channel_name} could not be told ({row.last_error or 'no reason'}): {title}"
    return entry(
        incident.id, EntryKind.DELIVERY, row.ended_at or row.created_at, text,
        ref=f"delivery:{row.id}", link=f"/alerts/deliveries/{row.id}",
    )  # fmt: skip


def _within_bounds(incident: Incident, lines: Sequence[IncidentEntry]) -> list[IncidentEntry]:
    """The lines that are new, of each kind as many as there is room for."""
    if not lines:
        return []
    rows = IncidentEntry.objects.filter(incident=incident)
    known = set(rows.filter(ref__in=[each.ref for each in lines]).values_list("ref", flat=True))
    counts = Counter(rows.order_by().values_list("kind", flat=True))
    kept = []
    for line in lines:
        if line.ref not in known and counts[line.kind] < MOST_OF_A_KIND:
            counts[line.kind] += 1
            kept.append(line)
    return kept
