"""What the following of timelines reads: of many incidents with one query, and only what is new."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import orjson
from django.db import connection
from django.db.models import Q

from alerting.choices import DeliveryState, IncidentState
from alerting.domain.retrying import LONG_EXPIRY
from alerting.domain.timeline import EVERYWHERE, TOPICS, Recorded
from alerting.models import AlertGroup, Delivery, Incident

# What comes of an incident may be told a while after its end.
TRAIL: Final = timedelta(minutes=10)
# Entries of the journal that are read at a time.
BATCH: Final = 2_000
# No delivery takes longer from its beginning to its end.
_LONGEST: Final = LONG_EXPIRY + timedelta(hours=1)
_JOURNAL: Final = """
SELECT id, at, topic, kind, key, state, service, payload FROM core_journalentry
WHERE id > %(cursor)s AND id <= %(until)s AND at >= %(since)s AND topic = ANY(%(topics)s)
    AND (service = ANY(%(services)s) OR topic = ANY(%(everywhere)s))
    AND kind <> 'pattern.seen' AND left(kind, 6) <> 'alert.'
    AND (topic <> 'bulkheads' OR kind = 'policy.changed')
ORDER BY id LIMIT %(limit)s
"""
# A group may hold thousands of alerts, of each of many incidents: it is found once, not once for each
# alert or each delivery. A message is long, and only its title is wanted.
_DELIVERIES: Final = """
WITH place AS MATERIALIZED (
    SELECT DISTINCT alert.incident_id, member.alertgroup_id
    FROM alerting_alert AS alert
    JOIN alerting_alertgroup_alerts AS member ON member.alert_id = alert.id
    WHERE alert.incident_id = ANY(%(incidents)s)
)
SELECT incident.id, told.*
FROM alerting_incident AS incident CROSS JOIN LATERAL (
    SELECT d.id, d.channel_name, d.state, d.attempts, d.last_error,
        coalesce(d.ended_at, d.created_at), coalesce(d.message ->> 'title', '')
    FROM place JOIN alerting_delivery AS d ON d.group_id = place.alertgroup_id
    WHERE place.incident_id = incident.id
    AND d.state IN ('delivered', 'failed') AND d.created_at >= incident.started_at
    AND NOT EXISTS (
        SELECT FROM alerting_incidententry AS line
        WHERE line.incident_id = incident.id AND line.ref = 'delivery:' || d.id
    )
    ORDER BY d.created_at LIMIT %(limit)s
) AS told
WHERE incident.id = ANY(%(incidents)s)
"""


class Followed(NamedTuple):
    """An incident whose timeline goes on, and how far that is."""

    id: UUID
    cursor: int
    version: int
    started_at: datetime


class Told(NamedTuple):
    """A delivery that ended, of an alert of the incident."""

    incident: UUID
    id: UUID
    channel: str
    state: str
    attempts: int
    error: str
    at: datetime
    title: str


def incidents_followed(now: datetime) -> list[Followed]:
    """Incidents that are open, or ended a moment ago: first those whose timelines are behind the
    others, so that each has its turn."""
    rows = Incident.objects.filter(
        ~Q(state=IncidentState.RESOLVED) | Q(ended_at__gte=now - TRAIL), merged_into=None
    ).order_by("cursor", "started_at", "id")
    return [Followed(*each) for each in rows.values_list("id", "cursor", "version", "started_at")]


def services_of(incident: Incident) -> set[str]:
    """The services that the incident concerns."""
    return {*incident.services, incident.culprit} - {""}


def journal_of(
    services: Collection[str], *, since: datetime, after: int, until: int
) -> list[Recorded]:
    """The first `BATCH` entries of the journal about any of `services`, or about all."""
    if until <= after:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            _JOURNAL,
            {
                "cursor": after,
                "until": until,
                "since": since,
                "topics": list(TOPICS),
                "services": sorted(services),
                "everywhere": sorted(EVERYWHERE),
                "limit": BATCH,
            },
        )
        return [
            Recorded(number, at, topic, kind, key, state, service, orjson.loads(payload))
            for number, at, topic, kind, key, state, service, payload in cursor.fetchall()
        ]


def deliveries_ended(since: datetime) -> Mapping[UUID, int]:
    """The deliveries of alerts that ended since then, each with its group."""
    rows = Delivery.objects.filter(
        state__in=[DeliveryState.DELIVERED, DeliveryState.FAILED],
        created_at__gte=since - _LONGEST,
        ended_at__gte=since,
        group__isnull=False,
    )
    return dict(rows.order_by().values_list("id", "group_id"))


def incidents_in(groups: Collection[int]) -> set[UUID]:
    """The incidents of the alerts in any of `groups`."""
    rows = AlertGroup.objects.filter(pk__in=groups, alerts__incident__isnull=False)
    return set(rows.order_by().values_list("alerts__incident_id", flat=True).distinct())


def deliveries_untold(incidents: Sequence[UUID], most: int) -> list[Told]:
    """Of each of the incidents the first `most` deliveries that do not stand in its timeline yet."""
    if not incidents:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_DELIVERIES, {"incidents": list(incidents), "limit": most})
        return [Told(*row) for row in cursor.fetchall()]
