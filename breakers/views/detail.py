"""One breaker: what it does and why, what its instances do, what people decided about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from breakers.domain.rules import closing_rule, opening_rules
from breakers.models import Breaker, BreakerTransition, Override
from breakers.selectors.breaker_view import BreakerView, InstanceView
from breakers.selectors.breakers import breaker_get
from breakers.selectors.outcomes import outcomes_last
from breakers.selectors.overrides import override_list
from breakers.selectors.policies import policy_list
from breakers.selectors.transitions import transition_latest, transition_list
from breakers.views.common import (
    bad_question,
    breaker_topics,
    is_partial,
    may_operate,
    topic,
)
from breakers.views.settings import policy_panel
from breakers.views.tiles import applied_text, held, tile
from breakers.views.verdict import verdict
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.querystrings import query_with
from resilience_site.core.timerange import TimeRange, parse_range

# What the range picker says without a choice.
DEFAULT_RANGE = timedelta(hours=1)
TRANSITIONS_SHOWN = 10
_HISTORY_SHOWN = 10
_CLOCKS_AHEAD = timedelta(minutes=10)
# What is pulled by itself, and its template.
_PARTS = {
    "head": "_detail_head",
    "body": "_detail_body",
    "instances": "_instances",
    "outcomes": "_outcomes",
}


@require_GET
@require_role(Role.VIEWER)
def breaker_detail(request: HttpRequest, key: str) -> HttpResponse:
    """Everything about one breaker, over the range of the page where it is history.

    Its head, its body, its instances and its last outcomes are pulled apart from each other: a row
    under the keyboard holds back the tables alone, and new figures alone do not pull the history.
    """
    cursor, now = journal.latest_cursor(), datetime.now(UTC)
    part = request.GET.get("part", "") if is_partial(request) else ""
    try:
        view = breaker_get(key, now)
        context: dict[str, Any] = {
            "live_cursor": cursor,
            "breaker": view,
            "may_operate": may_operate(request),
            "topics": breaker_topics(view.service, key),
            "body_topics": f"{topic('breakers', key)} {topic('control', view.service)}",
            "calls_topic": topic("calls", view.service),
            **{f"{each}_src": _src(request, each) for each in _PARTS},
        }
        if part in ("", "head"):
            context |= _head(view)
        if part in ("", "body"):
            context |= _body(request, view, now)
        if part in ("", "instances"):
            context |= _instances(view)
        if part in ("", "outcomes"):
            context["outcomes"] = outcomes_last(view.service, view.name, now)
    except Breaker.DoesNotExist:
        raise Http404("There is no such breaker.") from None
    except Problem as problem:
        return bad_question(request, problem)
    return render(request, f"breakers/{_PARTS.get(part, 'breaker_detail')}.html", context)


def _src(request: HttpRequest, part: str) -> str:
    return request.path + query_with(request.GET, part=part, cursor=request.GET.get("cursor"))


def _head(view: BreakerView) -> dict[str, Any]:
    return {
        "tile": tile(view),
        "failed_tone": "bad" if view.failures and view.failure_rate is not None else "",
        "verdict": verdict(view),
        "holding": [held(each) for each in view.overrides],
    }


def _instances(view: BreakerView) -> dict[str, Any]:
    return {
        "instances": [(each, _applied(view, each)) for each in view.instances],
        "applied_note": _applied_note(view),
    }


def _body(request: HttpRequest, view: BreakerView, now: datetime) -> dict[str, Any]:
    """Raises `Problem` for a range or a cursor that is none."""
    within = parse_range(
        request.GET.get("since"), request.GET.get("until"), now=now, default=DEFAULT_RANGE
    )
    page = transition_list(
        service=view.service,
        name=view.name,
        within=_listed(request, within, now),
        limit=TRANSITIONS_SHOWN,
        cursor=request.GET.get("cursor"),
    )
    overrides = override_list(
        service=view.service, name=view.name, domains=view.domains, limit=_HISTORY_SHOWN
    )
    changes = policy_list(service=view.service, name=view.name, limit=_HISTORY_SHOWN)
    given = changes.items[0].policy if changes.items else {}
    question = query_with(request.GET, key=view.key, part=None)
    return {
        "rules": opening_rules(view.policy),
        "closing": closing_rule(view.policy),
        "tripped": _tripped(view, page.items),
        "transitions": page.items,
        "next_cursor": page.next_cursor,
        **policy_panel(view, given, changes.items),
        "rollback_src": reverse("breaker-policy-rollback", args=[view.key]),
        "overrides": [_ended(row, now) for row in overrides.items],
        "chart_src": f"/charts/breaker.json{question}",
        "chart_rows": reverse("breaker-chart-rows") + question,
    }


def _listed(request: HttpRequest, within: TimeRange, now: datetime) -> TimeRange:
    # Clocks of services may be a little ahead of ours.
    return within if request.GET.get("until") else TimeRange(within.since, now + _CLOCKS_AHEAD)


def _tripped(view: BreakerView, shown: list[BreakerTransition]) -> BreakerTransition | None:
    """The transition that opened it last; it may be older than the range of the page."""
    found = next((each for each in shown if each.to_state == "open"), None)
    return found or transition_latest(view.service, view.name, "open")


def _applied(view: BreakerView, instance: InstanceView) -> str:
    """Which control document an instance works by."""
    if instance.applied_version is None:
        return "never asked for it"
    if not view.version:
        return "nothing is decided"
    if view.has_applied(instance):
        return f"version {view.version} applied"
    return f"version {instance.applied_version}, not yet {view.version}"


def _applied_note(view: BreakerView) -> str:
    silent = len(view.instances) - len(view.live)
    apart = f", {silent} silent" if silent else ""
    if not view.version:
        return f"{len(view.live)} report{apart}"
    return f"version {view.version} {applied_text(*view.applied())}{apart}"


def _ended(row: Override, now: datetime) -> tuple[Override, str]:
    """An override with the word for how it ended."""
    if row.ended_at is not None:
        return row, str(row.get_ending_display()).lower() or "ended"
    over = row.expires_at is not None and row.expires_at <= now
    return row, "expired" if over else "in force"
