"""What holds healing back, and what its runs have taught."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from ninja import Query, Router

from healing.models import HealingSwitch, Quarantine
from healing.schemas.runs import WhyIn
from healing.schemas.workflows import (
    LearnedOut,
    QuarantineOut,
    QuarantineQuery,
    SwitchIn,
    SwitchOut,
)
from healing.selectors.learning import success_list, suggestions, times_by_workflow
from healing.selectors.switches import quarantine_list, stopped_at, switch_list
from healing.services.quarantine import quarantine_release
from healing.services.switches import switch_set
from health.api.shown import sent
from resilience_site.core.choices import Role, Scope
from resilience_site.core.pagination import Page, PageOut, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.versions import if_match, set_version

router = Router(tags=["healing"])

_QUARANTINE = (
    "id", "target", "target_kind", "service", "reason", "since", "ended_at", "ended_by",
    "ended_reason",
)  # fmt: skip
_SWITCH = (
    "group", "stopped_by_site", "reason", "actor", "changed_at", "expires_at", "version",
)  # fmt: skip
_UNTOUCHED = {
    "group": "", "stopped": False, "stopped_by_site": False, "reason": "", "actor": "",
    "changed_at": None, "expires_at": None, "version": 0,
}  # fmt: skip


@router.get("/healing/switch", auth=ApiAuth(Scope.READ), response=PageOut[SwitchOut])
def switches(request: ApiRequest) -> Page:
    """The kill switches: first that of all healing, then those of groups."""
    now = datetime.now(UTC)
    found = [_switch(each, now) for each in switch_list()]
    if not any(each["group"] == "" for each in found):
        found.insert(0, _UNTOUCHED)
    return Page(found, None)


@router.put("/healing/switch", auth=ApiAuth(Scope.OPERATE), response=SwitchOut)
def switch_put(request: ApiRequest, response: HttpResponse, body: SwitchIn) -> dict[str, Any]:
    """Stop all healing, or that of a group, or let it go on."""
    given, now = sent(request, body), datetime.now(UTC)
    row = switch_set(
        stopped=given.get("stopped"), reason=given.get("reason", ""),
        group=given.get("group") or "", expires_in=given.get("expires_in"),
        if_match=if_match(request), actor=request.auth, role=Role.OPERATOR, now=now,
    )  # fmt: skip
    set_version(response, row.version)
    return _switch(row, now)


@router.get("/healing/quarantine", auth=ApiAuth(Scope.READ), response=PageOut[QuarantineOut])
def quarantine(request: ApiRequest, query: Query[QuarantineQuery]) -> Page:
    """Targets that no workflow touches, the newest first; with `ended`, those that were."""
    page = keyset_page(
        quarantine_list(ended=query.ended), by=("-since", "-id"), types=(datetime, UUID),
        cursor=query.cursor, limit=query.limit,
    )  # fmt: skip
    return Page([_quarantine(each) for each in page.items], page.next_cursor)


@router.post(
    "/healing/quarantine/{uuid:quarantine_id}/release",
    auth=ApiAuth(Scope.OPERATE),
    response=QuarantineOut,
)
def release(request: ApiRequest, quarantine_id: UUID, body: WhyIn) -> dict[str, Any]:
    """Let workflows heal the target again, with a new budget."""
    row = quarantine_release(
        quarantine_id=quarantine_id, reason=sent(request, body).get("reason", ""),
        actor=request.auth, role=Role.OPERATOR,
    )  # fmt: skip
    return _quarantine(row)


@router.get("/healing/success", auth=ApiAuth(Scope.READ), response=LearnedOut)
def success(request: ApiRequest) -> dict[str, Any]:
    """What the runs of the last 90 days have taught."""
    now = datetime.now(UTC)
    return {
        "items": [
            {
                "workflow": each.workflow, "target_kind": each.target_kind,
                "trigger_kind": each.trigger_kind, "runs": each.tries.runs,
                "healed": each.tries.healed, "failed_again": each.failed_again,
                "rate": each.tries.rate, "lower": each.tries.lower,
            }
            for each in success_list(now=now)
        ],
        "times": list(times_by_workflow(now=now).values()),
        "suggestions": [
            {
                "workflow": name, "from_mode": each.from_mode, "to_mode": each.to_mode,
                "at": each.at, "why": each.why,
            }
            for name, each in suggestions(now=now).items()
        ],
    }  # fmt: skip


def _switch(row: HealingSwitch, now: datetime) -> dict[str, Any]:
    return {**{name: getattr(row, name) for name in _SWITCH}, "stopped": stopped_at(row, now)}


def _quarantine(row: Quarantine) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _QUARANTINE}
