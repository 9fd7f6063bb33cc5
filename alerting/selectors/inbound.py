"""What has come from other systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from alerting.choices import AlertSource

# Newest first; what is open may be older, and is always looked at.
_HEARD = """
SELECT source, count(*) FILTER (WHERE state <> 'resolved'), count(*),
    max(GREATEST(changed_at, (facts ->> 'last_received_at')::timestamptz))
FROM alerting_alert
WHERE source = ANY(%s) AND (state <> 'resolved' OR ended_at >= %s)
GROUP BY source
"""


@dataclass(frozen=True)
class Heard:
    """Alerts of one system: those that are open, all since `since`, and when it was heard last."""

    source: str
    name: str
    open: int
    alerts: int
    last_at: datetime | None


def senders_heard(sources: Sequence[AlertSource], since: datetime) -> list[Heard]:
    """What has come of each of the systems; one query."""
    with connection.cursor() as cursor:
        cursor.execute(_HEARD, [[str(each) for each in sources], since])
        found = {row[0]: row[1:] for row in cursor.fetchall()}
    return [
        Heard(str(each), str(each.label), *found.get(str(each), (0, 0, None))) for each in sources
    ]
