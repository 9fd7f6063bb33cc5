"""What the following of alerts by incidents reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

from django.db import connection
from django.db.models import Count, Max, Q, QuerySet

from alerting.choices import AlertState, EntryKind, IncidentState
from alerting.domain.incidents import MOST_TITLE, OPENING, began
from alerting.domain.ledger import REOPENS, Held, Ledger
from alerting.models import Alert, Incident, IncidentEntry, IncidentKey

# Alerts that one transaction looks at.
BATCH: Final = 1_000
# Alerts that ended before anybody followed are looked at for so long.
LATE: Final = timedelta(hours=1)
# An alert that ended names its incident for so long: a breaker that tries whether it may close, and
# opens again, is no news.
NAMES: Final = timedelta(minutes=3)
# Of alerts as urgent as the incident: one of the culprit, or of a call of it (of its name, but for case
# and separators), before those of its victims; one that names what fails before one that tells of what
# this led to; one in whose words the incident is told already, then the first. Words as `title_of` has
# them.
_TITLES: Final = r"""
SELECT DISTINCT ON (alert.incident_id) alert.incident_id, said.words
FROM unnest(%(ids)s::uuid[], %(severities)s::text[], %(titles)s::text[], %(culprits)s::text[])
    AS incident (id, severity, title, culprit)
JOIN alerting_alert alert ON alert.incident_id = incident.id AND alert.severity = incident.severity
CROSS JOIN LATERAL (
    SELECT left(coalesce(
        nullif(btrim(regexp_replace(alert.annotations ->> 'summary', '\s+', ' ', 'g')), ''),
        concat_ws(' of ', alert.rule_name, nullif(alert.service, ''))
    ), %(most)s) AS words,
    incident.culprit <> '' AND (
        incident.culprit IN (alert.service, alert.labels ->> 'service')
        OR regexp_replace(lower(incident.culprit), '[\W_]+', '', 'g') IN (
            regexp_replace(lower(alert.labels ->> 'breaker'), '[\W_]+', '', 'g'),
            regexp_replace(lower(alert.labels ->> 'dependency'), '[\W_]+', '', 'g')
        )
    ) IS TRUE AS of_culprit
) AS said
WHERE alert.state = 'firing' OR alert.ended_at >= %(since)s
ORDER BY alert.incident_id, NOT said.of_culprit, NOT alert.labels ?| %(cause)s,
    said.words <> incident.title, alert.started_at, alert.id
"""
_NAME_CAUSES: Final = ["breaker", "dependency", "check", "check_id"]


# Where an alert stands in the order in which they began.
Place: TypeAlias = tuple[datetime, UUID]


@dataclass
class Reached:
    """How far one call has looked: alerts that stay of no incident, as in a maintenance, are passed
    once, and keep it from no later ones."""

    opening: Place | None = None
    others: Place | None = None
    # Whether there may be alerts beyond.
    more: bool = True


def alerts_to_join(now: datetime, reached: Reached) -> list[Alert]:
    """The next alerts that fired and are of no incident yet, locked: first those that may open one,
    in the order in which they began."""
    rows = Alert.objects.filter(
        Q(state=AlertState.FIRING) | Q(state=AlertState.RESOLVED, ended_at__gte=now - LATE),
        incident=None,
        fired_at__isnull=False,
    ).order_by("started_at", "id")
    opening = _beyond(rows.filter(severity__in=OPENING), reached.opening)
    others = rows.exclude(severity__in=OPENING).filter(state=AlertState.FIRING)
    rest = _beyond(others, reached.others)
    reached.opening = opening[-1] if opening else reached.opening
    reached.others = rest[-1] if rest else reached.others
    reached.more = max(len(opening), len(rest)) >= BATCH
    ids = [alert_id for _, alert_id in (*opening, *rest)]
    if not ids:
        return []
    # In the order in which `alerts_apply` locks them, so that neither waits for the other in turn.
    locked = Alert.objects.filter(id__in=ids, incident=None).order_by("fingerprint", "id")
    return sorted(
        locked.select_for_update(no_key=True),
        key=lambda each: (each.severity not in OPENING, each.started_at, each.id),
    )


def _beyond(rows: QuerySet[Alert], place: Place | None) -> list[Place]:
    if place is not None:
        at, last = place
        rows = rows.filter(Q(started_at__gt=at) | Q(id__gt=last), started_at__gte=at)
    return list(rows.values_list("started_at", "id")[:BATCH])


def incidents_to_join(now: datetime) -> QuerySet[Incident]:
    """Incidents that alerts may become part of, locked: open, or ended by themselves lately."""
    lately = Q(state=IncidentState.RESOLVED, resolved_by="", ended_at__gte=now - REOPENS - LATE)
    return (
        Incident.objects.select_for_update(no_key=True)
        .filter(~Q(state=IncidentState.RESOLVED) | lately, merged_into=None)
        .order_by("started_at", "id")
    )


def incident_ledger(rows: Mapping[UUID, Incident]) -> Ledger:
    """The incidents with their keys, two queries."""
    begun = dict(
        Alert.objects.filter(incident__in=list(rows))
        .values_list("incident_id")
        .annotate(Max("started_at"))
    )
    ledger = Ledger(
        Held(
            each.id,
            each.started_at,
            begun.get(each.id) or each.started_at,
            each.ended_at,
            str(each.severity),
        )
        for each in rows.values()
    )
    keys = IncidentKey.objects.filter(incident__in=list(rows))
    for incident_id, key in keys.values_list("incident_id", "key"):
        ledger.point(incident_id, [key])
    return ledger


def alert_lines(incident_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many lines the timeline of each of the incidents has of alerts; none of those without."""
    rows = IncidentEntry.objects.filter(incident__in=incident_ids, kind=EntryKind.ALERT).order_by()
    return dict(rows.values_list("incident_id").annotate(Count("id")))


def begins(incident_ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """When each of the incidents began, by its alerts."""
    rows = Alert.objects.filter(incident__in=incident_ids, severity__in=OPENING).order_by()
    alerts: dict[UUID, list[tuple[str, datetime]]] = defaultdict(list)
    for incident_id, severity, at in rows.values_list(
        "incident_id", "severity", "started_at"
    ).distinct():
        alerts[incident_id].append((severity, at))
    return {incident_id: began(found) for incident_id, found in alerts.items()}


def incidents_kept_open(severities: Mapping[UUID, str]) -> set[UUID]:
    """Those of the incidents (id → severity) that an alert keeps open: one as urgent as the incident
    is. Tickets of an outage stand for hours after it, and say nothing of how long it lasted."""
    rows = Alert.objects.filter(incident__in=list(severities), state=AlertState.FIRING)
    found = rows.order_by().values_list("incident_id", "severity").distinct()
    return {incident for incident, severity in found if severity == severities[incident]}


def last_ends(severities: Mapping[UUID, str]) -> dict[UUID, datetime | None]:
    """When the last alert of each incident (id → severity) that kept it open ended."""
    rows = Alert.objects.filter(incident__in=list(severities)).order_by()
    found = rows.values_list("incident_id", "severity").annotate(Max("ended_at"))
    return {incident: at for incident, severity, at in found if severity == severities[incident]}


def titles(incidents: Collection[Incident], since: datetime | None = None) -> dict[UUID, str]:
    """What each of the incidents is about, by its alerts that fire, or ended after `since`; without
    that, by all that it had. Those without such alerts are left out."""
    if not incidents:
        return {}
    values: dict[str, Any] = {
        "ids": [each.id for each in incidents],
        "severities": [str(each.severity) for each in incidents],
        # What is over is not to be called by what came last.
        "titles": ["" if since is None else each.title for each in incidents],
        "culprits": [each.culprit for each in incidents],
        "since": since or datetime.min.replace(tzinfo=UTC),
        "most": MOST_TITLE,
        "cause": _NAME_CAUSES,
    }
    with connection.cursor() as cursor:
        cursor.execute(_TITLES, values)
        return dict(cursor.fetchall())
