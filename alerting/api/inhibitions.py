"""Inhibitions: which alerts hold which others back."""

from __future__ import annotations

from django.http import HttpResponse
from ninja import Query, Router, Status

from alerting.models import Inhibition
from alerting.schemas.routing import InhibitionIn, InhibitionNewIn, InhibitionOut
from alerting.selectors.routing import inhibition_list
from alerting.services.inhibitions import inhibition_create, inhibition_delete, inhibition_update
from health.api.shown import of_body, sent
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut, PageQuery, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.versions import if_match, set_version

router = Router(tags=["routes"])

_ALL = "/alerts/inhibitions"
_ONE = "/alerts/inhibitions/{str:name}"


@router.get(_ALL, auth=ApiAuth(Scope.READ), response=PageOut[InhibitionOut])
def inhibitions(request: ApiRequest, query: Query[PageQuery]) -> Page:
    """Which alerts hold which others back."""
    return keyset_page(
        inhibition_list(), by=("name",), types=(str,), cursor=query.cursor, limit=query.limit
    )


@router.post(_ALL, auth=ApiAuth(Scope.OPERATE), response={201: InhibitionOut})
def inhibition_post(
    request: ApiRequest, response: HttpResponse, body: InhibitionNewIn
) -> Status[Inhibition]:
    """Make an inhibition; it holds for what fires within seconds."""
    given = sent(request, body)
    with of_body():
        made = inhibition_create(name=given.pop("name", None), fields=given, actor=request.auth)
    set_version(response, made.version)
    return Status(201, made)


@router.put(_ONE, auth=ApiAuth(Scope.OPERATE), response=InhibitionOut)
def inhibition_put(
    request: ApiRequest, response: HttpResponse, name: str, body: InhibitionIn
) -> Inhibition:
    """Change the fields that are sent; `enabled` switches it on or off."""
    with of_body():
        changed = inhibition_update(
            name=name, fields=sent(request, body), if_match=if_match(request), actor=request.auth
        )
    set_version(response, changed.version)
    return changed


@router.delete(_ONE, auth=ApiAuth(Scope.OPERATE), response={204: None})
def inhibition_remove(request: ApiRequest, name: str) -> Status[None]:
    """Delete an inhibition that a person made; what it held is told, if it still fires."""
    inhibition_delete(name=name, if_match=if_match(request), actor=request.auth)
    return Status(204, None)
