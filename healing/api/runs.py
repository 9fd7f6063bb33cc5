"""Runs: those there are, starting one by hand, and what people do to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from ninja import Query, Router, Status

from healing.api.shown import run_shown
from healing.domain.definition import definition_of
from healing.models import HealingRun, Workflow
from healing.schemas.runs import RunIn, RunOut, RunQuery, VerifiedOut, WhyIn, WordIn
from healing.selectors.runs import run_find, run_list
from healing.services.recovery_orchestrator import (
    run_approve,
    run_cancel,
    run_refuse,
    run_rollback,
    run_start,
    run_verify,
)
from healing.services.subjects import subject_by_hand
from health.api.shown import sent
from resilience_site.core.choices import Role, Scope
from resilience_site.core.formatting import printable
from resilience_site.core.pagination import Page, PageOut, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import Invalid, NotFound
from resilience_site.core.timerange import parse_range

router = Router(tags=["healing"])

DEFAULT_RANGE: Final = timedelta(days=30)
_ONE: Final = "/healing/runs/{uuid:run_id}"
# A key of scope operate acts as an operator does.
_ROLE: Final = Role.OPERATOR


@router.get("/healing/runs", auth=ApiAuth(Scope.READ), response=PageOut[RunOut])
def runs(request: ApiRequest, query: Query[RunQuery]) -> Page:
    """Runs that were created in a range, the newest first; the last 30 days by default."""
    within = parse_range(query.since, query.until, now=datetime.now(UTC), default=DEFAULT_RANGE)
    rows = run_list(
        state=query.state, workflow=query.workflow, service=query.service, target=query.target,
        trigger=query.trigger, dry_run=query.dry_run, refused=query.refused,
        since=within.since, until=within.until,
    )  # fmt: skip
    page = keyset_page(
        rows, by=("-created_at", "-id"), types=(datetime, UUID), cursor=query.cursor,
        limit=query.limit,
    )  # fmt: skip
    return Page([run_shown(each) for each in page.items], page.next_cursor)


@router.post("/healing/runs", auth=ApiAuth(Scope.OPERATE), response={201: RunOut})
def run_post(request: ApiRequest, body: RunIn) -> Status[dict[str, Any]]:
    """Start a workflow by hand, which is your yes to it unless `mode` is `approve`.

    A `dry_run` (or the mode `observe`) asks each step for its exact effect on the real target and
    changes nothing. Where a guardrail refuses: 409 with `guardrail`, `reason` and the `run` that
    keeps all verdicts.
    """
    given, now = sent(request, body), datetime.now(UTC)
    workflow = _workflow(given.get("workflow"))
    run = run_start(
        workflow=workflow,
        subject=subject_by_hand(definition_of(workflow.definition), given.get("target")),
        actor=request.auth,
        role=_ROLE,
        reason=given.get("reason", ""),
        mode=given.get("mode"),
        dry_run=_truth(given.get("dry_run", False)),
        now=now,
    )
    return Status(201, _shown(run.id))


@router.get(_ONE, auth=ApiAuth(Scope.READ), response=RunOut)
def run(request: ApiRequest, run_id: UUID) -> dict[str, Any]:
    """One run with its steps and what its guardrails said."""
    return _shown(run_id)


@router.post(f"{_ONE}/approve", auth=ApiAuth(Scope.OPERATE), response=RunOut)
def approve(request: ApiRequest, run_id: UUID, body: WordIn | None = None) -> dict[str, Any]:
    """Say yes to a run that waits for it. Guardrails are judged again before its first act."""
    return _acted(request, run_approve, run_id, body)


@router.post(f"{_ONE}/refuse", auth=ApiAuth(Scope.OPERATE), response=RunOut)
def refuse(request: ApiRequest, run_id: UUID, body: WhyIn | None = None) -> dict[str, Any]:
    """Say no to a run that waits for approval."""
    return _acted(request, run_refuse, run_id, body)


@router.post(f"{_ONE}/cancel", auth=ApiAuth(Scope.OPERATE), response=RunOut)
def cancel(request: ApiRequest, run_id: UUID, body: WhyIn | None = None) -> dict[str, Any]:
    """End a run after the step that is being done; what it did stays."""
    return _acted(request, run_cancel, run_id, body)


@router.post(f"{_ONE}/rollback", auth=ApiAuth(Scope.OPERATE), response=RunOut)
def rollback(request: ApiRequest, run_id: UUID, body: WhyIn | None = None) -> dict[str, Any]:
    """Undo what a run did, in reverse order; the answer may come before that is done."""
    return _acted(request, run_rollback, run_id, body)


@router.post(f"{_ONE}/verify", auth=ApiAuth(Scope.OPERATE), response=VerifiedOut)
def verify(request: ApiRequest, run_id: UUID, body: WordIn | None = None) -> dict[str, Any]:
    """Whether what the run was for is well now; its checks are run anew."""
    found = _acted(request, run_verify, run_id, body)
    return {
        "verified": found["evidence"].get("verified", {}).get("well") is True,
        "evidence": found["evidence"],
        "run": found,
    }


def _acted(
    request: ApiRequest, act: Any, run_id: UUID, body: WhyIn | WordIn | None
) -> dict[str, Any]:
    reason = sent(request, body).get("reason", "") if body is not None else ""
    act(run_id=run_id, reason=reason, actor=request.auth, role=_ROLE)
    return _shown(run_id)


def _shown(run_id: UUID) -> dict[str, Any]:
    found: HealingRun | None = run_find(run_id)
    if found is None:
        raise NotFound(f"There is no healing run {run_id}.")
    return run_shown(found)


def _workflow(name: Any) -> Workflow:
    if not isinstance(name, str) or not name:
        raise Invalid.field("body.workflow", "Name the workflow to run.")
    names = Workflow.objects.order_by("name").values_list("name", flat=True)
    found = Workflow.objects.filter(name=name).first() if "\0" not in name else None
    if found is None:
        raise NotFound(f"There is no workflow {printable(name[:100])}.", allowed=list(names[:200]))
    return found


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Invalid.field("body.dry_run", "dry_run is true or false.")
    return value
