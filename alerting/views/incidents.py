"""Incidents: those that are open, those that were, and one of them with its timeline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from alerting.choices import EntryKind, IncidentState
from alerting.domain.impact_text import impact_words
from alerting.domain.incident_text import post_mortem_markdown, summary_markdown
from alerting.selectors.incident_accounts import incident_account
from alerting.selectors.incident_page import IncidentView, alerts_fire, incident_view
from alerting.selectors.incidents import BY_URGENCY, incident_list, with_urgency
from alerting.selectors.told import tellings
from resilience_site.config import config
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.formatting import percent, plural
from resilience_site.core.pagination import keyset_page
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.querystrings import PLACE_OF_OPEN, query_with
from resilience_site.core.screens import bad_question, is_partial, may_operate, topic

MOST_OPEN: Final = 100
PAST: Final = 30
# Alerts of one incident that stand there at once; the others would push its timeline out of sight.
UNFOLDED: Final = 6
# The filter of the timeline, each with the kinds that it shows.
GROUPS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "alerts": ("Alerts", (EntryKind.ALERT, EntryKind.DELIVERY)),
    "errors": ("Errors", (EntryKind.ERRORS, EntryKind.ANOMALY, EntryKind.PREDICTION)),
    "breakers": ("Breakers and checks", (EntryKind.TRANSITION, EntryKind.CHECK)),
    "changes": (
        "Changes",
        (EntryKind.RELEASE, EntryKind.OVERRIDE, EntryKind.DEGRADED, EntryKind.MAINTENANCE),
    ),
    "people": ("People and healing", (EntryKind.NOTE, EntryKind.STATE, EntryKind.HEALING)),
}
TEXTS: Final = {
    "summary": ("As Markdown", summary_markdown),
    "post-mortem": ("Draft of a post-mortem", post_mortem_markdown),
}
# The shape and the tone of each kind of line; the word is that of the kind.
LOOKS: Final[dict[str, tuple[str, str]]] = {
    EntryKind.ALERT: ("bell-alert", "bad"),
    EntryKind.ERRORS: ("exclamation-circle", "bad"),
    EntryKind.TRANSITION: ("bolt", "warn"),
    EntryKind.CHECK: ("heart", "warn"),
    EntryKind.HEALING: ("wrench", "ok"),
    EntryKind.OVERRIDE: ("adjustments-horizontal", ""),
    EntryKind.DEGRADED: ("megaphone", "warn"),
    EntryKind.RELEASE: ("rocket-launch", "warn"),
    EntryKind.ANOMALY: ("chart-bar", "warn"),
    EntryKind.PREDICTION: ("light-bulb", ""),
    EntryKind.MAINTENANCE: ("wrench-screwdriver", ""),
    EntryKind.DELIVERY: ("paper-airplane", ""),
    EntryKind.STATE: ("flag", "ok"),
    EntryKind.NOTE: ("chat-bubble-left", ""),
}


@require_GET
@require_role(Role.VIEWER)
def incidents(request: HttpRequest) -> HttpResponse:
    """Open incidents first, the most urgent of them first, then those that are over."""
    cursor = journal.latest_cursor()
    q, severity = request.GET.get("q", "").strip(), request.GET.get("severity", "")
    service = request.GET.get("service", "").strip()
    chosen = {"q": q, "severity": severity, "service": service}
    try:
        active = keyset_page(
            with_urgency(incident_list(state="active", **chosen)),
            by=BY_URGENCY,
            types=(int, datetime, UUID),
            cursor=request.GET.get(PLACE_OF_OPEN),
            limit=MOST_OPEN,
        )
        past = keyset_page(
            incident_list(state=IncidentState.RESOLVED, **chosen),
            by=("-started_at", "-id"),
            types=(datetime, UUID),
            cursor=request.GET.get("cursor"),
            limit=PAST,
        )
    except Problem as problem:
        return bad_question(request, problem)
    context = {
        "live_cursor": cursor,
        "now": datetime.now(UTC),
        "active": active,
        "beyond": bool(active.next_cursor or request.GET.get(PLACE_OF_OPEN)),
        "past": past,
        "filtered": any(chosen.values()),
        **chosen,
    }
    part = "_list" if is_partial(request) else "list"
    return render(request, f"alerting/incidents/{part}.html", context)


@require_GET
@require_role(Role.VIEWER)
def incident(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """One incident: how it stands, why, whom it touches, what to do, and what happened."""
    cursor = journal.latest_cursor()
    group = request.GET.get("kind", "")
    _, kinds = GROUPS.get(group, ("", ()))
    view = view_or_404(incident_id, kinds)
    if view.incident.id != incident_id:
        return redirect("incident", view.incident.id)
    oldest_first = request.GET.get("order") == "oldest"
    told = tellings(view.alerts)
    alerts = [(each, f"/alerts/{each.id}", told[each.pk]) for each in view.alerts]
    context: dict[str, Any] = {
        "live_cursor": cursor,
        "view": view,
        "incident": view.incident,
        "strangers": view.strangers,
        "alerts": alerts[:UNFOLDED],
        "more_alerts": alerts[UNFOLDED:],
        "lines": [
            (each, EntryKind(each.kind).label, *LOOKS[each.kind])
            for each in (view.lines if oldest_first else view.lines[::-1])
        ],
        "oldest_first": oldest_first,
        "groups": [
            (name, label, query_with(request.GET, kind=name), name == group)
            for name, (label, _) in GROUPS.items()
        ],
        "group": group if kinds else "",
        "every_kind": query_with(request.GET, kind=None),
        "other_order": query_with(request.GET, order=None if oldest_first else "oldest"),
        "may_operate": may_operate(request),
        "delivering": config.proactive_alerting_enabled,
        "topic": topic("incidents", str(view.incident.id)),
        **_notes(view),
    }
    part = "_body" if is_partial(request) else "detail"
    return render(request, f"alerting/incidents/{part}.html", context)


@require_GET
@require_role(Role.VIEWER)
def incident_text(request: HttpRequest, incident_id: UUID, form: str) -> HttpResponse:
    """An incident as Markdown to copy: its summary, or the draft of a post-mortem."""
    account = incident_account(incident_id, now=datetime.now(UTC))
    if account is None or form not in TEXTS:
        raise Http404("There is no such text.")
    title, made = TEXTS[form]
    context = {
        "live_cursor": None,
        "title": title,
        "incident_id": incident_id,
        "account": account,
        "text": made(account),
    }
    return render(request, "alerting/incidents/text.html", context)


def _notes(view: IncidentView) -> dict[str, Any]:
    """What stands beside the heads of the panels: what each number is of."""
    found, impact = view.incident, view.incident.impact
    words = impact_words(impact)
    confidence = found.cause.get("confidence")
    return {
        "cause_note": "from checks, chains and figures of when its alerts began",
        "cause_percent": percent(confidence, 1) if confidence is not None else "n/a",
        "impact_note": f"errors of {impact['service']}, {words['window']}" if impact else "",
        "impact_words": words,
        "alerts_note": alerts_fire(found),
        "timeline_note": f"{plural(len(view.lines), 'line')}, times in UTC",
    }


def view_or_404(incident_id: UUID, kinds: tuple[str, ...] = ()) -> IncidentView:
    """Raises `Http404`."""
    found = incident_view(incident_id, now=datetime.now(UTC), kinds=kinds)
    if found is None:
        raise Http404("There is no such incident.")
    return found
