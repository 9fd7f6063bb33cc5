"""Reads of incidents, their alerts and their timelines."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Count, Max, Q, QuerySet

from alerting.choices import AlertState, IncidentState, Severity
from alerting.models import Alert, Incident, IncidentEntry

MOST_ALERTS: Final = 200
MOST_ENTRIES: Final = 1_000


def incident_list(
    *, state: str = "", severity: str = "", service: str = "", q: str = ""
) -> QuerySet[Incident]:
    """Incidents with how many alerts each has (`alert_count`, `firing_count`), the newest first.

    `state` may also be `active`: open or acknowledged. Those that were merged into others are left
    out.
    """
    found = with_counts(Incident.objects.filter(merged_into=None))
    if state == "active":
        found = found.exclude(state=IncidentState.RESOLVED)
    elif state:
        found = found.filter(state=state)
    if severity:
        found = found.filter(severity=severity)
    if service:
        found = found.filter(services__contains=[service])
    if q:
        found = found.filter(Q(title__icontains=q) | Q(culprit__icontains=q))
    return found.order_by("-started_at", "-id")


def begun_or_open(rows: QuerySet[Incident], since: datetime) -> QuerySet[Incident]:
    """Those of the rows that began since then, and those that are not over, whenever they began."""
    return rows.filter(Q(started_at__gte=since) | ~Q(state=IncidentState.RESOLVED))


def with_counts(rows: QuerySet[Incident]) -> QuerySet[Incident]:
    """The same with `alert_count` and `firing_count`."""
    firing = Q(alerts__state=AlertState.FIRING)
    return rows.annotate(
        alert_count=Count("alerts", distinct=True),
        firing_count=Count("alerts", filter=firing, distinct=True),
        last_alert_at=Max("alerts__started_at"),
    )


def active_incidents() -> QuerySet[Incident]:
    """Those that are open or acknowledged, without counts."""
    return Incident.objects.exclude(state=IncidentState.RESOLVED)


def incident_find(incident_id: UUID) -> Incident | None:
    """The incident, if it is there; one that was merged leads to where its alerts went."""
    found = with_counts(Incident.objects.all()).filter(id=incident_id).first()
    seen = set()
    while found is not None and found.merged_into_id is not None and found.id not in seen:
        seen.add(found.id)
        found = with_counts(Incident.objects.all()).filter(id=found.merged_into_id).first()
    return found


def incident_alerts(incident_id: UUID, limit: int = MOST_ALERTS) -> list[Alert]:
    """The alerts of an incident: those that fire first, then by urgency, those that nobody is told
    of last, in the order in which they began."""
    order = {each: n for n, each in enumerate(Severity.values)}
    rows = Alert.objects.filter(incident_id=incident_id).order_by("started_at", "id")[:limit]
    return sorted(
        rows,
        key=lambda each: (
            each.state == AlertState.RESOLVED,
            order[each.severity],
            bool(each.suppressed_by),
        ),
    )


def incident_timeline(
    incident_id: UUID, kinds: Iterable[str] = (), limit: int = MOST_ENTRIES
) -> list[IncidentEntry]:
    """The newest `limit` entries of an incident's timeline, the oldest first; of some `kinds` or
    (empty) of all."""
    rows = IncidentEntry.objects.filter(incident_id=incident_id)
    wanted = list(kinds)
    if wanted:
        rows = rows.filter(kind__in=wanted)
    return list(rows.order_by("-at", "-id")[:limit])[::-1]
