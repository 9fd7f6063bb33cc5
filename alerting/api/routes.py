"""Routes: who is told of which alerts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from ninja import Query, Router, Status

from alerting.models import Route
from alerting.schemas.routing import (
    RouteIn,
    RouteNewIn,
    RouteOut,
    TrialIn,
    TrialOut,
)
from alerting.selectors.route_trial import route_trial
from alerting.selectors.routing import route_list
from alerting.selectors.told_alone import routes_to_nobody
from alerting.services.routes import route_create, route_delete, route_update
from health.api.shown import of_body, sent
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut, PageQuery, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound
from resilience_site.core.versions import if_match, set_version

router = Router(tags=["routes"])

_ONE = "/alerts/routes/{str:name}"
_SAME = (
    "name", "position", "matchers", "group_by", "group_wait_seconds", "group_interval_seconds",
    "repeat_interval_seconds", "goes_on", "every_channel", "enabled", "origin", "version",
)  # fmt: skip


@router.get("/alerts/routes", auth=ApiAuth(Scope.READ), response=PageOut[RouteOut])
def routes(request: ApiRequest, query: Query[PageQuery]) -> Page:
    """All routes, in the order in which they are tried."""
    page = keyset_page(
        route_list(),
        by=("position", "id"),
        types=(int, int),
        cursor=query.cursor,
        limit=query.limit,
    )
    nobody = routes_to_nobody(page.items)
    return Page([_shown(each, each.name in nobody) for each in page.items], page.next_cursor)


@router.post("/alerts/routes", auth=ApiAuth(Scope.OPERATE), response={201: RouteOut})
def route_post(
    request: ApiRequest, response: HttpResponse, body: RouteNewIn
) -> Status[dict[str, Any]]:
    """Make a route."""
    given = _given(sent(request, body))
    with of_body():
        route = route_create(
            name=given.pop("name", None), fields=given, actor=request.auth, now=datetime.now(UTC)
        )
    return Status(201, _answer(response, route.name))


@router.post("/alerts/routes/test", auth=ApiAuth(Scope.READ), response=TrialOut)
def route_test(request: ApiRequest, body: TrialIn) -> dict[str, Any]:
    """Where an alert of these labels would go, if it fired now."""
    trial = route_trial(body.labels, datetime.now(UTC))
    return {
        "routes": [
            {
                "route": each.route,
                "channels": each.channels,
                "group_labels": dict(each.group_labels),
                "group_wait_seconds": each.group_wait.total_seconds(),
                "stand_in": each.stand_in or None,
            }
            for each in trial.ways
        ],
        "suppressed_by": [each.to_json() for each in trial.held],
    }


@router.get(_ONE, auth=ApiAuth(Scope.READ), response=RouteOut)
def route(request: ApiRequest, response: HttpResponse, name: str) -> dict[str, Any]:
    """One route; its ETag is the version that a write may name in `If-Match`."""
    return _answer(response, name)


@router.put(_ONE, auth=ApiAuth(Scope.OPERATE), response=RouteOut)
def route_put(
    request: ApiRequest, response: HttpResponse, name: str, body: RouteIn
) -> dict[str, Any]:
    """Change the fields that are sent; what fires is routed anew within seconds."""
    given = _given(sent(request, body))
    given.pop("name", None)
    with of_body():
        route_update(
            name=name,
            fields=given,
            if_match=if_match(request),
            actor=request.auth,
            now=datetime.now(UTC),
        )
    return _answer(response, name)


@router.delete(_ONE, auth=ApiAuth(Scope.OPERATE), response={204: None})
def route_remove(request: ApiRequest, name: str) -> Status[None]:
    """Delete a route; whoever was told that an alert fires is still told when it is over."""
    route_delete(name=name, if_match=if_match(request), actor=request.auth, now=datetime.now(UTC))
    return Status(204, None)


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What was sent and is not null, which stands for what is not sent."""
    return {name: value for name, value in fields.items() if value is not None}


def _answer(response: HttpResponse, name: str) -> dict[str, Any]:
    found: Route | None = route_list().filter(name=name).first() if "\0" not in name else None
    if found is None:
        raise NotFound(f"There is no route {name[:100]}.")
    set_version(response, found.version)
    return _shown(found, bool(routes_to_nobody([found])))


def _shown(route: Route, tells_nobody: bool) -> dict[str, Any]:
    return {
        **{name: getattr(route, name) for name in _SAME},
        "channels": sorted(each.name for each in route.channels.all()),
        "tells_nobody": tells_nobody,
    }
