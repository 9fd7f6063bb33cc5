"""What the overview says of open incidents."""

from __future__ import annotations

from typing import Any, Final

from alerting.models import Incident
from alerting.selectors.incidents import active_incidents
from resilience_site.pages.verdict import Verdict

SHOWN: Final = 5
# More than these are said to be more than these.
_MOST: Final = 100


def with_incidents(known: Verdict) -> dict[str, Any]:
    """The verdict, which begins with the incident that is most urgent of those that anybody is told
    of, and the open incidents; one query."""
    found = list(active_incidents()[:_MOST])
    shown = {"incidents": found[:SHOWN], "incidents_open": len(found)}
    return {"verdict": incident_verdict(known, found), **shown}


def incident_verdict(known: Verdict, found: list[Incident]) -> Verdict:
    """What is known otherwise, behind the incidents that are open."""
    if not found:
        return known
    first = found[0]
    heard: bool = first.heard  # type: ignore[attr-defined]
    paged = first.severity == "page" and heard
    bad = paged or known.tone == "bad"
    return Verdict(
        "bad" if bad else "warn",
        "fire" if paged else known.icon if bad else "exclamation-triangle",
        _sentence(first.title, len(found), heard=heard),
        f"{known.sentence}: {known.detail}",
    )


def _sentence(first: str, count: int, *, heard: bool) -> str:
    """How many are open, and which comes first: if nobody is told of that, of none is anybody."""
    if count == 1:
        return f"An incident is open{'' if heard else ' of which nobody is told'}: {first}"
    counted = f"{count}{'+' if count >= _MOST else ''} incidents are open"
    if heard:
        return f"{counted}, the most urgent: {first}"
    return f"{counted}, and nobody is told of them; the most urgent: {first}"
