"""Writing the timeline of incidents: each thing stands there once, however often it is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef, TextField, Value
from django.db.models.functions import Cast, Concat

from alerting.choices import AlertState, EntryKind
from alerting.models import Alert, IncidentEntry
from resilience_site.core.formatting import duration, printable

MOST_TEXT: Final = 2_000
_MOST_LINK: Final = 500
_MOST_REF: Final = 200
_SEVERITY: Final = {"page": "Page", "ticket": "Ticket", "info": "Info"}


def entry(
    incident_id: UUID,
    kind: EntryKind,
    at: datetime,
    text: str,
    *,
    ref: str,
    link: str = "",
    actor: str = "",
) -> IncidentEntry:
    """An entry that is not stored yet; `ref` names what it tells of."""
    return IncidentEntry(
        incident_id=incident_id,
        kind=kind,
        at=at,
        text=printable(text)[:MOST_TEXT],
        link=link if _leads_somewhere(link) else "",
        actor=actor,
        ref=ref[:_MOST_REF],
    )


def _leads_somewhere(link: str) -> bool:
    """Whether a page may link there: a path of the site, or a page of the web."""
    inside = link.startswith("/") and not link.startswith("//")
    return len(link) <= _MOST_LINK and (inside or link.startswith(("https://", "http://")))


def entries_add(entries: Sequence[IncidentEntry]) -> None:
    """Store those that are not there yet."""
    IncidentEntry.objects.bulk_create(entries, ignore_conflicts=True, batch_size=1_000)


def entries_renew(entries: Sequence[IncidentEntry]) -> None:
    """Store entries; those that are there already get the new words and time."""
    IncidentEntry.objects.bulk_create(
        entries,
        update_conflicts=True,
        unique_fields=["incident", "ref"],
        update_fields=["text", "at", "link"],
        batch_size=1_000,
    )


def alert_entries(alert: Alert, incident_id: UUID) -> Iterable[IncidentEntry]:
    """That the alert fired, and, once it has ended, for how long it did."""
    fired = alert.fired_at or alert.started_at
    words, link = alert_words(alert), f"/alerts/{alert.id}"
    urgency = _SEVERITY.get(alert.severity, alert.severity)
    yield entry(
        incident_id, EntryKind.ALERT, fired, f"{urgency}: {words}",
        ref=f"alert:{alert.id}:fired", link=link,
    )  # fmt: skip
    if alert.ended_at is not None:
        lasted = duration((alert.ended_at - fired).total_seconds())
        yield entry(
            incident_id, EntryKind.ALERT, alert.ended_at, f"Over after {lasted}: {words}",
            ref=f"alert:{alert.id}:ended", link=link,
        )  # fmt: skip


def alert_words(alert: Alert) -> str:
    """What an alert says of itself, in one line."""
    summary = str(alert.annotations.get("summary") or "")
    of = f" of {alert.service}" if alert.service else ""
    return " ".join(summary.split()) or f"{alert.rule_name}{of}"


def ends_of_alerts(incident_ids: Sequence[UUID], limit: int) -> list[IncidentEntry]:
    """Lines for alerts that ended and whose line that they fired stands alone."""
    if not incident_ids:
        return []
    told = IncidentEntry.objects.filter(incident=OuterRef("incident"))
    fired, ended = (told.filter(ref=_ref_of_alert(what)) for what in ("fired", "ended"))
    rows = Alert.objects.filter(
        Exists(fired), ~Exists(ended), incident__in=incident_ids, state=AlertState.RESOLVED
    )[:limit]
    return [
        each
        for alert in rows
        for each in alert_entries(alert, alert.incident_id)  # type: ignore[arg-type]
        if each.ref.endswith(":ended")
    ]


def _ref_of_alert(what: str) -> Concat:
    alert_id = Cast(OuterRef("id"), TextField())
    return Concat(Value("alert:"), alert_id, Value(f":{what}"), output_field=TextField())
