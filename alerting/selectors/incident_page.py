"""An incident as a page, or a text, tells of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from alerting.choices import AlertState, IncidentState
from alerting.domain.runbooks import runbook_named
from alerting.domain.steps import Step, Told, steps_of
from alerting.domain.timeline import Line
from alerting.models import Alert, Incident
from alerting.selectors.catalogue import strangers
from alerting.selectors.incident_story import incident_story
from alerting.selectors.incidents import incident_alerts, incident_find
from health.models import PublicIncident
from resilience_site.core.formatting import duration, machine

_BEFORE: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class Verdict:
    """What to know first; `tone` is ok, warn or bad."""

    tone: str
    icon: str
    sentence: str
    detail: str


@dataclass(frozen=True)
class IncidentView:
    """All that stands on the page of an incident."""

    incident: Incident
    alerts: list[Alert]
    lines: list[Line]
    steps: list[Step]
    verdict: Verdict
    public: PublicIncident | None
    # The query string of its time.
    time: str
    # Those of its services that are not in the catalogue.
    strangers: list[str]


def incident_view(
    incident_id: UUID, *, now: datetime, kinds: Sequence[str] = ()
) -> IncidentView | None:
    """The incident with what belongs to it, if it is there; a fixed number of queries."""
    incident = incident_find(incident_id)
    if incident is None:
        return None
    alerts = incident_alerts(incident.id)
    keys = list(incident.keys.values_list("key", flat=True))
    time = time_query(incident, now)
    public = incident.public_incident_id
    strange = strangers([incident.culprit, *incident.services])
    return IncidentView(
        incident=incident,
        alerts=alerts,
        lines=incident_story(incident.id, kinds),
        steps=steps_of([_told(each) for each in alerts], incident.cause, keys, time, strange),
        verdict=verdict_of(incident, now),
        public=PublicIncident.objects.filter(id=public).first() if public else None,
        time=time,
        strangers=strange,
    )


def time_query(incident: Incident, now: datetime) -> str:
    """`?since=…&until=…` around an incident."""
    since, until = incident.started_at - _BEFORE, incident.ended_at or now
    return f"?since={quote(machine(since), safe='')}&until={quote(machine(until), safe='')}"


def verdict_of(incident: Incident, now: datetime) -> Verdict:
    """How an incident stands; it needs the counts of `with_counts`."""
    lasted = duration(((incident.ended_at or now) - incident.started_at).total_seconds())
    counts = alerts_fire(incident)
    given = f"; given to {incident.assigned_to}" if incident.assigned_to else ""
    if incident.state == IncidentState.RESOLVED:
        by = f" by {incident.resolved_by}" if incident.resolved_by else ", as all alerts ended"
        return Verdict("ok", "check-circle", f"Over after {lasted}", f"Resolved{by}{given}")
    if incident.state == IncidentState.ACKNOWLEDGED:
        who = incident.acknowledged_by
        said = f"Acknowledged by {who}{given}"
        return Verdict("warn", "eye", f"{who} looks at it, open for {lasted}", f"{counts}. {said}")
    tone = "bad" if incident.severity == "page" else "warn"
    icon = "fire" if tone == "bad" else "exclamation-triangle"
    sentence = f"Nobody looks at it yet, open for {lasted}"
    return Verdict(tone, icon, sentence, f"{counts}{given}")


def alerts_fire(incident: Incident) -> str:
    """How many of all its alerts fire; it needs the counts of `with_counts`."""
    firing: int = incident.firing_count  # type: ignore[attr-defined]
    alerts: int = incident.alert_count  # type: ignore[attr-defined]
    if alerts == 1:
        return "1 alert fires" if firing else "1 alert, which is over"
    return f"{firing:,} of {alerts:,} alerts fire{'s'[: firing == 1]}"


def _told(alert: Alert) -> Told:
    said: dict[str, Any] = alert.annotations
    firing = alert.state == AlertState.FIRING
    return Told(
        rule=alert.rule_name,
        summary=str(said.get("summary") or alert.rule_name),
        details=_advice(alert) if firing else "",
        runbook_url=_web(said.get("runbook_url") or alert.facts.get("runbook_url")),
        link=f"/alerts/{alert.id}",
        held=firing and bool(alert.suppressed_by),
        objective="slo" in alert.labels,
    )


def _advice(alert: Alert) -> str:
    """The details, but for those that only repeat a fact: a figure, or the words of an error."""
    details = str(alert.annotations.get("details") or "").strip()
    facts = (each.strip() for each in alert.facts.values() if isinstance(each, str))
    return "" if details in facts else details


def _web(url: Any) -> str:
    """What a page may link to as a runbook, else nothing: it may come from another system."""
    text = str(url or "")
    whole = text.startswith(("https://", "http://"))
    return text if whole or runbook_named(text) else ""
