"""Reads of incidents, their alerts and their timelines."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import (
    Case,
    Count,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from alerting.choices import AlertState, IncidentState, Severity
from alerting.models import Alert, Incident, IncidentEntry

MOST_ALERTS: Final = 200
MOST_ENTRIES: Final = 1_000
# Where incidents stand that somebody must look at: pages first, the newest of each first. All of it
# runs downwards, as a page of a list asks.
BY_URGENCY: Final = ("-urgency", "-started_at", "-id")
_URGENCY: Final = Case(
    *(When(severity=each, then=Value(-n)) for n, each in enumerate(Severity.values)),
    output_field=IntegerField(),
)


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
    """The same with `alert_count` and `firing_count`, counted of those alone that are read."""
    alerts = Alert.objects.filter(incident=OuterRef("pk")).order_by().values("incident")
    counts = {
        "alert_count": alerts,
        "firing_count": alerts.filter(state=AlertState.FIRING),
    }
    return rows.annotate(
        **{
            name: Coalesce(Subquery(found.annotate(n=Count("pk")).values("n")), 0)
            for name, found in counts.items()
        }
    )


def with_urgency(rows: QuerySet[Incident]) -> QuerySet[Incident]:
    """The same with `urgency`, greater the more urgent: what `BY_URGENCY` orders by."""
    return rows.annotate(urgency=_URGENCY)


def active_incidents() -> QuerySet[Incident]:
    """Those that are open or acknowledged, without counts: those first of which anybody was told or
    is to be (`heard`), the most urgent first. Of the others everything is held back."""
    told = Q(told_at__isnull=False) | Q(state=AlertState.FIRING, suppressed_by=[])
    # Asked of each incident by itself: `EXISTS` would read the alerts of all times at once.
    first = Alert.objects.filter(told, incident=OuterRef("pk")).order_by().values(yes=Value(True))
    rows = Incident.objects.filter(merged_into=None).exclude(state=IncidentState.RESOLVED)
    return (
        with_urgency(rows)
        .annotate(heard=Coalesce(Subquery(first[:1]), False))
        .order_by("-heard", *BY_URGENCY)
    )


def incident_find(incident_id: UUID) -> Incident | None:
    """The incident, if it is there; one that was merged leads to where its alerts went."""
    found = with_counts(Incident.objects.all()).filter(id=incident_id).first()
    seen = set()
    while found is not None and found.merged_into_id is not None and found.id not in seen:
        seen.add(found.id)
        found = with_counts(Incident.objects.all()).filter(id=found.merged_into_id).first()
    return found


def incident_alerts(incident_id: UUID, limit: int = MOST_ALERTS) -> list[Alert]:
    """The first `limit` alerts of an incident: those that fire first, then by urgency, those that
    nobody is told of last, in the order in which they began."""
    over = Case(When(state=AlertState.RESOLVED, then=Value(1)), default=Value(0))
    held = Case(When(suppressed_by=[], then=Value(0)), default=Value(1))
    rows = Alert.objects.filter(incident_id=incident_id)
    return list(rows.order_by(over, _URGENCY.desc(), held, "started_at", "id")[:limit])


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
