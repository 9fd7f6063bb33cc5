"""The error report: what failed in a range, for reading, printing and passing on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from analytics.selectors.report import Report, error_times, report_read
from analytics.selectors.rollups import step_for
from analytics.selectors.series import steps
from analytics.views.common import bad_question, chosen_range, first_steps, is_partial
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.formatting import machine, percent, window
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem

_BARS = 48


@require_GET
@require_role(Role.VIEWER)
def report(request: HttpRequest) -> HttpResponse:
    """The report of the chosen range, the last hour by default."""
    cursor = journal.latest_cursor()
    try:
        within = chosen_range(request, datetime.now(UTC))
    except Problem as problem:
        return bad_question(request, problem)
    found = report_read(within)
    step = step_for(found.within, _BARS)
    counts = dict(error_times(found.within, step))
    bars = [counts.get(at, 0) for at in steps(found.within, step)]
    context = {
        "live_cursor": cursor,
        "report": found,
        "services": [
            (line, "" if line.availability is None else percent(line.availability, 1))
            for line in found.services
        ],
        "seconds": within.length.total_seconds(),
        "bars": bars,
        **first_steps(found.services),
        **_words(found, window(within.length.total_seconds())),
    }
    part = "_report" if is_partial(request) else "report"
    return render(request, f"analytics/{part}.html", context)


def _words(found: Report, named: str) -> dict[str, Any]:
    question = _range(found)
    predicted = sum(found.predictions.values())
    settled = sum(found.predictions.get(each, 0) for each in ("hit", "miss"))
    return {
        "errors_basis": f"{named}; {found.errors_before:,} in the time before",
        "errors_tone": "bad" if found.errors else "",
        "errors_href": f"{reverse('errors')}?{question}",
        "patterns_basis": f"with errors, {named}; {found.patterns_new:,} of them new",
        "patterns_href": f"{reverse('patterns')}?{question}",
        "foreseen_basis": f"begun in the {named}; {predicted:,} failure{'' if predicted == 1 else 's'} predicted, "
        f"{found.predictions.get('hit', 0)} of {settled} settled came true",
        "top_note": f"the {len(found.patterns)} with most errors of {found.patterns_seen}",
        "range_query": question,
        "json_href": f"{reverse('api:report')}?{question}",
    }


def _range(found: Report) -> str:
    return urlencode({"since": machine(found.within.since), "until": machine(found.within.until)})
