"""What one check has seen: its runs, its changes of state, its outages, how available it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from ninja import Query, Router

from health.api.figures import figure_shown, policy_of, reliability_shown, windows_of
from health.api.shown import check_found
from health.schemas import (
    AvailabilityQuery,
    ChangeOut,
    CheckAvailabilityOut,
    OutageOut,
    ResultOut,
    ResultQuery,
)
from health.selectors.availability import checks_availability, checks_reliability
from health.selectors.checks import change_page, outage_page, result_page
from health.selectors.latencies import checks_latencies
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut, PageQuery, RangeQuery
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.timerange import DEFAULT_LENGTH, TimeRange, parse_range

router = Router(tags=["health checks"])

CHANGES_DEFAULT: Final = timedelta(days=30)


@router.get(
    "/health/checks/{uuid:check_id}/results",
    auth=ApiAuth(Scope.READ),
    response=PageOut[ResultOut],
)
def results(request: ApiRequest, check_id: UUID, query: Query[ResultQuery]) -> Page:
    """Runs of a check, the newest first; the last hour by default."""
    return result_page(
        check_found(check_id).id,
        _within(query),
        statuses=query.status.split(","),
        cursor=query.cursor,
        limit=query.limit,
    )


@router.get(
    "/health/checks/{uuid:check_id}/changes",
    auth=ApiAuth(Scope.READ),
    response=PageOut[ChangeOut],
)
def changes(request: ApiRequest, check_id: UUID, query: Query[RangeQuery]) -> Page:
    """Changes of state in effect from a moment of the range, the newest first; the last 30 days by
    default."""
    within = _within(query, CHANGES_DEFAULT)
    return change_page(check_found(check_id).id, within, cursor=query.cursor, limit=query.limit)


@router.get(
    "/health/checks/{uuid:check_id}/outages",
    auth=ApiAuth(Scope.READ),
    response=PageOut[OutageOut],
)
def outages(request: ApiRequest, check_id: UUID, query: Query[PageQuery]) -> Page:
    """Confirmed failures of a check, the newest first; one without an end goes on."""
    return outage_page(check_found(check_id).id, cursor=query.cursor, limit=query.limit)


@router.get(
    "/health/checks/{uuid:check_id}/availability",
    auth=ApiAuth(Scope.READ),
    response=CheckAvailabilityOut,
)
def availability(
    request: ApiRequest, check_id: UUID, query: Query[AvailabilityQuery]
) -> dict[str, Any]:
    """How available a check was, by the seconds of each state, how often it failed and for how
    long, and the percentiles of its latency.

    `good` and `bad` put another policy in place of the usual one: names of columns of `seconds`.
    """
    now, check = datetime.now(UTC), check_found(check_id)
    policy, windows = policy_of(query.good, query.bad), windows_of(query.window)
    figures = checks_availability([check.id], now=now, windows=windows, policy=policy)
    return {
        "id": check.id,
        "name": check.name,
        "policy": {"good": sorted(policy.good), "bad": sorted(policy.bad)},
        "windows": [
            {
                **figure_shown(figure),
                **reliability_shown(kept),
                "seconds": figure.seconds._asdict(),
                "latency": checks_latencies([check.id], now=now, length=window.length)[check.id],
            }
            for window, figure, kept in zip(
                windows, figures[check.id], checks_reliability(figures)[check.id], strict=True
            )
        ],
    }


def _within(query: RangeQuery, default: timedelta = DEFAULT_LENGTH) -> TimeRange:
    return parse_range(query.since, query.until, now=datetime.now(UTC), default=default)
