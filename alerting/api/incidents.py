"""Incidents: what they are, what happened in them, and what people do with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from ninja import Query, Router, Status

from alerting.domain.impact_text import impact_words
from alerting.domain.incident_text import post_mortem_markdown, summary_markdown
from alerting.models import Alert, Incident
from alerting.schemas.incidents import (
    AssignIn,
    IncidentDetailOut,
    IncidentOut,
    IncidentQuery,
    MarkdownOut,
    NoteIn,
    PublishIn,
)
from alerting.selectors.incident_accounts import incident_account
from alerting.selectors.incident_story import incident_story
from alerting.selectors.incidents import (
    begun_or_open,
    incident_alerts,
    incident_find,
    incident_list,
)
from alerting.selectors.told import Telling, tellings
from alerting.services import incident_acts, incident_publish
from alerting.services.incident_entries import alert_words
from resilience_site.core.choices import Scope
from resilience_site.core.links import absolute
from resilience_site.core.pagination import Page, PageOut, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound
from resilience_site.core.timerange import parse_range
from resilience_site.core.versions import if_match, set_version

router = Router(tags=["incidents"])

DEFAULT_RANGE: Final = timedelta(days=30)
_SAME: Final = (
    "id", "title", "state", "severity", "started_at", "ended_at", "acknowledged_at",
    "acknowledged_by", "assigned_to", "resolved_by", "culprit", "services", "cause", "impact",
    "alert_count", "firing_count", "public_incident_id", "version",
)  # fmt: skip


@router.get("/incidents", auth=ApiAuth(Scope.READ), response=PageOut[IncidentOut])
def incidents(request: ApiRequest, query: Query[IncidentQuery]) -> Page:
    """Incidents that began in a range, the newest first; without `since`, those of the last 30 days
    and all that are not over, whenever they began."""
    within = parse_range(query.since, query.until, now=datetime.now(UTC), default=DEFAULT_RANGE)
    rows = incident_list(
        state=query.state, severity=query.severity, service=query.service, q=query.q
    ).filter(started_at__lt=within.until)
    if query.since:
        rows = rows.filter(started_at__gte=within.since)
    else:
        rows = begun_or_open(rows, within.since)
    page = keyset_page(
        rows, by=("-started_at", "-id"), types=(datetime, UUID), cursor=query.cursor,
        limit=query.limit,
    )  # fmt: skip
    return Page([_shown(each) for each in page.items], page.next_cursor)


@router.get("/incidents/{uuid:incident_id}", auth=ApiAuth(Scope.READ), response=IncidentDetailOut)
def incident(request: ApiRequest, response: HttpResponse, incident_id: UUID) -> dict[str, Any]:
    """One incident with its alerts and its timeline; one that was joined with another answers as
    that one. Its ETag is the version that a write may name in `If-Match`."""
    return _found(response, incident_id)


@router.post(
    "/incidents/{uuid:incident_id}/acknowledge",
    auth=ApiAuth(Scope.OPERATE),
    response=IncidentDetailOut,
)
def acknowledge(
    request: ApiRequest, response: HttpResponse, incident_id: UUID, body: NoteIn | None = None
) -> dict[str, Any]:
    """Say that somebody looks at it; answers the incident."""
    incident_acts.incident_acknowledge(
        incident_id=incident_id,
        note=body.note if body else "",
        if_match=if_match(request),
        actor=request.auth,
        now=datetime.now(UTC),
    )
    return _found(response, incident_id)


@router.post(
    "/incidents/{uuid:incident_id}/assign", auth=ApiAuth(Scope.OPERATE), response=IncidentDetailOut
)
def assign(
    request: ApiRequest, response: HttpResponse, incident_id: UUID, body: AssignIn
) -> dict[str, Any]:
    """Give it to somebody; answers the incident."""
    incident_acts.incident_assign(
        incident_id=incident_id,
        to=body.to,
        note=body.note,
        if_match=if_match(request),
        actor=request.auth,
        now=datetime.now(UTC),
    )
    return _found(response, incident_id)


@router.post(
    "/incidents/{uuid:incident_id}/note", auth=ApiAuth(Scope.OPERATE), response=IncidentDetailOut
)
def note(
    request: ApiRequest, response: HttpResponse, incident_id: UUID, body: NoteIn
) -> dict[str, Any]:
    """Add a note to the timeline; answers the incident."""
    incident_acts.incident_note(
        incident_id=incident_id,
        note=body.note,
        if_match=if_match(request),
        actor=request.auth,
        now=datetime.now(UTC),
    )
    return _found(response, incident_id)


@router.post(
    "/incidents/{uuid:incident_id}/resolve", auth=ApiAuth(Scope.OPERATE), response=IncidentDetailOut
)
def resolve(
    request: ApiRequest, response: HttpResponse, incident_id: UUID, body: NoteIn | None = None
) -> dict[str, Any]:
    """End it, whatever its alerts do; answers the incident."""
    incident_acts.incident_resolve(
        incident_id=incident_id,
        note=body.note if body else "",
        if_match=if_match(request),
        actor=request.auth,
        now=datetime.now(UTC),
    )
    return _found(response, incident_id)


@router.post(
    "/incidents/{uuid:incident_id}/publish",
    auth=ApiAuth(Scope.OPERATE),
    response={201: IncidentDetailOut},
)
def publish(
    request: ApiRequest, response: HttpResponse, incident_id: UUID, body: PublishIn | None = None
) -> Status[dict[str, Any]]:
    """Tell the public of it on the status page; answers the incident."""
    incident_publish.incident_publish(
        incident_id=incident_id,
        **(body.model_dump() if body else {}),
        if_match=if_match(request),
        actor=request.auth,
        now=datetime.now(UTC),
    )
    return Status(201, _found(response, incident_id))


@router.get(
    "/incidents/{uuid:incident_id}/markdown", auth=ApiAuth(Scope.READ), response=MarkdownOut
)
def markdown(request: ApiRequest, incident_id: UUID) -> dict[str, str]:
    """The incident as Markdown, short and as the draft of a post-mortem."""
    account = incident_account(incident_id, now=datetime.now(UTC))
    if account is None:
        raise NotFound(f"There is no incident {incident_id}.")
    return {"summary": summary_markdown(account), "post_mortem": post_mortem_markdown(account)}


def _found(response: HttpResponse, incident_id: UUID) -> dict[str, Any]:
    found = incident_find(incident_id)
    if found is None:
        raise NotFound(f"There is no incident {incident_id}.")
    set_version(response, found.version)
    alerts = incident_alerts(found.id)
    told = tellings(alerts)
    return {
        **_shown(found),
        "alerts": [_alert(each, told[each.pk]) for each in alerts],
        "timeline": incident_story(found.id),
    }


def _shown(found: Incident) -> dict[str, Any]:
    shown = {name: getattr(found, name) for name in _SAME}
    if found.impact:
        words = {**found.impact.get("words", {}), **impact_words(found.impact)}
        shown["impact"] = {**found.impact, "words": words}
    return {**shown, "url": absolute(f"/incidents/{found.id}")}


def _alert(alert: Alert, told: Telling) -> dict[str, Any]:
    same = (
        "id", "severity", "state", "labels", "service", "started_at", "ended_at", "incident_id",
        "suppressed_by",
    )  # fmt: skip
    shown = {name: getattr(alert, name) for name in same}
    return {
        **shown,
        "rule": alert.rule_name,
        "summary": alert_words(alert),
        "told": told.told,
        "why_not_told": told.why_not,
    }
