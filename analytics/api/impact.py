"""What an error, a pattern or an incident touched."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ninja import Router

from analytics.models import ErrorEvent, ErrorPattern
from analytics.schemas.impact import BudgetOut, ImpactOut
from analytics.selectors import impact as selectors
from analytics.selectors.errors import error_get
from analytics.selectors.patterns import pattern_get
from resilience_site.core.choices import Scope
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound
from resilience_site.core.timerange import parse_range

router = Router(tags=["errors"])


@router.get("/errors/{uuid:error_id}/impact", auth=ApiAuth(Scope.READ), response=ImpactOut)
def error_impact(request: ApiRequest, error_id: UUID) -> dict[str, Any]:
    """What the request of one error touched: its trace, or its correlation id."""
    try:
        error = error_get(error_id)
    except ErrorEvent.DoesNotExist:
        raise NotFound(f"There is no error {error_id}; it may be past its retention.") from None
    return _out(selectors.error_impact(error, datetime.now(UTC)))


@router.get("/patterns/{uuid:pattern_id}/impact", auth=ApiAuth(Scope.READ), response=ImpactOut)
def pattern_impact(
    request: ApiRequest, pattern_id: UUID, since: str | None = None, until: str | None = None
) -> dict[str, Any]:
    """What the errors of a pattern touched in a range; the last 24 hours by default."""
    now = datetime.now(UTC)
    within = parse_range(since, until, now=now, default=selectors.PATTERN_RANGE)
    try:
        pattern = pattern_get(pattern_id)
    except ErrorPattern.DoesNotExist:
        raise NotFound(f"There is no pattern {pattern_id}.") from None
    return _out(selectors.pattern_impact(pattern, within, now))


@router.get("/impact", auth=ApiAuth(Scope.READ), response=ImpactOut)
def window_impact(
    request: ApiRequest, service: str, since: str | None = None, until: str | None = None
) -> dict[str, Any]:
    """What all errors of a service touched in a range, as of an incident; the last 24 hours by
    default."""
    now = datetime.now(UTC)
    within = parse_range(since, until, now=now, default=selectors.PATTERN_RANGE)
    return _out(selectors.window_impact(within, now, service))


def _out(found: selectors.Impact) -> dict[str, Any]:
    same = (
        "service", "errors", "requests", "examined", "approximate", "users", "services", "calls",
        "share_of_traffic", "blast_radius", "served_degraded",
    )  # fmt: skip
    return {
        **{name: getattr(found, name) for name in same},
        "since": found.within.since,
        "until": found.within.until,
        "tiers": list(found.tiers),
        "requests_by_tier": found.tiers,
        "error_budget_spent": found.budget.spent,
        "budget": BudgetOut.from_orm(found.budget),
    }
