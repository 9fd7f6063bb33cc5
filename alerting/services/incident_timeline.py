"""The timeline of incidents: what the journal tells of their services, and who was told what.

Each incident keeps how far it has read. Where it turns out to concern another service, its time is
read again; what stands in the timeline already is passed over.

A storm makes hundreds of incidents at once, and sending must not wait for their accounts: many are
read with one query, one process does it at a time, and a turn ends after a while; the next one goes
on with those that are furthest behind.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Count

from alerting.choices import DeliveryState, EntryKind
from alerting.domain.timeline import EVERYWHERE, Line, Recorded, concerns, is_change, line_of
from alerting.models import Incident, IncidentEntry
from alerting.selectors.incident_lines import (
    BATCH,
    TRAIL,
    Followed,
    Told,
    deliveries_ended,
    deliveries_untold,
    incidents_followed,
    incidents_in,
    journal_of,
    services_of,
)
from alerting.services.alone import alone
from alerting.services.incident_entries import entries_add, entry
from alerting.services.incident_journal import CHANGED, incident_told
from resilience_site.core import journal

# What changed so long before an incident may be its cause; what shows, for a shorter time.
LEAD_OF_CHANGES: Final = timedelta(hours=1)
LEAD: Final = timedelta(minutes=10)
# Of one kind; what goes up and down all the time would drown the rest.
MOST_OF_A_KIND: Final = 300
# Incidents that are read together, and seconds after which a turn begins with no more of them.
AT_ONCE: Final = 50
TURN_SECONDS: Final = 3.0
# Entries of the journal that one of them may be ahead of another.
_NEAR: Final = 10_000
# A delivery may be committed so much later than the time of its end.
_LATE: Final = timedelta(seconds=60)
# Any constant that no other advisory lock of the site uses.
_LOCK: Final = 0x74696D656C696E65


class _Memory:
    """Of which incidents, as they were then, this process has looked at who was told, and the
    deliveries that it knew of. What it saves is work alone: another process, or this one anew, does
    it once more."""

    at: datetime | None = None
    versions: Mapping[UUID, int] = {}
    deliveries: frozenset[UUID] = frozenset()


def timelines_follow(*, now: datetime) -> int:
    """Bring the timelines of incidents that are open, or ended a moment ago, up to date; how many
    lines are new. Of two callers at a time, one does nothing.

    Those that fail keep no others from going on: what went wrong is raised at the end.
    """
    with alone(_LOCK) as got:
        return _turn(now) if got else 0


def _turn(now: datetime) -> int:
    began = time.monotonic()
    newest = journal.latest_cursor()
    followed = incidents_followed(now)
    heard = _heard(followed, now)
    due = [each for each in followed if each.cursor < newest or each.id not in heard]
    added, failed = 0, []
    for some in _together(due):
        try:
            untold = [each.id for each in some if each.id not in heard]
            added += _follow([each.id for each in some], untold, newest, now)
            heard |= {each.id: each.version for each in some}
        except Exception as error:
            failed.append(error)
        if time.monotonic() - began >= TURN_SECONDS:
            break
    _Memory.versions = heard
    if failed:
        raise ExceptionGroup(f"{len(failed)} × {AT_ONCE} timelines could not go on", failed)
    return added


def _heard(followed: Sequence[Followed], now: datetime) -> dict[UUID, int]:
    """Those of the incidents of which nobody was told since they were looked at last."""
    if _Memory.at is None or now < _Memory.at:
        # The clock was put right, or nothing is known.
        _Memory.versions, _Memory.deliveries = {}, frozenset()
    ended = deliveries_ended((min(_Memory.at, now) if _Memory.at else now) - _LATE)
    groups = {group for each, group in ended.items() if each not in _Memory.deliveries}
    known = _Memory.versions
    told = incidents_in(groups) if known and groups else set()
    # Until they are looked at, what is new of them is not forgotten.
    _Memory.at, _Memory.deliveries = now, frozenset(ended)
    _Memory.versions = {
        each.id: each.version
        for each in followed
        if known.get(each.id) == each.version and each.id not in told
    }
    return dict(_Memory.versions)


def _together(due: Sequence[Followed]) -> Iterator[list[Followed]]:
    """Incidents that have about as much to read: one that is behind must not hold up the others."""
    some: list[Followed] = []
    for each in due:
        if some and (len(some) == AT_ONCE or not _near(some[0], each)):
            yield some
            some = []
        some.append(each)
    if some:
        yield some


def _near(first: Followed, other: Followed) -> bool:
    if other.cursor - first.cursor > _NEAR:
        return False
    return bool(first.cursor) or other.started_at - first.started_at <= LEAD_OF_CHANGES


def _follow(ids: Sequence[UUID], untold: Sequence[UUID], newest: int, now: datetime) -> int:
    """Bring some timelines up to date, of the `untold` also who was told; how many lines are new."""
    incidents = list(Incident.objects.filter(pk__in=ids).defer("cause", "impact"))
    if not incidents:
        return 0
    rows = journal_of(
        {name for each in incidents for name in services_of(each)},
        since=min(each.started_at for each in incidents) - LEAD_OF_CHANGES,
        after=min(each.cursor for each in incidents),
        until=newest,
    )
    told = map(_delivery, deliveries_untold(untold, MOST_OF_A_KIND))
    # From the beginning, every line is looked at anew, so none is left out by its number.
    kept = _within_bounds([*_lines(incidents, rows, now), *told])
    counts = Counter(each.incident_id for each in kept)
    with transaction.atomic():
        entries_add(kept)
        _advance(incidents, newest if len(rows) < BATCH else rows[-1].id)
        journal.append(
            [
                incident_told(each, CHANGED, lines=counts[each.id])
                for each in incidents
                if counts[each.id]
            ]
        )
    return len(kept)


def _advance(read: Sequence[Incident], cursor: int) -> None:
    """Keep how far they were read. Whoever added a service meanwhile wants its time read again, and
    whoever is at it now is not waited for: the lines stand there already."""
    was = {each.id: (each.cursor, each.services) for each in read if each.cursor < cursor}
    # In the order in which those who follow alerts lock them.
    rows = Incident.objects.select_for_update(no_key=True, skip_locked=True).order_by(
        "started_at", "id"
    )
    same = [
        pk
        for pk, *now in rows.filter(pk__in=list(was)).values_list("pk", "cursor", "services")
        if tuple(now) == was[pk]
    ]
    Incident.objects.filter(pk__in=same).update(cursor=cursor)


def _lines(
    incidents: Sequence[Incident], rows: Sequence[Recorded], now: datetime
) -> Iterable[IncidentEntry]:
    concerned: dict[str, list[Incident]] = defaultdict(list)
    for each in incidents:
        for name in services_of(each):
            concerned[name].append(each)
    for row in rows:
        line = line_of(row)
        if line is None:
            continue
        everywhere = row.topic in EVERYWHERE
        for each in incidents if everywhere else concerned[row.service]:
            if everywhere and not concerns(row, services_of(each)):
                continue
            if row.id > each.cursor and _in_time(each, row, line, now):
                yield entry(
                    each.id, EntryKind(line.kind), line.at, line.text,
                    ref=f"journal:{row.id}", link=line.link, actor=line.actor,
                )  # fmt: skip


def _in_time(incident: Incident, row: Recorded, line: Line, now: datetime) -> bool:
    since = incident.started_at - (LEAD_OF_CHANGES if is_change(row) else LEAD)
    return since <= line.at <= (incident.ended_at or now) + TRAIL


def _delivery(told: Told) -> IncidentEntry:
    """Who was told of the alerts, or could not be."""
    tries = f" at attempt {told.attempts}" if told.attempts > 1 else ""
    if told.state == DeliveryState.DELIVERED:
        text = f"{told.channel} was told{tries}: {told.title}"
    else:
        text = f"{told.channel} could not be told ({told.error or 'no reason'}): {told.title}"
    return entry(
        told.incident, EntryKind.DELIVERY, told.at, text,
        ref=f"delivery:{told.id}", link=f"/alerts/deliveries/{told.id}", actor=told.channel,
    )  # fmt: skip


def _within_bounds(lines: Sequence[IncidentEntry]) -> list[IncidentEntry]:
    """The lines that are new, of each incident and kind as many as there is room for."""
    if not lines:
        return []
    rows = IncidentEntry.objects.filter(incident__in={each.incident_id for each in lines})
    known = set(rows.filter(ref__in={each.ref for each in lines}).values_list("incident_id", "ref"))
    new = [each for each in lines if (each.incident_id, each.ref) not in known]
    if not new:
        return []
    grouped = rows.order_by().values_list("incident_id", "kind").annotate(Count("id"))
    counts = {(incident, kind): count for incident, kind, count in grouped}
    kept = []
    for line in new:
        place = (line.incident_id, str(line.kind))
        if counts.setdefault(place, 0) < MOST_OF_A_KIND:
            counts[place] += 1
            kept.append(line)
    return kept
