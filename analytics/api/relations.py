"""Which pattern of errors precedes which."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ninja import Router

from analytics.models import ErrorPattern
from analytics.schemas.relations import PatternShortOut, RelatedOut, RelationOut, RelationsOut
from analytics.selectors import relations as selectors
from analytics.selectors.patterns import pattern_get
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound
from resilience_site.core.timerange import parse_range

DEFAULT_RANGE = timedelta(hours=24)

router = Router(tags=["errors"])


@router.get("/relations", auth=ApiAuth(Scope.READ), response=RelationsOut)
def relation_map(
    request: ApiRequest, service: str = "", since: str | None = None, until: str | None = None
) -> dict[str, Any]:
    """The relationship map: patterns with errors in the range (the last 24 hours by default), and
    which of them precede which."""
    within = parse_range(since, until, now=datetime.now(UTC), default=DEFAULT_RANGE)
    found = selectors.relation_map(service)
    return {
        "since": within.since,
        "until": within.until,
        "patterns": [
            {
                **_short(pattern),
                "count": count,
                "first_seen": pattern.first_seen,
                "last_seen": pattern.last_seen,
            }
            for pattern, count in selectors.patterns_seen(within, service)
        ],
        "relations": [RelationOut.from_orm(each.relation) for each in found.relations],
        "left_out": found.left_out,
    }


@router.get(
    "/patterns/{uuid:pattern_id}/related", auth=ApiAuth(Scope.READ), response=PageOut[RelatedOut]
)
def pattern_related(request: ApiRequest, pattern_id: UUID) -> Page:
    """The patterns that come before or after one, surest first."""
    try:
        shown = pattern_get(pattern_id).merged_into or pattern_id
    except ErrorPattern.DoesNotExist:
        raise NotFound(f"There is no pattern {pattern_id}.") from None
    items = [_related(each, shown) for each in selectors.pattern_related(shown)]
    return Page(items, None)


def _related(found: selectors.Related, pattern_id: UUID) -> dict[str, Any]:
    comes_after = found.before.id == pattern_id
    return {
        **RelationOut.from_orm(found.relation).model_dump(),
        "order": "after" if comes_after else "before",
        "pattern": _short(found.after if comes_after else found.before),
    }


def _short(pattern: ErrorPattern) -> dict[str, Any]:
    return {name: getattr(pattern, name) for name in PatternShortOut.model_fields}
