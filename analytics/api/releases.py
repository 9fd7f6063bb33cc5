"""Versions of services, and what came with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ninja import Query, Router

from analytics.schemas.releases import ReleaseQuery, ReleasesOut
from analytics.selectors.releases import AROUND, release_effects
from resilience_site.core.choices import Scope
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.timerange import parse_range

DEFAULT_RANGE = timedelta(days=7)

router = Router(tags=["releases"])


@router.get("/releases", auth=ApiAuth(Scope.READ), response=ReleasesOut)
def release_list(request: ApiRequest, query: Query[ReleaseQuery]) -> dict[str, Any]:
    """Versions that appeared, newest first, the last 7 days by default: errors of entry calls in
    the `window_seconds` before and after, whether they differ by more than chance (`change`), and
    error patterns first seen while it was the newest version."""
    within = parse_range(query.since, query.until, now=datetime.now(UTC), default=DEFAULT_RANGE)
    return {
        "items": release_effects(within, query.service),
        "window_seconds": int(AROUND.total_seconds()),
    }
