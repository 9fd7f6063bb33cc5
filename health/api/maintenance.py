"""Maintenance windows: planned, previewed, changed, ended before their time, taken back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from health.api.shown import of_body, sent
from health.models import Maintenance
from health.schemas import (
    MaintenanceChange,
    MaintenanceIn,
    MaintenanceOut,
    MaintenancePreviewIn,
    MaintenanceQuery,
    PreviewOut,
    ReasonQuery,
    WindowEndIn,
)
from health.selectors.maintenance import maintenance_all
from health.selectors.planned import (
    Planned,
    maintenance_find,
    maintenance_open,
    next_spans,
    planned,
)
from health.services.maintenance import (
    maintenance_create,
    maintenance_delete,
    maintenance_end,
    maintenance_update,
)
from health.services.maintenance_fields import SCOPE, rule_read, window_read
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound
from resilience_site.core.versions import if_match, set_version

router = Router(tags=["health maintenance"])

_ONE = "/health/maintenance/{uuid:maintenance_id}"
_SHOWN = (
    "id", "name", "kind", "starts_at", "ends_at", "weekdays", "cron", "duration_seconds",
    "timezone", "everything", "reason", "public_text", "actor", "created_at", "ended_at", "version",
)  # fmt: skip


@router.get("/health/maintenance", auth=ApiAuth(Scope.READ), response=PageOut[MaintenanceOut])
def windows(request: ApiRequest, query: Query[MaintenanceQuery]) -> Page:
    """All windows, the newest first."""
    now = datetime.now(UTC)
    page = keyset_page(
        maintenance_open(now) if query.open else maintenance_all(),
        by=("-created_at", "-id"),
        types=(datetime, UUID),
        cursor=query.cursor,
        limit=query.limit,
    )
    return Page([_shown(each) for each in planned(page.items, now)], page.next_cursor)


@router.post("/health/maintenance", auth=ApiAuth(Scope.OPERATE), response={201: MaintenanceOut})
def window_post(
    request: ApiRequest, response: HttpResponse, body: MaintenanceIn
) -> Status[dict[str, Any]]:
    """Plan a window. Checks are run in it as ever, but nobody is told of what fails."""
    given = _given(request, body)
    with of_body():
        window = maintenance_create(**given, actor=request.auth, now=datetime.now(UTC))
    return Status(201, _answer(response, window.id))


@router.post("/health/maintenance/preview", auth=ApiAuth(Scope.OPERATE), response=PreviewOut)
def preview(request: ApiRequest, body: MaintenancePreviewIn) -> dict[str, Any]:
    """When a window would be, if it were planned; nothing is kept."""
    now = datetime.now(UTC)
    given = {name: value for name, value in _given(request, body).items() if name not in SCOPE}
    with of_body():
        given |= {name: given[name] or "preview" for name in ("name", "reason")}
        rule = rule_read(window_read(given, now))
    return {"occurrences": next_spans(rule, now)}


@router.get(_ONE, auth=ApiAuth(Scope.READ), response=MaintenanceOut)
def window_one(request: ApiRequest, response: HttpResponse, maintenance_id: UUID) -> dict[str, Any]:
    """One window; its ETag is the version that a write may name in `If-Match`."""
    return _answer(response, maintenance_id)


@router.api_operation(["PUT", "PATCH"], _ONE, auth=ApiAuth(Scope.OPERATE), response=MaintenanceOut)
def window_put(
    request: ApiRequest, response: HttpResponse, maintenance_id: UUID, body: MaintenanceChange
) -> dict[str, Any]:
    """Change the fields that are sent; the past of a recurring window stays as it was."""
    changes = _changes(maintenance_id, sent(request, body, MaintenanceOut.model_fields))
    with of_body():
        maintenance_update(
            maintenance_id=maintenance_id,
            changes=changes,
            if_match=if_match(request),
            actor=request.auth,
            now=datetime.now(UTC),
        )
    return _answer(response, maintenance_id)


@router.post(f"{_ONE}/end", auth=ApiAuth(Scope.OPERATE), response=MaintenanceOut)
def window_end(
    request: ApiRequest,
    response: HttpResponse,
    maintenance_id: UUID,
    body: WindowEndIn | None = None,
) -> dict[str, Any]:
    """End a window now; it never begins again."""
    with of_body():
        maintenance_end(
            maintenance_id=maintenance_id,
            reason=body.reason if body else "",
            if_match=if_match(request),
            actor=request.auth,
            now=datetime.now(UTC),
        )
    return _answer(response, maintenance_id)


@router.delete(_ONE, auth=ApiAuth(Scope.OPERATE), response={204: None})
def window_remove(
    request: ApiRequest, maintenance_id: UUID, query: Query[ReasonQuery]
) -> Status[None]:
    """Take a window back as if it had never been: what it covered counts again."""
    maintenance_delete(
        maintenance_id=maintenance_id,
        reason=query.reason,
        if_match=if_match(request),
        actor=request.auth,
        now=datetime.now(UTC),
    )
    return Status(204, None)


def _changes(maintenance_id: UUID, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What is to change. What a window covers stays where an answer is sent back: one that covers
    nothing any more would come to cover everything."""
    before = _answer(HttpResponse(), maintenance_id)
    if all(list(before[name]) == changes.get(name) for name in SCOPE):
        changes = {name: value for name, value in changes.items() if name not in SCOPE}
    return _read(changes)


def _given(request: HttpRequest, body: MaintenanceIn) -> dict[str, Any]:
    sent(request, body)
    return _read({name: getattr(body, name) for name in MaintenanceIn.model_fields})


def _read(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Times as texts become times; what is none is left for the service to refuse."""
    given = dict(fields)
    for name in ("starts_at", "ends_at"):
        if isinstance(given.get(name), str):
            given[name] = _moment(given[name])
    if isinstance(given.get("start_time"), str):
        given["start_time"] = _time(given["start_time"])
    return given


def _moment(text: str) -> datetime | str:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


def _time(text: str) -> time | str:
    try:
        return time.fromisoformat(text)
    except ValueError:
        return text


def _answer(response: HttpResponse, maintenance_id: UUID) -> dict[str, Any]:
    window: Maintenance | None = maintenance_find(maintenance_id)
    if window is None:
        raise NotFound("There is no such maintenance window.")
    set_version(response, window.version)
    return _shown(planned([window], datetime.now(UTC))[0])


def _shown(each: Planned) -> dict[str, Any]:
    window = each.window
    begins = window.start_time
    return {
        **{name: getattr(window, name) for name in _SHOWN},
        "start_time": None if begins is None else f"{begins:%H:%M:%S}",
        "state": each.state,
        "services": each.services,
        "checks": each.checks,
        "occurrences": each.spans,
    }
