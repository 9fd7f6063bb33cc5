"""What people do with an incident: acknowledge it, give it to somebody, note something, resolve it.

Whoever names the version that was seen is refused when the incident has changed since.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import transaction

from alerting.choices import EntryKind, IncidentState
from alerting.models import Incident, IncidentEntry
from alerting.selectors.incidents import incident_find
from alerting.services.incident_entries import MOST_TEXT, entries_add, entry
from alerting.services.incident_journal import ACKNOWLEDGED, CHANGED, ENDED, incident_told
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.formatting import printable
from resilience_site.core.problems import Conflict, Invalid, NotFound

MOST_NAME: Final = 150
_OBJECT: Final = "incident"


def incident_acknowledge(
    *, incident_id: UUID, note: Any = "", actor: Actor, now: datetime, if_match: int | None = None
) -> Incident:
    """Say that somebody looks at it. A second time changes nothing but adds its note.

    Raises `Invalid` for one that is resolved, `NotFound` and `Conflict`.
    """
    said = _text(note, "body.note")
    with incident_acting("acknowledge", incident_id, actor, now, if_match, said) as act:
        incident = act.incident
        if incident.state == IncidentState.RESOLVED:
            raise Invalid("The incident is resolved; nobody needs to look at it any more.")
        if incident.state == IncidentState.OPEN:
            incident.state = IncidentState.ACKNOWLEDGED
            incident.acknowledged_at, incident.acknowledged_by = now, actor.name
            act.say(EntryKind.STATE, f"Acknowledged by {actor.name}")
            act.kind = ACKNOWLEDGED
        act.note(said)
    return act.incident


def incident_assign(
    *,
    incident_id: UUID,
    to: Any,
    note: Any = "",
    actor: Actor,
    now: datetime,
    if_match: int | None = None,
) -> Incident:
    """Give an incident to somebody by name; an empty name takes it from whoever has it.

    Raises `Invalid`, `NotFound` and `Conflict`.
    """
    name, said = _name(to), _text(note, "body.note")
    with incident_acting("assign", incident_id, actor, now, if_match, said) as act:
        if act.incident.assigned_to != name:
            act.incident.assigned_to = name
            text = f"Given to {name} by {actor.name}" if name else f"Given up by {actor.name}"
            act.say(EntryKind.STATE, text)
        act.note(said)
    return act.incident


def incident_note(
    *, incident_id: UUID, note: Any, actor: Actor, now: datetime, if_match: int | None = None
) -> Incident:
    """Add what somebody found out or did to the timeline. Raises `Invalid`, `NotFound`, `Conflict`."""
    said = _text(note, "body.note")
    with incident_acting("note", incident_id, actor, now, if_match, said) as act:
        if not said:
            raise Invalid.field("body.note", "Say something in the note.")
        act.note(said)
    return act.incident


def incident_resolve(
    *, incident_id: UUID, note: Any = "", actor: Actor, now: datetime, if_match: int | None = None
) -> Incident:
    """End an incident, whatever its alerts do; later alerts of its cause make a new one.

    Raises `Invalid` for one that is resolved already, `NotFound` and `Conflict`.
    """
    said = _text(note, "body.note")
    with incident_acting("resolve", incident_id, actor, now, if_match, said) as act:
        incident = act.incident
        if incident.state == IncidentState.RESOLVED:
            raise Invalid("The incident is resolved already.")
        incident.state = IncidentState.RESOLVED
        incident.ended_at, incident.resolved_by = max(now, incident.started_at), actor.name
        act.say(EntryKind.STATE, f"Resolved by {actor.name}")
        act.kind = ENDED
        act.note(said)
    return act.incident


# --- What all of them do ----------------------------------------------------------------------


@dataclass
class _Act:
    """One act: the incident under its lock, and what is told of it."""

    verb: str
    incident: Incident
    actor: Actor
    now: datetime
    kind: str = CHANGED
    lines: list[IncidentEntry] = field(default_factory=list)

    def say(self, kind: EntryKind, text: str) -> None:
        ref = f"{self.verb}:{uuid4()}"
        self.lines.append(
            entry(self.incident.id, kind, self.now, text, ref=ref, actor=self.actor.name)
        )

    def note(self, text: str) -> None:
        if text:
            self.say(EntryKind.NOTE, text)


@contextmanager
def incident_acting(
    verb: str, incident_id: UUID, actor: Actor, now: datetime, if_match: int | None, note: str
) -> Iterator[_Act]:
    """A transaction that holds the incident; at its end it is stored, audited and told, unless the
    act changed nothing."""
    with (
        refusals_audited(
            actor=actor, action=f"incident.{verb}", object_type=_OBJECT, object_id=incident_id
        ),
        transaction.atomic(),
    ):
        incident = _locked(incident_id, if_match, {"act": verb, "note": note})
        act, before = _Act(verb, incident, actor, now), incident_shown(incident)
        yield act
        if not act.lines:
            return
        entries_add(act.lines)
        incident.version += 1
        incident.changed_at = max(now, incident.changed_at)
        incident.save()
        audit_record(
            actor=actor,
            action=f"incident.{verb}",
            object_type=_OBJECT,
            object_id=incident.id,
            reason=note,
            before=before,
            after=incident_shown(incident),
        )
        journal.append([incident_told(incident, act.kind, actor=actor.name, note=note)])


def _locked(incident_id: UUID, if_match: int | None, proposed: dict[str, Any]) -> Incident:
    found = incident_find(incident_id)
    if found is None:
        raise NotFound("There is no such incident.")
    incident = Incident.objects.select_for_update(no_key=True).get(id=found.id)
    if if_match is not None and if_match != incident.version:
        raise Conflict(
            "The incident has changed since you saw it.",
            current=incident_shown(incident),
            proposed=proposed,
        )
    return incident


def incident_shown(incident: Incident) -> dict[str, Any]:
    """What acts change, for the audit trail and for both sides of a conflict."""
    return {
        "title": incident.title,
        "state": str(incident.state),
        "severity": str(incident.severity),
        "acknowledged_by": incident.acknowledged_by,
        "assigned_to": incident.assigned_to,
        "ended_at": incident.ended_at.isoformat() if incident.ended_at else None,
        "version": incident.version,
    }


def _text(given: Any, name: str) -> str:
    if given is None:
        return ""
    if not isinstance(given, str):
        raise Invalid.field(name, "This must be text.")
    text = printable(given).strip()
    if len(text) > MOST_TEXT:
        raise Invalid.field(name, f"At most {MOST_TEXT:,} characters, not {len(text):,}.")
    return text


def _name(given: Any) -> str:
    name = " ".join(_text(given, "body.to").split())
    if len(name) > MOST_NAME:
        raise Invalid.field("body.to", f"A name has at most {MOST_NAME} characters.")
    return name
