"""The facts of which the texts of an incident are made."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from alerting.domain.incident_text import Account
from alerting.selectors.incident_story import WHOLE, incident_story
from alerting.selectors.incidents import incident_alerts, incident_find
from resilience_site.core.formatting import duration
from resilience_site.core.links import absolute

_MOST_ALERTS: Final = 20


def incident_account(incident_id: UUID, *, now: datetime) -> Account | None:
    """What is told of an incident, if it is there; the counts are those of now."""
    found = incident_find(incident_id)
    if found is None:
        return None
    alerts = sorted(incident_alerts(found.id), key=lambda each: each.started_at)
    return Account(
        title=found.title,
        state=str(found.get_state_display()).lower(),
        severity=str(found.severity),
        started_at=found.started_at,
        ended_at=found.ended_at,
        lasted=duration(((found.ended_at or now) - found.started_at).total_seconds()),
        url=absolute(f"/incidents/{found.id}"),
        base=absolute("/").rstrip("/"),
        acknowledged_at=found.acknowledged_at,
        acknowledged_by=found.acknowledged_by,
        assigned_to=found.assigned_to,
        resolved_by=found.resolved_by,
        services=found.services,
        cause=found.cause,
        impact=found.impact,
        alerts=[
            str(each.annotations.get("summary") or each.rule_name) for each in alerts[:_MOST_ALERTS]
        ],
        alert_count=found.alert_count,  # type: ignore[attr-defined]
        lines=incident_story(found.id, limit=WHOLE),
    )
