"""The error report as JSON: the same figures as the page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ninja import Router

from analytics.schemas.report import ReportOut
from analytics.selectors.report import PatternLine, Report, ServiceLine, report_read
from resilience_site.core.choices import Scope
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.timerange import parse_range

router = Router(tags=["report"])


@router.get("/report", auth=ApiAuth(Scope.READ), response=ReportOut)
def report(
    request: ApiRequest, since: str | None = None, until: str | None = None
) -> dict[str, Any]:
    """What failed in a range and how it compares with the range before; the last hour by
    default."""
    within = parse_range(since, until, now=datetime.now(UTC))
    return report_out(report_read(within))


def report_out(found: Report) -> dict[str, Any]:
    """A report in the words of the API."""
    return {
        "since": found.within.since,
        "until": found.within.until,
        "before_since": found.before.since,
        "window_seconds": found.within.length.total_seconds(),
        "errors": found.errors,
        "errors_before": found.errors_before,
        "calls": found.calls,
        "failed_calls": found.failed_calls,
        "patterns": found.patterns_seen,
        "patterns_new": found.patterns_new,
        "anomalies": found.anomalies,
        "predictions": found.predictions,
        "services": [_service(line) for line in found.services],
        "types": found.types,
        "top_patterns": [_pattern(line) for line in found.patterns],
        "causes": found.causes,
        "releases": found.releases,
    }


def _service(line: ServiceLine) -> dict[str, Any]:
    figures, repairs = line.figures, line.reliability
    return {
        "service": line.service,
        "errors": line.errors,
        "before": line.before,
        "calls": figures.calls if figures else None,
        "failed_calls": figures.errors if figures else None,
        "error_rate": figures.error_ratio if figures else None,
        "p95_ms": figures.p95_ms if figures else None,
        "availability": line.availability,
        "mttr_seconds": repairs.mttr if repairs else None,
        "mtbf_seconds": repairs.mtbf if repairs else None,
    }


def _pattern(line: PatternLine) -> dict[str, Any]:
    names = ("id", "service", "type", "template", "state", "count", "first_seen", "last_seen")
    return {name: getattr(line.pattern, name) for name in names} | {"errors": line.errors}
