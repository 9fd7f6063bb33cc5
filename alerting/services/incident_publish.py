"""Telling the public of an incident, by choice, and keeping the status page in step by choice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from alerting.choices import EntryKind, IncidentState
from alerting.models import Incident
from alerting.selectors.incidents import incident_find
from alerting.services.incident_acts import incident_acting
from alerting.services.incident_entries import entries_add, entry
from health.choices import IncidentStage, PublicImpact
from health.models import PublicIncident, Service
from health.services import incidents as public_incidents
from resilience_site.core.audit import Actor
from resilience_site.core.problems import Invalid, NotFound, Problem

# Of so many tiers or users a public impact cannot be judged: a person chooses, this is the offer.
DEFAULT_IMPACT: Final = {
    "page": PublicImpact.PARTIAL_OUTAGE,
    "ticket": PublicImpact.DEGRADED,
    "info": PublicImpact.DEGRADED,
}
FIRST_TEXT: Final = "We are looking into a problem and will tell more here."
ENDED_TEXT: Final = "The problem is over."
AGAIN_TEXT: Final = "The problem has come back; we are looking into it."
ACTOR: Final = "incidents"


def incident_publish(
    *,
    incident_id: UUID,
    title: Any = None,
    text: Any = None,
    impact: Any = None,
    services: Any = None,
    follow: bool = True,
    actor: Actor,
    now: datetime,
    if_match: int | None = None,
) -> PublicIncident:
    """Open an incident of the status page for this one; what is not given is taken from it.

    With `follow`, the end of the incident is told there, too. Raises `Invalid` where the public
    knows already, `NotFound` and `Conflict`.
    """
    found = incident_find(incident_id)
    if found is None:
        raise NotFound("There is no such incident.")
    offer = publish_offer(found)
    with incident_acting("publish", found.id, actor, now, if_match, "") as act:
        incident = act.incident
        if incident.public_incident_id is not None:
            raise Invalid("The public is told of this incident already.")
        said = {"title": title, "text": text, "impact": impact, "services": services}
        try:
            made = public_incidents.incident_open(
                **{name: offer[name] if each is None else each for name, each in said.items()},
                started_at=max(incident.started_at, now - public_incidents.LONGEST_AGO),
                actor=actor,
                now=now,
            )
        except Problem as refused:
            # What was recorded inside this transaction is lost with it.
            refused.audited = False
            raise
        incident.public_incident_id, incident.public_follows = made.id, bool(follow)
        act.say(EntryKind.STATE, f"Published on the status page by {actor.name}: {made.title}")
    return made


def publish_offer(incident: Incident) -> dict[str, Any]:
    """What the form of publishing begins with. The title names no inner service: only services with
    a public name are."""
    rows = Service.objects.filter(name__in=incident.services).exclude(public_name="")
    named = list(rows.order_by("public_name").values_list("name", "public_name"))
    where = ", ".join(public for _, public in named[:3])
    return {
        "title": f"Problems with {where}" if where else "Problems with our service",
        "text": FIRST_TEXT,
        "impact": DEFAULT_IMPACT[incident.severity],
        "services": [name for name, _ in named],
    }


def publications_follow(*, now: datetime) -> int:
    """Tell the public of incidents that are over, or open again, where that was chosen; how many."""
    rows = Incident.objects.filter(
        public_follows=True, public_incident_id__isnull=False, merged_into=None
    ).order_by("-started_at")[:200]
    known = PublicIncident.objects.in_bulk([each.public_incident_id for each in rows])
    return sum(
        _in_step(each, known[each.public_incident_id], now)
        for each in rows
        if each.public_incident_id in known
    )


def _in_step(incident: Incident, public: PublicIncident, now: datetime) -> bool:
    over = incident.state == IncidentState.RESOLVED
    if over == (public.resolved_at is not None):
        return False
    if not over and not _we_ended(public):
        # A person ended it there; what people say to the public stands.
        return False
    by, stage = Actor.system(ACTOR), IncidentStage.INVESTIGATING
    try:
        if over:
            public_incidents.incident_resolve(
                incident_id=public.id, text=ENDED_TEXT, actor=by, now=now
            )
        else:
            public_incidents.incident_update(
                incident_id=public.id, stage=stage, text=AGAIN_TEXT, actor=by, now=now
            )
    except Problem as refused:
        # Somebody was quicker; that stands in the audit trail, and in the timeline.
        _say(incident, now, f"The status page was not told: {refused.detail}", f"refused:{now}")
        return False
    said = "that it is over" if over else "that it is back"
    _say(incident, now, f"The status page says {said}.", f"public:{over}:{now.isoformat()}")
    return True


def _we_ended(public: PublicIncident) -> bool:
    last: Sequence[str] = list(
        public.updates.order_by("-at", "-id").values_list("actor", flat=True)[:1]
    )
    return list(last) == [ACTOR]


def _say(incident: Incident, now: datetime, text: str, ref: str) -> None:
    with transaction.atomic():
        entries_add([entry(incident.id, EntryKind.STATE, now, text, ref=f"state:{ref}")])
