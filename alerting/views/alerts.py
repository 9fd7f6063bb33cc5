"""Alerts: what is open by service, what was, and one alert with who was told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_GET

from alerting.choices import AlertSource, Severity
from alerting.domain.pipeline import INCIDENT
from alerting.models import Alert, Channel
from alerting.selectors.alerts import (
    STATES,
    AlertFilter,
    alert_find,
    alert_list,
    deliveries_of,
    groups_of,
    open_counts,
    open_groups,
)
from alerting.selectors.catalogue import strangers
from alerting.selectors.labels import alert_labels
from alerting.selectors.told import Telling, telling, tellings
from alerting.views.fact_words import fact_pairs
from resilience_site.config import config
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Invalid, Problem
from resilience_site.core.screens import bad_question, is_partial, may_operate, topic

ROWS: Final = 50
# Open alerts on one page, and of one service.
MOST_OPEN: Final = 200
MOST_OF_SERVICE: Final = 25
_ANY: Final = "any"
_OWN: Final = (AlertSource.RULE, AlertSource.SITE)
# What narrows, besides the state.
_FILTERS: Final = ("service", "severity", "rule", "q", "suppressed", "group", "incident")
# What is not worth matching in a silence that somebody makes from an alert.
_NOT_MATCHED: Final = ("severity", "source", INCIDENT)


@require_GET
@require_role(Role.VIEWER)
def alerts(request: HttpRequest) -> HttpResponse:
    """Open alerts by service; with another state those of that state, the newest first."""
    cursor = journal.latest_cursor()
    try:
        wanted = _wanted(request.GET)
        shown = _open(wanted) if wanted.state == "open" else _listed(request, wanted)
    except Problem as problem:
        return bad_question(request, problem)
    context = {
        "live_cursor": cursor,
        "wanted": wanted,
        "state": wanted.state or _ANY,
        "states": [*STATES, _ANY],
        "severities": Severity.choices,
        "filtered": any(request.GET.get(name) for name in _FILTERS),
        "counts": open_counts(),
        "delivering": config.proactive_alerting_enabled,
        "channels": Channel.objects.filter(enabled=True).exists(),
        "may_operate": may_operate(request),
        **shown,
    }
    part = "_list" if is_partial(request) else "list"
    return render(request, f"alerting/alerts/{part}.html", context)


@require_GET
@require_role(Role.VIEWER)
def alert(request: HttpRequest, alert_id: UUID) -> HttpResponse:
    """One alert: what its rule saw, where it is told, what was sent, and why not."""
    cursor = journal.latest_cursor()
    found = alert_find(alert_id)
    if found is None:
        raise Http404("There is no such alert; it may be past its retention.")
    groups = groups_of(found)
    deliveries = deliveries_of(found, groups)
    context = {
        "live_cursor": cursor,
        "alert": found,
        "summary": found.annotations.get("summary") or found.rule_name,
        "labels": sorted(alert_labels(found).items()),
        "facts": fact_pairs(found.facts),
        # The site's own rules name services that it knows.
        "stranger": found.source not in _OWN and bool(strangers([found.service])),
        "groups": groups,
        "deliveries": deliveries,
        "telling": telling(found),
        "topics": f"{topic('alerts', str(found.id))} deliveries",
        "silence_query": silence_query(found),
        "may_operate": may_operate(request),
    }
    part = "_detail" if is_partial(request) else "detail"
    return render(request, f"alerting/alerts/{part}.html", context)


def silence_query(alert: Alert) -> str:
    """The matchers of a silence of an alert and no other, as the form of a new one takes them."""
    labels = alert_labels(alert)
    lines = [f"{name}={value}" for name, value in sorted(labels.items())
             if name not in _NOT_MATCHED and value and "\n" not in value]  # fmt: skip
    return urlencode({"matchers": "\n".join(lines), "next": f"/alerts/{alert.id}"})


def _open(wanted: AlertFilter) -> dict[str, Any]:
    groups = open_groups(wanted, most=MOST_OPEN, most_each=MOST_OF_SERVICE)
    told = tellings([each for group in groups for each in group.alerts])
    return {
        "groups": [(group, _told(group.alerts, told)) for group in groups],
        "shown": sum(len(each.alerts) for each in groups),
    }


def _listed(request: HttpRequest, wanted: AlertFilter) -> dict[str, Any]:
    page = alert_list(wanted=wanted, limit=ROWS, cursor=request.GET.get("cursor"))
    rows = _told(page.items, tellings(page.items))
    return {"rows": rows, "next_cursor": page.next_cursor}


def _told(alerts: Sequence[Alert], told: Mapping[UUID, Telling]) -> list[tuple[Alert, Telling]]:
    return [(each, told[each.pk]) for each in alerts]


def _wanted(query: QueryDict) -> AlertFilter:
    """What the address asks for. Raises `Invalid`."""
    incident = query.get("incident", "")
    # Of an incident all is asked, over or not.
    state = query.get("state") or (_ANY if incident else "open")
    if state not in (*STATES, _ANY):
        raise Invalid(f"state is one of {', '.join((*STATES, _ANY))}.")
    group = query.get("group", "")
    if group and not (group.isascii() and group.isdigit() and len(group) < 10):
        raise Invalid("group is a number.")
    return AlertFilter(
        state="" if state == _ANY else state,
        service=_text(query, "service"),
        severity=_text(query, "severity"),
        rule=_text(query, "rule"),
        q=_text(query, "q").strip(),
        suppressed={"yes": True, "no": False}.get(query.get("suppressed", "")),
        group=int(group) if group else None,
        incident=_incident(incident),
    )


def _incident(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Invalid("incident is the id of an incident, as its address has it.") from None


def _text(query: QueryDict, name: str) -> str:
    return query.get(name, "").replace("\0", "")
