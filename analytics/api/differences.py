"""What changed: attributes that explain the failures of a window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ninja import Query, Router

from analytics.schemas.differences import DifferenceOut, DifferenceQuery
from analytics.selectors.differences import BASELINE, FailureFilter, difference
from resilience_site.core.choices import Scope
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.timerange import TimeRange, parse_range

DEFAULT_RANGE = timedelta(hours=1)

router = Router(tags=["what changed"])


def ranges_asked(
    since: str | None,
    until: str | None,
    baseline_since: str | None,
    baseline_until: str | None,
    now: datetime,
) -> tuple[TimeRange, TimeRange]:
    """The window (the last hour by default) and its baseline (by default the hour before it).
    Raises `Invalid` for texts that are no times."""
    within = parse_range(since, until, now=now, default=DEFAULT_RANGE)
    end = baseline_until or within.since.isoformat()
    return within, parse_range(baseline_since, end, now=now, default=BASELINE)


@router.get("/what-changed", auth=ApiAuth(Scope.READ), response=DifferenceOut)
def what_changed(request: ApiRequest, query: Query[DifferenceQuery]) -> dict[str, Any]:
    """The sets of attributes that tell the failures of a window from its baseline, best first.

    Failed entry calls of spans are set against all; with `type` or `pattern`, or where no spans
    hold failures, error events against others. Leading sets are causes that do not overlap.
    """
    within, baseline = ranges_asked(
        query.since, query.until, query.baseline_since, query.baseline_until, datetime.now(UTC)
    )
    found = difference(within, baseline, FailureFilter(query.service, query.type, query.pattern))
    return {
        "since": within.since,
        "until": within.until,
        "baseline_since": baseline.since,
        "baseline_until": baseline.until,
        "source": found.source,
        "failed": found.failed,
        "total": found.total,
        "failed_before": found.failed_before,
        "total_before": found.total_before,
        "sampled": found.cut,
        "missing": found.missing,
        "left_out": [{"name": name, "reason": reason} for name, reason in found.left_out],
        "items": found.sets,
    }
