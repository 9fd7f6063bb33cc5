"""How services are reached for healing, and what actions there are."""

from __future__ import annotations

import dataclasses
import inspect
from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from ninja import Query, Router, Status

from healing.actions.base import Action
from healing.actions.registry import actions_known
from healing.models import HealingTarget
from healing.schemas.workflows import ActionOut, TargetIn, TargetOut
from healing.selectors.workflows import target_find, target_list
from healing.services.targets import target_delete, target_save
from health.api.shown import of_body, sent
from resilience_site.core.choices import Scope
from resilience_site.core.formatting import printable
from resilience_site.core.pagination import Page, PageOut, PageQuery, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound
from resilience_site.core.versions import if_match, set_version

router = Router(tags=["healing"])

_ONE = "/healing/targets/{anything:service}"
_TARGET = ("service", "group", "ways", "managed_by", "version", "changed_at", "changed_by")


@router.get("/healing/actions", auth=ApiAuth(Scope.READ), response=PageOut[ActionOut])
def actions(request: ApiRequest) -> Page:
    """Every action that a step or a way can name."""
    return Page([_action(each) for each in actions_known().values()], None)


@router.get("/healing/targets", auth=ApiAuth(Scope.READ), response=PageOut[TargetOut])
def targets(request: ApiRequest, query: Query[PageQuery]) -> Page:
    """Services that something is known of how to heal them."""
    page = keyset_page(
        target_list(), by=("service",), types=(str,), cursor=query.cursor, limit=query.limit
    )
    return Page([_shown(each) for each in page.items], page.next_cursor)


@router.get(_ONE, auth=ApiAuth(Scope.READ), response=TargetOut)
def target(request: ApiRequest, response: HttpResponse, service: str) -> dict[str, Any]:
    """How one service is reached. Its ETag is the version."""
    found = target_find(service)
    if found is None:
        raise NotFound(f"Nothing says how {printable(service[:100])} is healed.")
    set_version(response, found.version)
    return _shown(found)


@router.put(_ONE, auth=ApiAuth(Scope.OPERATE), response=TargetOut)
def target_put(
    request: ApiRequest, response: HttpResponse, service: str, body: TargetIn
) -> dict[str, Any]:
    """Say how a service is reached. Secrets that come masked stay as they are, where they would go
    to the same place."""
    given = sent(request, body)
    with of_body():
        row = target_save(
            service=service, ways=given.get("ways") or {}, group=given.get("group") or "",
            if_match=if_match(request), actor=request.auth, now=datetime.now(UTC),
        )  # fmt: skip
    set_version(response, row.version)
    return _shown(row)


@router.delete(_ONE, auth=ApiAuth(Scope.OPERATE), response={204: None})
def target_remove(request: ApiRequest, service: str) -> Status[None]:
    """Forget how a service is reached."""
    target_delete(
        service=service, if_match=if_match(request), actor=request.auth, now=datetime.now(UTC)
    )
    return Status(204, None)


def _shown(row: HealingTarget) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _TARGET}


def _action(kind: Action[Any]) -> dict[str, Any]:
    fields = dataclasses.fields(kind.Parameters)
    return {
        "name": kind.name,
        "label": kind.label,
        "description": inspect.getdoc(type(kind)) or "",
        "parameters": {each.name: str(each.type) for each in fields},
        "required": [
            each.name
            for each in fields
            if each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        ],
        "secrets": sorted(kind.secrets | kind.url_secrets),
        "safe_to_leave": kind.safe_to_leave,
        "undoes_itself": kind.undoes_itself,
        "repeatable": kind.repeatable,
        "variable": kind.variable,
    }
