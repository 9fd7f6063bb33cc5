"""What could be healed now, and starting or leaving it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ninja import Query, Router, Status

from healing.api.shown import opportunity_shown, run_shown
from healing.models import HealingRun, Opportunity
from healing.schemas.runs import OpportunityOut, OpportunityQuery, RunOut, WhyIn
from healing.selectors.runs import opportunity_find, opportunity_list, run_find
from healing.services.opportunities import opportunity_dismiss, opportunity_start
from health.api.shown import sent
from resilience_site.core.choices import Role, Scope
from resilience_site.core.pagination import Page, PageOut, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound

router = Router(tags=["healing"])

_ONE = "/healing/opportunities/{uuid:opportunity_id}"


@router.get("/healing/opportunities", auth=ApiAuth(Scope.READ), response=PageOut[OpportunityOut])
def opportunities(request: ApiRequest, query: Query[OpportunityQuery]) -> Page:
    """What workflows could heal, the one that was told last first; the open ones by default."""
    rows = opportunity_list(
        state=query.state, service=query.service, workflow=query.workflow, type_=query.type
    )
    page = keyset_page(
        rows, by=("-last_seen", "-id"), types=(datetime, UUID), cursor=query.cursor,
        limit=query.limit,
    )  # fmt: skip
    runs = _runs(page.items)
    return Page(
        [opportunity_shown(each, runs.get(each.id)) for each in page.items], page.next_cursor
    )


@router.get(_ONE, auth=ApiAuth(Scope.READ), response=OpportunityOut)
def opportunity(request: ApiRequest, opportunity_id: UUID) -> dict[str, Any]:
    """One opportunity with what its guardrails said last."""
    found = opportunity_find(opportunity_id)
    if found is None:
        raise NotFound(f"There is no opportunity {opportunity_id}.")
    return opportunity_shown(found, _runs([found]).get(found.id))


@router.post(f"{_ONE}/start", auth=ApiAuth(Scope.OPERATE), response={201: RunOut})
def start(request: ApiRequest, opportunity_id: UUID, body: WhyIn) -> Status[dict[str, Any]]:
    """Start its workflow, which is your yes to it. Refusals as of `POST healing/runs`."""
    run = opportunity_start(
        opportunity_id=opportunity_id, reason=sent(request, body).get("reason", ""),
        actor=request.auth, role=Role.OPERATOR, now=datetime.now(UTC),
    )  # fmt: skip
    return Status(201, run_shown(run_find(run.id) or run))


@router.post(f"{_ONE}/dismiss", auth=ApiAuth(Scope.OPERATE), response=OpportunityOut)
def dismiss(request: ApiRequest, opportunity_id: UUID, body: WhyIn) -> dict[str, Any]:
    """Let no workflow act on it until its failure is over and comes back."""
    found = opportunity_dismiss(
        opportunity_id=opportunity_id, reason=sent(request, body).get("reason", ""),
        actor=request.auth, role=Role.OPERATOR, now=datetime.now(UTC),
    )  # fmt: skip
    return opportunity_shown(found)


def _runs(rows: list[Opportunity]) -> dict[UUID | None, UUID]:
    """The last run that came of each."""
    found = HealingRun.objects.filter(
        opportunity__in=[each.id for each in rows], refused_by="", dry_run=False
    )
    pairs = found.order_by("created_at", "id").values_list("opportunity_id", "id")
    return dict(pairs)
