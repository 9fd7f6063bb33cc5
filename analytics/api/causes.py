"""Where an incident began."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ninja import Router

from analytics.schemas.causes import RootCauseOut
from analytics.selectors import causes as selectors
from resilience_site.core.choices import Scope
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.timerange import TimeRange, parse_instant, parse_range

router = Router(tags=["causes"])


def baseline_asked(
    since: str | None, until: str | None, within: TimeRange, *, now: datetime
) -> TimeRange:
    """The normal window of two optional parameters: the hour before the range, where not named.

    Raises `Invalid` as `parse_range` does.
    """
    otherwise = selectors.baseline_of(within)
    end = parse_instant(until, now, "query.baseline_until") if until else otherwise.until
    return parse_range(
        since, end.isoformat(), now=now, default=selectors.BASELINE, longest=selectors.LONGEST
    )


@router.get("/root-cause", auth=ApiAuth(Scope.READ), response=RootCauseOut)
def root_cause(
    request: ApiRequest,
    since: str | None = None,
    until: str | None = None,
    baseline_since: str | None = None,
    baseline_until: str | None = None,
) -> dict[str, Any]:
    """The services that the last hour's trouble may have begun in, best first, with evidence; both
    windows may be up to 7 days long."""
    now = datetime.now(UTC)
    within = parse_range(since, until, now=now, longest=selectors.LONGEST)
    baseline = baseline_asked(baseline_since, baseline_until, within, now=now)
    found = selectors.root_cause(within, baseline)
    return {
        "since": found.within.since,
        "until": found.within.until,
        "baseline_since": found.baseline.since,
        "baseline_until": found.baseline.until,
        "items": [
            {
                "service": suspect.service,
                "score": suspect.score,
                "evidence": [each._asdict() for each in suspect.evidence],
            }
            for suspect in found.items
        ],
        "missing": found.missing,
        "folded": found.folded,
        "traces": found.traces,
        "baseline_traces": found.baseline_traces,
    }
