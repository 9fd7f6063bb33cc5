"""An incident in the few words that fit into a message: its probable cause, and what it touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from alerting.domain.messages import IncidentTold

# Pieces of evidence beside that of the sentence itself.
_MOST_EVIDENCE: Final = 2
_MOST_SERVICES: Final = 5
_MOST_TEXT: Final = 500
# Failures that a budget allows, below which a handful of them is many times as much.
_SMALL_BUDGET: Final = 10


def incident_brief(
    *, title: str, url: str, over: bool, cause: Mapping[str, Any], impact: Mapping[str, Any]
) -> IncidentTold:
    """An incident as messages tell it, of its `cause` and `impact` as they are kept."""
    # The sentence ends with the strongest evidence.
    others = list(cause.get("evidence", ()))[1:]
    return IncidentTold(
        title=title,
        url=url,
        over=over,
        cause=_short(str(cause.get("text", ""))),
        evidence=tuple(_short(str(each["text"])) for each in others[:_MOST_EVIDENCE]),
        impact=_short(", ".join(_impact(impact))) if impact else "",
    )


def cause_words(incident: IncidentTold) -> str:
    """The probable cause with its evidence, or that it is not known."""
    if not incident.cause:
        return "none was found" if incident.over else "not known yet; the incident's page will say"
    if not incident.evidence:
        return incident.cause
    return f"{incident.cause} Also: {'; '.join(incident.evidence)}."


def incident_pairs(incident: IncidentTold) -> Iterator[tuple[str, str]]:
    """What to say of an incident, each with its name."""
    yield "Probable cause", cause_words(incident)
    if incident.impact:
        yield "Impact", incident.impact


def _impact(impact: Mapping[str, Any]) -> Iterator[str]:
    """The figures that are known."""
    least = "at least " if impact.get("approximate") else ""
    lost, service = impact.get("requests_lost"), str(impact.get("service", ""))
    if lost is not None:
        yield f"{least}{lost:,} requests of {service} lost"
    users = impact.get("users")
    if users is not None:
        yield f"{least}{users:,} user{'s'[: users != 1]}"
    if services := _named(impact.get("services") or ()):
        yield f"failures in {services}"
    if impact.get("error_budget_spent") is not None:
        yield from _spent(impact, service)


def _spent(impact: Mapping[str, Any], service: str) -> Iterator[str]:
    """How much of the error budget is gone."""
    spent = (impact.get("words") or {}).get("spent")
    budget = impact.get("budget") or {}
    days, allowed, calls = budget.get("days"), budget.get("allowed"), budget.get("calls")
    over = f" of {days} days" if days else ""
    if not spent:
        return
    whole = spent.removesuffix(" the budget")
    few = allowed is not None and allowed < _SMALL_BUDGET and budget.get("unit") == "calls"
    if whole != spent and few:
        # How many times it went says more of how young the service is than of the failures.
        yield f"all of the error budget{over} of {service} spent, which is small: {calls:,} calls yet"
    else:
        share = f"{whole} the" if whole != spent else f"{spent} of the"
        yield f"{share} error budget{over} of {service} spent"


def _named(services: Sequence[str]) -> str:
    more = len(services) - _MOST_SERVICES
    named = ", ".join(services[:_MOST_SERVICES])
    return f"{named} and {more:,} more" if more > 0 else named


def _short(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 1]}…"
