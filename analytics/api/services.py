"""Services, and who calls whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ninja import Query, Router

from analytics.schemas.services import MapOut, ServiceOut
from analytics.selectors.rollups import Figures, edge_list, service_figures
from health.selectors import service_list as catalogue
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut, RangeQuery, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.timerange import parse_range

DEFAULT_RANGE = timedelta(hours=1)
_NAMES = ("calls", "errors", "rate", "error_ratio", "p50_ms", "p95_ms", "p99_ms")

router = Router(tags=["services"])


def _figures_out(figures: Figures) -> dict[str, Any]:
    return {"window_seconds": figures.seconds, **{n: getattr(figures, n) for n in _NAMES}}


@router.get("/services", auth=ApiAuth(Scope.READ), response=PageOut[ServiceOut])
def service_list(request: ApiRequest, query: Query[RangeQuery]) -> Page:
    """The catalogue by name, each service with its calls of the last hour by default."""
    within = parse_range(query.since, query.until, now=datetime.now(UTC), default=DEFAULT_RANGE)
    page = keyset_page(
        catalogue(), by=("name",), types=(str,), cursor=query.cursor, limit=query.limit
    )
    figures = service_figures(within)
    silent = Figures(within.length.total_seconds(), 0, 0, None, None, None, None, None)
    names = [name for name in ServiceOut.model_fields if name != "figures"]
    items = [
        {
            **{name: getattr(service, name) for name in names},
            "figures": _figures_out(figures.get(service.name, silent)),
        }
        for service in page.items
    ]
    return Page(items, page.next_cursor)


@router.get("/services/map", auth=ApiAuth(Scope.READ), response=MapOut)
def service_map(
    request: ApiRequest, since: str | None = None, until: str | None = None
) -> dict[str, Any]:
    """Who calls whom, with rate, error ratio and latency; the last hour by default."""
    within = parse_range(since, until, now=datetime.now(UTC), default=DEFAULT_RANGE)
    edges = [
        {"caller": edge.caller, "callee": edge.callee, **_figures_out(edge.figures)}
        for edge in edge_list(within)
    ]
    return {"since": within.since, "until": within.until, "edges": edges}
