"""What the journal says of incidents (topic incidents, key: the incident's id)."""

from __future__ import annotations

from typing import Any, Final

from alerting.models import Incident
from resilience_site.core.choices import Topic
from resilience_site.core.journal import Entry

BEGAN: Final = "incident.began"
CHANGED: Final = "incident.changed"
ACKNOWLEDGED: Final = "incident.acknowledged"
ENDED: Final = "incident.ended"


def incident_told(incident: Incident, kind: str, **more: Any) -> Entry:
    """The entry of what became of an incident; `service` is that which is to blame."""
    payload = {
        "title": incident.title,
        "severity": str(incident.severity),
        "culprit": incident.culprit,
        "services": incident.services,
        "started_at": incident.started_at.isoformat(),
        "ended_at": incident.ended_at.isoformat() if incident.ended_at else None,
        "version": incident.version,
        **more,
    }
    state = str(incident.state)
    return Entry(Topic.INCIDENTS, kind, str(incident.id), state, incident.culprit, payload)
