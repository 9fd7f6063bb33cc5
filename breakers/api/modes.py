"""Toggles and degraded modes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from ninja import Query, Router

from breakers.api.breakers import MAY_ASK
from breakers.schemas import (
    DegradedIn,
    DegradedOut,
    RevertIn,
    ServiceQuery,
    ToggleIn,
    ToggleOut,
    ToggleQuery,
)
from breakers.selectors.degraded import DegradedView, degraded_find, degraded_list
from breakers.selectors.names import service_check
from breakers.selectors.toggles import ToggleView, toggle_find, toggle_list, toggle_views
from breakers.services.degraded import degraded_set
from breakers.services.toggles import toggle_revert, toggle_set
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound
from resilience_site.core.versions import if_match, set_version

router = Router(tags=["toggles and degraded modes"])
# Null is a value, too; this is none, which the service says.
_MISSING = object()


@router.get("/toggles", auth=ApiAuth(Scope.READ), response=PageOut[ToggleOut])
def toggles(request: ApiRequest, query: Query[ToggleQuery]) -> Page:
    """All toggles by key, those that are not set included."""
    page = keyset_page(
        toggle_list(q=query.q), by=("key",), types=(str,), cursor=query.cursor, limit=query.limit
    )
    views = toggle_views(page.items, now=datetime.now(UTC))
    return Page([_toggle(view) for view in views], page.next_cursor)


@router.get("/toggles/{key}", auth=ApiAuth(Scope.READ), response=ToggleOut)
def toggle(request: ApiRequest, response: HttpResponse, key: str) -> dict[str, Any]:
    """One toggle; its ETag is the version that a write may name in `If-Match`."""
    return _found_toggle(response, key)


@router.put("/toggles/{key}", auth=MAY_ASK, response=ToggleOut)
def toggle_put(
    request: ApiRequest, response: HttpResponse, key: str, body: ToggleIn
) -> dict[str, Any]:
    """Switch a toggle, for good or for `expires_in` seconds."""
    given = {name: getattr(body, name) for name in ToggleIn.model_fields}
    if "value" not in body.model_fields_set:
        given["value"] = _MISSING
    toggle_set(
        key=key,
        **given,
        actor=request.auth,
        role=request.role,
        if_match=if_match(request),
    )
    return _found_toggle(response, key)


@router.post("/toggles/{key}/revert", auth=MAY_ASK, response=ToggleOut)
def toggle_back(
    request: ApiRequest, response: HttpResponse, key: str, body: RevertIn | None = None
) -> dict[str, Any]:
    """Put a toggle back: to its value before a temporary one, else as if it had never been set."""
    toggle_revert(
        key=key,
        reason=body.reason if body else None,
        actor=request.auth,
        role=request.role,
        if_match=if_match(request),
    )
    return _found_toggle(response, key)


@router.get("/degraded", auth=ApiAuth(Scope.READ), response=PageOut[DegradedOut])
def degraded(request: ApiRequest, query: Query[ServiceQuery]) -> Page:
    """The level of every service, the worst first."""
    views = degraded_list(now=datetime.now(UTC), q=query.service)
    return Page([_degraded(view) for view in views[: query.limit]], None)


@router.put("/degraded/{path:service}", auth=MAY_ASK, response=DegradedOut)
def degraded_put(
    request: ApiRequest, response: HttpResponse, service: str, body: DegradedIn
) -> dict[str, Any]:
    """Let a service run at a level, with a notice for its users; `normal` ends it."""
    degraded_set(
        service=service,
        **{name: getattr(body, name) for name in DegradedIn.model_fields},
        actor=request.auth,
        role=request.role,
        if_match=if_match(request),
    )
    return _found_degraded(response, service)


@router.get("/degraded/{path:service}", auth=ApiAuth(Scope.READ), response=DegradedOut)
def degraded_one(request: ApiRequest, response: HttpResponse, service: str) -> dict[str, Any]:
    """The level of one service."""
    return _found_degraded(response, service)


def _found_toggle(response: HttpResponse, key: str) -> dict[str, Any]:
    toggle = toggle_find(key)
    if toggle is None:
        raise NotFound(f"There is no toggle {key!r}.")
    set_version(response, toggle.version)
    return _toggle(toggle_views([toggle], now=datetime.now(UTC))[0])


def _toggle(view: ToggleView) -> dict[str, Any]:
    return {
        **{name: getattr(view.toggle, name, None) for name in ToggleOut.model_fields},
        "value": view.toggle.value if view.toggle.is_set else None,
        "state": view.state,
        "current": view.current,
        "live": view.live,
    }


def _found_degraded(response: HttpResponse, service: str) -> dict[str, Any]:
    service_check(service)
    view = degraded_find(service, now=datetime.now(UTC))
    if view is None:
        # In the catalogue, but nobody ever decided anything of it, and it never asked.
        return {**_NORMAL, "service": service}
    set_version(response, view.version)
    return _degraded(view)


_NORMAL: dict[str, Any] = {
    "level": "normal", "notice": "", "reason": "", "actor": "", "created_at": None,
    "expires_at": None, "version": 0, "applied": {"version": 0, "current": 0, "live": 0},
}  # fmt: skip


def _degraded(view: DegradedView) -> dict[str, Any]:
    mode = view.mode
    applied = view.applied
    decided = (
        {name: getattr(mode, name) for name in ("notice", "reason", "actor", "created_at")}
        if mode
        else {name: _NORMAL[name] for name in ("notice", "reason", "actor", "created_at")}
    )
    return {
        "service": view.service,
        "level": view.level,
        **decided,
        "expires_at": mode.expires_at if mode else None,
        "version": view.version,
        "applied": {
            "version": applied.version, "current": applied.current, "live": applied.live,
        },
    }  # fmt: skip
