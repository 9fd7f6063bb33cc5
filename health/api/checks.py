"""Checks: which there are, making, changing, running and deleting them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Query, Router, Status

from health import prober
from health.api.shown import check_answer, check_found, checks_shown, of_body, sent
from health.models import Check
from health.schemas import CheckChange, CheckIn, CheckOut, CheckQuery, DeleteQuery, RunOut
from health.selectors.checks import CheckFilter, check_list
from health.selectors.edges import needs_of
from health.services.checks import check_create, check_delete, check_options, check_update
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.versions import if_match

router = Router(tags=["health checks"])


@router.get("/health/checks", auth=ApiAuth(Scope.READ), response=PageOut[CheckOut])
def checks(request: ApiRequest, query: Query[CheckQuery]) -> Page:
    """All checks, the worst state first, then by the criticality of their service, then by name."""
    page = check_list(wanted=filter_of(query), cursor=query.cursor, limit=query.limit)
    return Page(checks_shown(page.items), page.next_cursor)


@router.post("/health/checks", auth=ApiAuth(Scope.OPERATE), response={201: CheckOut})
def check_post(
    request: ApiRequest, response: HttpResponse, body: CheckIn
) -> Status[dict[str, Any]]:
    """Make a check; its service comes into the catalogue if it is not there.

    For a heartbeat whose token the site makes, this answer alone holds the `push_url`.
    """
    sent(request, body)
    given = {name: getattr(body, name) for name in CheckIn.model_fields}
    with of_body():
        check = check_create(**given, actor=request.auth, now=datetime.now(UTC))
    return Status(201, check_answer(response, check.id, push_url=push_url(request, check)))


@router.get("/health/checks/{uuid:check_id}", auth=ApiAuth(Scope.READ), response=CheckOut)
def check_one(request: ApiRequest, response: HttpResponse, check_id: UUID) -> dict[str, Any]:
    """One check; its ETag is the version that a write may name in `If-Match`."""
    return check_answer(response, check_id)


@router.api_operation(
    ["PUT", "PATCH"],
    "/health/checks/{uuid:check_id}",
    auth=ApiAuth(Scope.OPERATE),
    response=CheckOut,
)
def check_put(
    request: ApiRequest, response: HttpResponse, check_id: UUID, body: CheckChange
) -> dict[str, Any]:
    """Change the fields that are sent; with `If-Match`, only where nobody else did meanwhile."""
    before = check_found(check_id)
    changes = _changes(before, sent(request, body, CheckOut.model_fields))
    with of_body():
        check = check_update(
            check_id=check_id,
            changes=changes,
            if_match=if_match(request),
            actor=request.auth,
            now=datetime.now(UTC),
        )
    renewed = check.push_digest != before.push_digest
    return check_answer(response, check_id, push_url=push_url(request, check) if renewed else None)


@router.delete("/health/checks/{uuid:check_id}", auth=ApiAuth(Scope.OPERATE), response={204: None})
def check_remove(request: ApiRequest, check_id: UUID, query: Query[DeleteQuery]) -> Status[None]:
    """Delete a check with its history; one that others need only with `force`."""
    check_delete(
        check_id=check_id,
        force=query.force,
        if_match=if_match(request),
        actor=request.auth,
        now=datetime.now(UTC),
    )
    return Status(204, None)


@router.post("/health/checks/{uuid:check_id}/run", auth=ApiAuth(Scope.OPERATE), response=RunOut)
def check_run(request: ApiRequest, response: HttpResponse, check_id: UUID) -> dict[str, Any]:
    """Run a check at once; answers what it found, and the check after it."""
    ran = prober.run_now(check_id)
    return {
        "status": ran.status,
        "output": ran.output,
        "latency_ms": ran.latency_ms,
        "started_at": ran.started_at,
        "observed": ran.observed,
        "check": check_answer(response, check_id),
    }


def filter_of(query: CheckQuery) -> CheckFilter:
    """What a list is narrowed to."""
    return CheckFilter(
        service=query.service, kind=query.kind, state=query.state, q=query.q, name=query.name
    )


def push_url(request: HttpRequest, check: Check) -> str | None:
    """Where the heartbeats of a check go; None for checks that call by themselves."""
    if check.push_digest is None:
        return None
    path = reverse("api:health_push", args=[check_options(check).token])
    return request.build_absolute_uri(path)


def _changes(check: Check, changes: dict[str, Any]) -> dict[str, Any]:
    """What is to change. An answer that is sent back leaves edges of different kinds alone."""
    needs = [each.parent for each in needs_of([check.id]).get(check.id, [])]
    if "hard" in changes and "depends_on" not in changes:
        changes["depends_on"] = needs
    if changes.get("depends_on") == needs and "hard" in changes and changes["hard"] is None:
        del changes["depends_on"], changes["hard"]
    return changes
