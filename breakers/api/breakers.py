"""Breakers: how they stand, and steering them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from ninja import Query, Router

from breakers.api.shown import found, located, shown
from breakers.models import DomainMember
from breakers.models.telemetry import NAME
from breakers.schemas import (
    BreakerOut,
    BreakerQuery,
    DomainOut,
    DomainResetIn,
    OverrideIn,
    ResetIn,
    TransitionOut,
    TransitionQuery,
)
from breakers.selectors.breakers import breaker_list
from breakers.selectors.domains import DomainView, domain_get, domain_list
from breakers.selectors.names import domain_check
from breakers.selectors.transitions import transition_list
from breakers.services.commands import breaker_reset
from breakers.services.overrides import Target, override_set
from breakers.services.requests import text_checked
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut, decode_cursor, encode_cursor
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import Invalid
from resilience_site.core.timerange import parse_range
from resilience_site.core.versions import if_match, set_version

router = Router(tags=["breakers"])
# Whoever may only look is refused by the service, which has it audited.
MAY_ASK = ApiAuth(Scope.READ)


@router.get("/breakers", auth=ApiAuth(Scope.READ), response=PageOut[BreakerOut])
def breakers(request: ApiRequest, query: Query[BreakerQuery]) -> Page:
    """All breakers over their instances, by service and name."""
    views = breaker_list(
        datetime.now(UTC), service=query.service, state=query.state, q=query.q, domain=query.domain
    )
    views.sort(key=lambda view: (view.service, view.name))
    if query.cursor:
        after = decode_cursor(query.cursor, (str, str))
        views = [view for view in views if (view.service, view.name) > after]
    rest = views[query.limit :]
    page = views[: query.limit]
    following = encode_cursor([page[-1].service, page[-1].name]) if rest else None
    return Page([shown(view) for view in page], following)


@router.get("/breakers/transitions", auth=ApiAuth(Scope.READ), response=PageOut[TransitionOut])
def transitions(request: ApiRequest, query: Query[TransitionQuery]) -> Page:
    """Changes of state, newest first; all that are kept by default."""
    within = None
    if query.since or query.until:
        within = parse_range(query.since, query.until, now=datetime.now(UTC))
    return transition_list(
        service=query.service,
        name=query.name,
        instance=query.instance,
        to_state=query.to_state,
        within=within,
        limit=query.limit,
        cursor=query.cursor,
    )


@router.post("/breakers/{path:service}/{path:name}/override", auth=MAY_ASK, response=BreakerOut)
def override(
    request: ApiRequest, response: HttpResponse, service: str, name: str, body: OverrideIn
) -> dict[str, Any]:
    """Force a state until it expires, or take one back with `auto`.

    With `If-Match`, only where the control document is still at that version.
    """
    service, name = located(service, name)
    override_set(
        target=Target.of_breaker(service, name, _instance(body.instance)),
        state=body.state,
        reason=body.reason,
        expires_in=body.expires_in,
        actor=request.auth,
        role=request.role,
        if_match=if_match(request),
    )
    return _answer(response, service, name)


@router.post("/breakers/{path:service}/{path:name}/reset", auth=MAY_ASK, response=BreakerOut)
def reset(
    request: ApiRequest,
    response: HttpResponse,
    service: str,
    name: str,
    body: ResetIn | None = None,
) -> dict[str, Any]:
    """Have a breaker start anew from closed in every instance, or in one, for a reason.

    With `If-Match`, only where the control document is still at that version.
    """
    service, name = located(service, name)
    breaker_reset(
        target=Target.of_breaker(service, name, _instance(body.instance if body else None)),
        reason=body.reason if body else None,
        actor=request.auth,
        role=request.role,
        if_match=if_match(request),
    )
    return _answer(response, service, name)


@router.get("/domains", auth=ApiAuth(Scope.READ), response=PageOut[DomainOut])
def domains(request: ApiRequest) -> Page:
    """Failure domains with their breakers."""
    return Page([_domain(view) for view in domain_list(datetime.now(UTC))], None)


@router.post("/domains/{path:name}/override", auth=MAY_ASK, response=DomainOut)
def domain_override(
    request: ApiRequest, response: HttpResponse, name: str, body: OverrideIn
) -> dict[str, Any]:
    """Force a state upon every breaker of a failure domain, in all services.

    With `If-Match`, only where the domain is still at that version.
    """
    override_set(
        target=Target.of_domain(name),
        state=body.state,
        reason=body.reason,
        expires_in=body.expires_in,
        actor=request.auth,
        role=request.role,
        if_match=if_match(request),
    )
    return _found_domain(response, name)


@router.post("/domains/{path:name}/reset", auth=MAY_ASK, response=DomainOut)
def domain_reset(
    request: ApiRequest, response: HttpResponse, name: str, body: DomainResetIn | None = None
) -> dict[str, Any]:
    """Have every breaker of a failure domain start anew from closed, in all services, for a reason.

    With `If-Match`, only where the domain is still at that version. A domain of more than 200
    breakers is refused.
    """
    breaker_reset(
        target=Target.of_domain(name),
        reason=body.reason if body else None,
        actor=request.auth,
        role=request.role,
        if_match=if_match(request),
    )
    return _found_domain(response, name)


@router.get("/domains/{path:name}", auth=ApiAuth(Scope.READ), response=DomainOut)
def domain(request: ApiRequest, response: HttpResponse, name: str) -> dict[str, Any]:
    """One failure domain; its ETag is the version that a write may name in `If-Match`."""
    return _found_domain(response, name)


@router.get("/breakers/{path:service}/{path:name}", auth=ApiAuth(Scope.READ), response=BreakerOut)
def breaker(request: ApiRequest, response: HttpResponse, service: str, name: str) -> dict[str, Any]:
    """One breaker; its ETag is the version that a write may name in `If-Match`."""
    return _answer(response, *located(service, name))


def _answer(response: HttpResponse, service: str, name: str) -> dict[str, Any]:
    view = found(service, name)
    set_version(response, view.version)
    return shown(view)


def _instance(given: Any) -> str:
    """The instance that a body names, empty for all of them. Raises `Invalid`."""
    text = text_checked(given, "instance", NAME)
    if given and not text:
        # What says nothing must not come to mean all.
        raise Invalid.field("body.instance", "Name the instance, or leave it out for all of them.")
    return text


def _domain(view: DomainView) -> dict[str, Any]:
    return {
        "name": view.name,
        "version": view.version,
        "override": view.override,
        "services": view.services,
        "breakers": [shown(each) for each in view.breakers],
    }


def _found_domain(response: HttpResponse, name: str) -> dict[str, Any]:
    try:
        view = domain_get(name, datetime.now(UTC))
    except DomainMember.DoesNotExist:
        domain_check(name)
        raise
    set_version(response, view.version)
    return _domain(view)
