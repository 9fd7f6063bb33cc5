"""Incidents of the public status page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpResponse
from ninja import Field, Query, Router, Schema, Status

from health.choices import IncidentStage
from health.models import PublicIncident
from health.selectors.incidents import incident_find, incident_list, incident_version
from health.services.incidents import (
    IMPACTS,
    MAX_SERVICES,
    MAX_TEXT,
    MAX_TITLE,
    incident_edit,
    incident_open,
    incident_update,
    incident_update_delete,
    incident_update_edit,
)
from resilience_site.core.bodies import Body, Like, one_of
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut, PageQuery, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound
from resilience_site.core.versions import if_match, set_version

router = Router(tags=["public incidents"])

_Title = Annotated[str, Field(min_length=1, max_length=MAX_TITLE)]
_Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
_Services = Annotated[list[str], Field(max_length=MAX_SERVICES)]
_Impact = one_of(IMPACTS)
# A new incident is not resolved already.
_FirstStage = one_of(each for each in IncidentStage if each != IncidentStage.RESOLVED)


class IncidentQuery(PageQuery):
    """Filters of the incidents."""

    state: Literal["", "open", "resolved"] = ""


class IncidentIn(Body):
    """A new incident with its first update; what is wrong with it is said by the service."""

    title: Annotated[Any, Like(_Title, needed=True)] = None
    impact: Annotated[Any, Like(_Impact)] = "degraded"
    services: Annotated[Any, Like(_Services)] = Field([], description="Names of the catalogue")
    stage: Annotated[Any, Like(_FirstStage)] = "investigating"
    text: Annotated[Any, Like(_Text, needed=True)] = Field(None, description="The first update")
    started_at: datetime | None = None


class IncidentChange(Body):
    """What is to be corrected; what is not sent stays."""

    title: Annotated[Any, Like(_Title)] = None
    impact: Annotated[Any, Like(_Impact)] = None
    services: Annotated[Any, Like(_Services)] = Field(None, description="Names of the catalogue")
    started_at: datetime | None = None


class UpdateIn(Body):
    """The next step of the account; the stage `resolved` ends the incident."""

    stage: Annotated[Any, Like(IncidentStage, needed=True)] = None
    text: Annotated[Any, Like(_Text, needed=True)] = None
    impact: Annotated[Any, Like(_Impact | None)] = Field(
        None, description="Stays as it is where it is null"
    )


class WordsIn(Body):
    """The corrected words of an update."""

    text: Annotated[Any, Like(_Text, needed=True)] = None


class UpdateOut(Schema):
    id: UUID
    at: datetime
    stage: str
    text: str
    actor: str


class IncidentOut(Schema):
    id: UUID
    title: str
    impact: str
    state: Literal["open", "resolved"]
    stage: str
    services: list[str]
    started_at: datetime
    resolved_at: datetime | None
    created_by: str
    changed_at: datetime
    updates: list[UpdateOut] = Field(description="The newest first")


@router.get("/health/incidents", auth=ApiAuth(Scope.READ), response=PageOut[IncidentOut])
def incidents(request: ApiRequest, query: Query[IncidentQuery]) -> Page:
    """All incidents, the newest first."""
    page = keyset_page(
        incident_list(query.state),
        by=("-started_at", "-id"),
        types=(datetime, UUID),
        cursor=query.cursor,
        limit=query.limit,
    )
    return Page([_shown(each) for each in page.items], page.next_cursor)


@router.post("/health/incidents", auth=ApiAuth(Scope.OPERATE), response={201: IncidentOut})
def incident_post(
    request: ApiRequest, response: HttpResponse, body: IncidentIn
) -> Status[dict[str, Any]]:
    """Tell the public that something is wrong."""
    made = incident_open(
        title=body.title,
        impact=body.impact,
        services=body.services,
        stage=body.stage,
        text=body.text,
        started_at=body.started_at,
        actor=request.auth,
        now=datetime.now(UTC),
    )
    return Status(201, _found(response, made.id))


@router.get("/health/incidents/{uuid:incident_id}", auth=ApiAuth(Scope.READ), response=IncidentOut)
def incident_one(request: ApiRequest, response: HttpResponse, incident_id: UUID) -> dict[str, Any]:
    """One incident; its ETag is the version that a write may name in `If-Match`."""
    return _found(response, incident_id)


@router.patch(
    "/health/incidents/{uuid:incident_id}", auth=ApiAuth(Scope.OPERATE), response=IncidentOut
)
def incident_patch(
    request: ApiRequest, response: HttpResponse, incident_id: UUID, body: IncidentChange
) -> dict[str, Any]:
    """Correct what an incident says of itself, without an update of its account."""
    incident_edit(
        incident_id=incident_id,
        changes={name: getattr(body, name) for name in body.model_fields_set},
        if_match=if_match(request),
        actor=request.auth,
        now=datetime.now(UTC),
    )
    return _found(response, incident_id)


@router.post(
    "/health/incidents/{uuid:incident_id}/updates",
    auth=ApiAuth(Scope.OPERATE),
    response={201: IncidentOut},
)
def update_post(
    request: ApiRequest, response: HttpResponse, incident_id: UUID, body: UpdateIn
) -> Status[dict[str, Any]]:
    """Add to the account of an incident, or end it; answers the incident."""
    incident_update(
        incident_id=incident_id,
        stage=body.stage,
        text=body.text,
        impact=body.impact,
        if_match=if_match(request),
        actor=request.auth,
        now=datetime.now(UTC),
    )
    return Status(201, _found(response, incident_id))


@router.patch(
    "/health/incidents/updates/{uuid:update_id}",
    auth=ApiAuth(Scope.OPERATE),
    response=IncidentOut,
)
def update_patch(
    request: ApiRequest, response: HttpResponse, update_id: UUID, body: WordsIn
) -> dict[str, Any]:
    """Correct the words of an update; answers its incident."""
    update = incident_update_edit(
        update_id=update_id, text=body.text, actor=request.auth, now=datetime.now(UTC)
    )
    return _found(response, update.incident_id)


@router.delete(
    "/health/incidents/updates/{uuid:update_id}",
    auth=ApiAuth(Scope.OPERATE),
    response=IncidentOut,
)
def update_remove(request: ApiRequest, response: HttpResponse, update_id: UUID) -> dict[str, Any]:
    """Take an update back; answers its incident."""
    incident = incident_update_delete(
        update_id=update_id, actor=request.auth, now=datetime.now(UTC)
    )
    return _found(response, incident.id)


def _found(response: HttpResponse, incident_id: UUID) -> dict[str, Any]:
    incident = incident_find(incident_id)
    if incident is None:
        raise NotFound("There is no such incident.")
    set_version(response, incident_version(incident))
    return _shown(incident)


def _shown(incident: PublicIncident) -> dict[str, Any]:
    updates = list(incident.updates.all())
    fields = ("id", "title", "impact", "started_at", "resolved_at", "created_by", "changed_at")
    return {
        **{name: getattr(incident, name) for name in fields},
        "state": "open" if incident.resolved_at is None else "resolved",
        "stage": updates[0].stage if updates else "",
        "services": [service.name for service in incident.services.all()],
        "updates": updates,
    }
