"""The facts of which the texts of an incident are made."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from alerting.domain.incident_text import Account, Detection
from alerting.models import Alert
from alerting.selectors.incident_story import WHOLE, incident_story
from alerting.selectors.incidents import incident_alerts, incident_find
from resilience_site.core.formatting import duration
from resilience_site.core.links import absolute


def incident_account(incident_id: UUID, *, now: datetime) -> Account | None:
    """What is told of an incident, if it is there; the counts are those of now."""
    found = incident_find(incident_id)
    if found is None:
        return None
    alerts = sorted(
        incident_alerts(found.id), key=lambda each: (each.fired_at or each.started_at, each.id)
    )
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
        alerts=[_detection(each) for each in alerts],
        alert_count=found.alert_count,  # type: ignore[attr-defined]
        lines=incident_story(found.id, limit=WHOLE),
    )


def _detection(alert: Alert) -> Detection:
    return Detection(
        text=str(alert.annotations.get("summary") or alert.rule_name),
        severity=str(alert.severity),
        fired_at=alert.fired_at or alert.started_at,
        link=f"/alerts/{alert.id}",
        told_at=alert.told_at,
        held=bool(alert.suppressed_by),
    )
