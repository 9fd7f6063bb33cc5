"""What the overview says of open incidents."""

from __future__ import annotations

from typing import Any, Final

from alerting.domain.incidents import SEVERITIES
from alerting.models import Incident
from alerting.selectors.incidents import active_incidents
from resilience_site.pages.verdict import Verdict

SHOWN: Final = 5
# More than these are said to be more than these.
_MOST: Final = 100


def with_incidents(known: Verdict) -> dict[str, Any]:
    """The verdict, which begins with the incident that is most urgent, and the open incidents; one
    query."""
    rows = active_incidents().filter(merged_into=None).order_by("-started_at", "-id")[:_MOST]
    found = sorted(rows, key=lambda each: SEVERITIES.index(each.severity))
    shown = {"incidents": found[:SHOWN], "incidents_open": len(found)}
    return {"verdict": incident_verdict(known, found), **shown}


def incident_verdict(known: Verdict, found: list[Incident]) -> Verdict:
    """What is known otherwise, behind the incidents that are open."""
    if not found:
        return known
    first = found[0]
    paged = first.severity == "page"
    count = f"{len(found)}{'+' if len(found) >= _MOST else ''}"
    sentence = (
        f"An incident is open: {first.title}"
        if len(found) == 1
        else f"{count} incidents are open, the most urgent: {first.title}"
    )
    bad = paged or known.tone == "bad"
    return Verdict(
        "bad" if bad else "warn",
        "fire" if paged else known.icon if bad else "exclamation-triangle",
        sentence,
        f"{known.sentence}: {known.detail}",
    )
