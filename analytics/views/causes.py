"""Root cause: the services that an incident may have begun in, ranked, with the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from analytics.domain.causes.incident import CALLERS_BREAKER, Suspect
from analytics.selectors import causes as selectors
from analytics.views.common import bad_question, first_steps
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.timerange import parse_range

_WORDS = {
    "errors": "Failures",
    "missing_steps": "Missing steps",
    "call_gap": "Waiting for it",
    "self_time": "Own time",
    "resource": "Resource",
    "loss": "Lost along the calls",
    "stored_errors": "Stored errors",
    "release": "Release",
    "config": "Setting",
    "restart": "Restart",
    "health": "Health",
    "breaker": "Breaker",
    CALLERS_BREAKER: "Breaker of a caller",
}


@dataclass(frozen=True)
class Reason:
    """An evidence as shown: its kind as a word."""

    word: str
    text: str
    link: str


@dataclass(frozen=True)
class Ranked:
    """A suspect as shown: its place, its score in percent."""

    place: int
    percent: int
    service: str
    reasons: list[Reason]


def _ranked(place: int, suspect: Suspect) -> Ranked:
    reasons = [
        Reason(_WORDS.get(each.kind, each.kind), each.text, each.link) for each in suspect.evidence
    ]
    return Ranked(place, round(100 * suspect.score), suspect.service, reasons)


@require_GET
@require_role(Role.VIEWER)
def root_cause(request: HttpRequest) -> HttpResponse:
    """The ranking for the range of the address, beside the hour before it or the one named."""
    now = datetime.now(UTC)
    cursor = journal.latest_cursor()
    try:
        within = parse_range(
            request.GET.get("since"), request.GET.get("until"), now=now, longest=selectors.LONGEST
        )
        until = request.GET.get("baseline_until") or selectors.baseline_of(within).until.isoformat()
        baseline = parse_range(
            request.GET.get("baseline_since"), until, now=now, default=selectors.BASELINE,
            longest=selectors.LONGEST,
        )  # fmt: skip
        found = selectors.root_cause(within, baseline)
    except Problem as problem:
        return bad_question(request, problem)
    context = {
        "live_cursor": cursor,
        "found": found,
        "rows": [_ranked(place, suspect) for place, suspect in enumerate(found.items, 1)],
        "window_seconds": within.length.total_seconds(),
        "baseline_seconds": baseline.length.total_seconds(),
        **first_steps(found.items),
    }
    return render(request, "analytics/root_cause.html", context)
