"""The overview: one sentence first, then the figures that it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from analytics.selectors import errors as error_selectors
from analytics.selectors import rollups
from analytics.selectors.ingest_status import IngestStatus, ingest_status
from analytics.selectors.rollups import Figures
from analytics.views import bad_question, page_range, severity_word, with_trend
from health.selectors import service_list
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.timerange import TimeRange, parse_range

# The verdict speaks of the present, whatever range the page shows.
VERDICT_WINDOW = timedelta(minutes=5)
FAILING_RATIO = 0.05
MINIMUM_CALLS = 10
LAG_SECONDS = 30.0
_NEWEST = 8


@dataclass(frozen=True)
class Verdict:
    """The first sentence of the overview; `tone` is ok, warn, bad or idle."""

    tone: str
    icon: str
    sentence: str
    detail: str


def verdict(figures: dict[str, Figures], errors: int, ingest: IngestStatus) -> Verdict:
    """What to know first, from the last five minutes."""
    failing = sorted(
        (
            (f.error_ratio or 0.0, name)
            for name, f in figures.items()
            if f.calls >= MINIMUM_CALLS and (f.error_ratio or 0.0) > FAILING_RATIO
        ),
        reverse=True,
    )
    window = "last 5 min"
    if ingest.oldest_age > LAG_SECONDS:
        lag = f"The site is {ingest.oldest_age:.0f} s behind with what it received"
        return Verdict("warn", "clock", lag, "what is shown may be late")
    if failing:
        worst = figures[failing[0][1]]
        return Verdict(
            "bad",
            "x-circle",
            f"{len(failing)} of {len(figures)} services {'has' if len(failing) == 1 else 'have'} "
            f"more than {FAILING_RATIO:.0%} errors",
            f"worst: {failing[0][1]}, {failing[0][0]:.1%} ({worst.errors}/{worst.calls}, {window})",
        )
    if not figures and not errors:
        return Verdict("idle", "moon", "Nothing was received", window)
    calls = sum(f.calls for f in figures.values())
    detail = f"{errors} errors, {calls} calls, {window}"
    return Verdict("ok", "check-circle", f"All {len(figures)} services work", detail)


def service_rows(
    within: TimeRange, figures: dict[str, Figures]
) -> list[tuple[Any, Figures | None, str]]:
    """Services with their figures and state word, most failing first."""
    rows = [(s, figures.get(s.name), state_of(figures.get(s.name))) for s in service_list()]
    return sorted(
        rows, key=lambda row: (-((row[1].error_ratio or 0) if row[1] else -1), row[0].name)
    )


def state_of(figures: Figures | None) -> str:
    """The word for a service by its share of errors."""
    if figures is None or figures.calls == 0:
        return "quiet"
    if figures.calls < MINIMUM_CALLS:
        return "unknown"
    ratio = figures.error_ratio or 0.0
    return "failing" if ratio > FAILING_RATIO else "degraded" if ratio > 0 else "healthy"


@require_GET
@require_role(Role.VIEWER)
def overview(request: HttpRequest) -> HttpResponse:
    """The first screen."""
    cursor = journal.latest_cursor()
    now = datetime.now(UTC)
    try:
        within = parse_range(
            request.GET.get("since"), request.GET.get("until"), now=now, default=timedelta(hours=1)
        )
        listed = page_range(request, now)
    except Problem as problem:
        return bad_question(request, problem)
    recent = TimeRange(now - VERDICT_WINDOW, now)
    figures = rollups.service_figures(within)
    ingest = ingest_status(now=now)
    newest = error_selectors.error_list(
        wanted=error_selectors.ErrorFilter(), within=listed, limit=_NEWEST
    )
    patterns = error_selectors.pattern_list(within=listed, limit=_NEWEST)
    step = rollups.step_for(within)
    points = rollups.call_series(within, step=step)
    errors_now = sum(rollups.error_totals(recent).values())
    services = service_rows(within, figures)
    context = {
        "live_cursor": cursor,
        "verdict": verdict(rollups.service_figures(recent), errors_now, ingest),
        "services": services,
        "rows": [(error, severity_word(error.severity)) for error in newest.items],
        "patterns": with_trend(patterns.items, now),
        "points": points[-30:],
        "calls": sum(f.calls for f in figures.values()),
        "failed": sum(f.errors for f in figures.values()),
        "seconds": within.length.total_seconds(),
        "ingest": ingest,
        "counts": ingest.windows[5],
        "stored_5": sum(c.stored for c in ingest.windows[5].values()),
        "rejected_5": sum(c.rejected_total for c in ingest.windows[5].values()),
        "errors_in_range": sum(rollups.error_totals(within).values()),
        "query": request.GET.urlencode(),
        "nothing_yet": not services,
        "tables_src": f"{request.path}?{_with_part(request)}",
    }
    if not getattr(request, "htmx", False):
        return render(request, "pages/overview.html", context)
    part = "_overview_tables" if request.GET.get("part") == "tables" else "_overview"
    return render(request, f"pages/{part}.html", context)


def _with_part(request: HttpRequest) -> str:
    query = request.GET.copy()
    query["part"] = "tables"
    return query.urlencode()


@require_GET
@require_role(Role.VIEWER)
def site_health(request: HttpRequest) -> HttpResponse:
    """The footer's line about the site's own ingest."""
    ingest = ingest_status(now=datetime.now(UTC))
    return render(
        request,
        "pages/_site_health.html",
        {
            "ingest": ingest,
            "accepted": sum(c.accepted for c in ingest.windows[5].values()),
            "stored": sum(c.stored for c in ingest.windows[5].values()),
            "rejected": sum(c.rejected_total for c in ingest.windows[5].values()),
        },
    )
