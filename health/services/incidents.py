"""Incidents of the public status page: opened, told in updates, resolved; edited where a word was
wrong.

What is written here is read by everybody. An incident goes by its `changed_at`: whoever names the
version that was seen (`incident_version`) is refused when somebody else has changed it since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from health.choices import IncidentStage, PublicImpact
from health.models import PublicIncident, PublicIncidentUpdate, Service
from health.selectors.incidents import incident_version
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Topic
from resilience_site.core.formatting import printable
from resilience_site.core.problems import Conflict, Invalid, NotFound

MAX_TITLE: Final = 200
MAX_TEXT: Final = 4_000
MAX_SERVICES: Final = 100
# How far back the beginning of an incident may be dated.
LONGEST_AGO: Final = timedelta(days=90)
# A clock of somebody else may be ahead by this much.
_AHEAD: Final = timedelta(minutes=1)
# Maintenance has windows of its own, and without any impact there is no incident.
IMPACTS: Final = (
    PublicImpact.DEGRADED,
    PublicImpact.PARTIAL_OUTAGE,
    PublicImpact.MAJOR_OUTAGE,
)
RESOLVED_TEXT: Final = "This incident is resolved."
_OBJECT: Final = "incident"


def incident_open(
    *,
    title: Any,
    impact: Any,
    text: Any,
    services: Any = (),
    stage: Any = IncidentStage.INVESTIGATING,
    started_at: datetime | None = None,
    actor: Actor,
    now: datetime,
) -> PublicIncident:
    """Tell the public that something is wrong, with the first update of the account.

    `services` are names of the catalogue; the page names those that have a public name.
    `started_at` is `now` where it is not given. Raises `Invalid`; refusals are in the audit trail.
    """
    with refusals_audited(
        actor=actor, action="incident.open", object_type=_OBJECT, object_id=str(title)
    ):
        first = _stage(stage)
        if first == IncidentStage.RESOLVED:
            raise Invalid.field("body.stage", "A new incident cannot be resolved already.")
        incident = PublicIncident(
            title=_title(title),
            impact=_impact(impact),
            started_at=_start(started_at, now),
            created_by=actor.name,
            changed_at=now,
        )
        said, affected = _text(text), _services(services)
        with transaction.atomic():
            incident.save()
            incident.services.set(affected)
            _say(incident, first, said, actor)
            _record("open", incident, actor, after=_shown(incident, first, said))
            _tell(incident, "incident.opened", first)
    return incident


def incident_update(
    *,
    incident_id: UUID,
    stage: Any,
    text: Any,
    impact: Any = None,
    actor: Actor,
    now: datetime,
    if_match: int | None = None,
) -> PublicIncidentUpdate:
    """Add to the account of an incident. The stage `resolved` ends it, any other opens it again.

    `impact` stays as it is where it is None. Raises `Invalid`, `NotFound` and `Conflict`.
    """
    with _refusals("update", incident_id, actor):
        wanted, said = _stage(stage), _text(text)
        heavier = None if impact is None else _impact(impact)
        with transaction.atomic():
            incident = _locked(incident_id, if_match, {"stage": wanted, "text": said})
            before = _shown(incident)
            incident.impact = heavier or incident.impact
            _resolve_or_reopen(incident, wanted, now)
            _changed(incident, now)
            update = _say(incident, wanted, said, actor)
            _record("update", incident, actor, before, _shown(incident, wanted, said))
            _tell(incident, "incident.updated", wanted)
    return update


def incident_resolve(
    *,
    incident_id: UUID,
    text: Any = "",
    actor: Actor,
    now: datetime,
    if_match: int | None = None,
) -> PublicIncident:
    """End an incident, with a last update. Raises `Invalid` for one that is resolved already,
    `NotFound` and `Conflict`."""
    with _refusals("resolve", incident_id, actor):
        said = _text(text or RESOLVED_TEXT)
        stage = IncidentStage.RESOLVED
        with transaction.atomic():
            incident = _locked(incident_id, if_match, {"stage": stage, "text": said})
            if incident.resolved_at is not None:
                raise Invalid("The incident is resolved already.")
            before = _shown(incident)
            _resolve_or_reopen(incident, stage, now)
            _changed(incident, now)
            _say(incident, stage, said, actor)
            _record("resolve", incident, actor, before, _shown(incident, stage, said))
            _tell(incident, "incident.resolved", stage)
    return incident


def incident_edit(
    *,
    incident_id: UUID,
    changes: Mapping[str, Any],
    actor: Actor,
    now: datetime,
    if_match: int | None = None,
) -> PublicIncident:
    """Correct `title`, `impact`, `services` or `started_at`, without an update of the account.

    Raises `Invalid`, `NotFound` and `Conflict`.
    """
    with _refusals("edit", incident_id, actor):
        unknown = sorted(set(changes) - {"title", "impact", "services", "started_at"})
        if unknown:
            raise Invalid.field(f"body.{unknown[0]}", f"An incident has no {unknown[0]!r}.")
        with transaction.atomic():
            incident = _locked(incident_id, if_match, changes)
            before = _shown(incident)
            if "title" in changes:
                incident.title = _title(changes["title"])
            if "impact" in changes:
                incident.impact = _impact(changes["impact"])
            if "started_at" in changes:
                incident.started_at = _start(changes["started_at"], now, incident.resolved_at)
            if "services" in changes:
                incident.services.set(_services(changes["services"]))
            _changed(incident, now)
            _record("edit", incident, actor, before, _shown(incident))
            _tell(incident, "incident.edited", _last_stage(incident))
    return incident


def incident_update_edit(
    *, update_id: UUID, text: Any, actor: Actor, now: datetime
) -> PublicIncidentUpdate:
    """Correct the words of an update; its time and stage stay. Raises `Invalid` and `NotFound`."""
    with _refusals("update_edit", update_id, actor):
        said = _text(text)
        with transaction.atomic():
            update, incident = _locked_update(update_id)
            before, update.text = update.text, said
            update.save(update_fields=["text"])
            _changed(incident, now)
            _record("update_edit", incident, actor, {"text": before}, {"text": said})
            _tell(incident, "incident.edited", _last_stage(incident))
    return update


def incident_update_delete(*, update_id: UUID, actor: Actor, now: datetime) -> PublicIncident:
    """Take an update back; whether the incident is resolved follows from the ones that stay.

    Raises `NotFound`, and `Invalid` for the only update of an incident.
    """
    with _refusals("update_delete", update_id, actor), transaction.atomic():
        update, incident = _locked_update(update_id)
        if incident.updates.count() == 1:
            raise Invalid("An incident has at least one update; correct its words instead.")
        gone = {"stage": update.stage, "text": update.text, "at": update.at.isoformat()}
        update.delete()
        last = incident.updates.order_by("-at", "-id")[0]
        ended = last.stage == IncidentStage.RESOLVED
        incident.resolved_at = (incident.resolved_at or last.at) if ended else None
        _changed(incident, now)
        _record("update_delete", incident, actor, gone, {"resolved": ended})
        _tell(incident, "incident.edited", last.stage)
    return incident


# --- What all of them do ----------------------------------------------------------------------


def _refusals(verb: str, object_id: UUID, actor: Actor) -> Any:
    return refusals_audited(
        actor=actor, action=f"incident.{verb}", object_type=_OBJECT, object_id=object_id
    )


def _locked(incident_id: UUID, if_match: int | None, proposed: Mapping[str, Any]) -> PublicIncident:
    incident = PublicIncident.objects.select_for_update().filter(id=incident_id).first()
    if incident is None:
        raise NotFound("There is no such incident.")
    if if_match is not None and if_match != incident_version(incident):
        raise Conflict(
            "The incident has changed since you saw it.",
            current=_shown(incident, _last_stage(incident)),
            proposed=dict(proposed),
        )
    return incident


def _locked_update(update_id: UUID) -> tuple[PublicIncidentUpdate, PublicIncident]:
    """The incident is locked before its update is read again, as others lock it first, too."""
    owner = PublicIncident.objects.select_for_update(of=("self",)).filter(updates=update_id)
    incident = owner.first()
    update = PublicIncidentUpdate.objects.filter(id=update_id).first()
    if incident is None or update is None:
        raise NotFound("There is no such update.")
    return update, incident


def _say(incident: PublicIncident, stage: str, text: str, actor: Actor) -> PublicIncidentUpdate:
    # `changed_at` only grows, whatever clocks do, and so the account keeps its order.
    return PublicIncidentUpdate.objects.create(
        incident=incident, at=incident.changed_at, stage=stage, text=text, actor=actor.name
    )


def _resolve_or_reopen(incident: PublicIncident, stage: str, now: datetime) -> None:
    if stage != IncidentStage.RESOLVED:
        incident.resolved_at = None
    elif incident.resolved_at is None:
        incident.resolved_at = max(now, incident.started_at)


def _changed(incident: PublicIncident, now: datetime) -> None:
    # Two changes of one moment are two versions all the same.
    incident.changed_at = max(now, incident.changed_at + timedelta(microseconds=1))
    incident.save()


def _last_stage(incident: PublicIncident) -> str:
    last = incident.updates.order_by("-at", "-id").values_list("stage", flat=True).first()
    return last or IncidentStage.INVESTIGATING


def _shown(incident: PublicIncident, stage: str = "", text: str = "") -> dict[str, Any]:
    names = incident.services.order_by("name").values_list("name", flat=True)
    shown = {
        "title": incident.title,
        "impact": incident.impact,
        "services": list(names),
        "started_at": incident.started_at.isoformat(),
        "resolved_at": incident.resolved_at and incident.resolved_at.isoformat(),
    }
    return shown | {name: value for name, value in (("stage", stage), ("text", text)) if value}


def _record(
    verb: str,
    incident: PublicIncident,
    actor: Actor,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    audit_record(
        actor=actor,
        action=f"incident.{verb}",
        object_type=_OBJECT,
        object_id=incident.id,
        before=before,
        after=after,
    )


def _tell(incident: PublicIncident, kind: str, stage: str) -> None:
    payload = {"title": incident.title, "impact": incident.impact}
    journal.append([journal.Entry(Topic.INCIDENTS, kind, str(incident.id), stage, payload=payload)])


# --- What is given ----------------------------------------------------------------------------


def _words(value: Any, field: str, most: int) -> str:
    if not isinstance(value, str):
        raise Invalid.field(f"body.{field}", f"{field} must be a text.")
    text = printable(value.replace("\r\n", "\n")).strip()
    if not text:
        raise Invalid.field(f"body.{field}", f"The {field} says nothing.")
    if len(text) > most:
        raise Invalid.field(f"body.{field}", f"{field} has at most {most} characters.")
    return text


def _title(value: Any) -> str:
    return " ".join(_words(value, "title", MAX_TITLE).split())


def _text(value: Any) -> str:
    return _words(value, "text", MAX_TEXT)


def _impact(value: Any) -> str:
    return _one_of(value, IMPACTS, "impact")


def _stage(value: Any) -> str:
    return _one_of(value, tuple(IncidentStage), "stage")


def _one_of(value: Any, allowed: Sequence[str], field: str) -> str:
    if not isinstance(value, str) or value not in allowed:
        names = ", ".join(str(each) for each in allowed)
        raise Invalid.field(f"body.{field}", f"{value!r} is no {field}; allowed are {names}.")
    return str(value)


def _start(value: Any, now: datetime, end: datetime | None = None) -> datetime:
    if value is None:
        return now
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise Invalid.field("body.started_at", "started_at is a time with its zone.")
    moment = value.astimezone(UTC)
    if moment > now + _AHEAD:
        raise Invalid.field("body.started_at", "An incident does not begin in the future.")
    if moment < now - LONGEST_AGO:
        raise Invalid.field(
            "body.started_at", f"An incident is dated back by at most {LONGEST_AGO.days} days."
        )
    if end is not None and moment > end:
        raise Invalid.field("body.started_at", "An incident begins before it is resolved.")
    return moment


def _services(value: Any) -> list[Service]:
    names = list(value) if isinstance(value, list | tuple) else None
    if names is None or len(names) > MAX_SERVICES or not all(isinstance(n, str) for n in names):
        raise Invalid.field("body.services", f"services is a list of at most {MAX_SERVICES} names.")
    wanted = {name.replace("\0", "\ufffd") for name in names}
    found = list(Service.objects.filter(name__in=wanted).order_by("name"))
    missing = sorted(wanted - {service.name for service in found})
    if missing:
        raise Invalid.field("body.services", f"There is no service {missing[0]!r}.")
    return found
