"""The limits of names, and what came beyond them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ninja import Router

from analytics.domain.name_limits import NAME_LIMITS
from analytics.schemas.limits import LimitsOut
from analytics.selectors.name_limits import folded_list, most_of
from resilience_site.core.choices import Scope
from resilience_site.core.permissions import ApiAuth, ApiRequest

router = Router(tags=["limits"])


@router.get("/limits", auth=ApiAuth(Scope.READ), response=LimitsOut)
def limit_list(request: ApiRequest, service: str = "") -> dict[str, Any]:
    """How many names that senders give are kept apart, and what came beyond, newest first; of one
    service or of all, at most 500 rows."""
    return {
        "items": [
            {
                "service": row.service,
                "kind": row.kind,
                "most": row.most,
                "kept_as": row.limit.kept_as,
                "items": row.items,
                "of": row.limit.items,
                "example": row.example,
                "first_at": row.first_at,
                "last_at": row.last_at,
                "now": row.now,
                "advice": row.advice,
            }
            for row in folded_list(now=datetime.now(UTC), service=service)
        ],
        "limits": [
            {
                "kind": limit.kind,
                "what": limit.what,
                "most": most_of(limit.kind),
                "variable": limit.variable,
                "kept_as": limit.kept_as,
                "effect": limit.effect,
            }
            for limit in NAME_LIMITS.values()
        ],
    }
