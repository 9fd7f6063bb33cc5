"""How everything stands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ninja import Query, Router

from health.api.checks import filter_of
from health.api.figures import figure_shown, reliability_shown
from health.api.shown import checks_shown
from health.schemas import HealthOut, HealthQuery
from health.selectors.availability import (
    overall_availability,
    services_availability,
    services_reliability,
)
from health.selectors.checks import check_list, state_counts
from health.selectors.service_health import health
from resilience_site.core.choices import Scope
from resilience_site.core.permissions import ApiAuth, ApiRequest

router = Router(tags=["health"])


@router.get("/health", auth=ApiAuth(Scope.READ), response=HealthOut)
def overview(request: ApiRequest, query: Query[HealthQuery]) -> dict[str, Any]:
    """The state and the score of the whole, its services and its checks, the worst first.

    Filters narrow `checks` alone. `status` and `score` are told by services that have checks.
    """
    now = datetime.now(UTC)
    page = check_list(wanted=filter_of(query), cursor=query.cursor, limit=query.limit)
    found = health(now=now)
    checked = [each for each in found.services if each.checks]
    figures = services_availability([each.name for each in checked], now=now)
    kept = services_reliability(figures)
    return {
        "status": found.state,
        "score": found.score.value,
        "deductions": found.score.deductions,
        "at": now,
        "counts": state_counts(),
        "services": [
            {
                "name": each.name,
                "public_name": each.public_name,
                "criticality": each.criticality,
                "state": each.state,
                "score": each.score.value,
                "deductions": each.score.deductions,
                "checks": len(each.checks),
                "availability": [
                    {**figure_shown(figure), **reliability_shown(reliable)}
                    for figure, reliable in zip(figures[each.name], kept[each.name], strict=True)
                ],
            }
            for each in checked
        ],
        "availability": [
            figure_shown(each) for each in overall_availability(list(figures.values()))
        ],
        "checks": checks_shown(page.items),
        "next_cursor": page.next_cursor,
    }
