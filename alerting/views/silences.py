"""Silences: those that hold, those to come and those that were; making one with a preview."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from alerting.domain.matchers import MatcherError, matchers_read, matchers_stored, matchers_text
from alerting.models import Silence
from alerting.selectors.silences import silence_find, silence_hits, silence_list, silence_state
from alerting.services.silences import (
    LONGEST,
    silence_create,
    silence_end,
    silence_matchers,
    silence_times,
)
from alerting.views.numbers import whole_number
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.formatting import exact
from resilience_site.core.permissions import actor_of, require_role
from resilience_site.core.problems import Problem
from resilience_site.core.screens import (
    acting_only,
    back_to,
    form_answer,
    is_partial,
    may_operate,
    reason_given,
    tried,
)

METHODS: Final = ["GET", "HEAD", "POST"]
OVER_SHOWN: Final = 50
# What stands in place of a length where the end is a moment.
UNTIL: Final = "until"
LENGTHS: Final = (
    ("1800", "30 minutes"),
    ("3600", "1 hour"),
    ("14400", "4 hours"),
    ("28800", "8 hours"),
    ("86400", "1 day"),
    ("604800", "1 week"),
    (str(int(LONGEST.total_seconds())), "30 days"),
    (UNTIL, "Until a time"),
)
_MOST_GIVEN: Final = 5_000
_MOST_TIME: Final = 40


@require_GET
@require_role(Role.VIEWER)
def silences(request: HttpRequest) -> HttpResponse:
    """All silences that are not over, and the last ones that are."""
    cursor, now = journal.latest_cursor(), datetime.now(UTC)
    over = silence_list("over", now)[:OVER_SHOWN]
    context = {
        "live_cursor": cursor,
        "active": _rows(silence_list("active", now), now),
        "pending": _rows(silence_list("pending", now), now),
        "over": _rows(over, now),
        "may_operate": may_operate(request),
    }
    part = "_list" if is_partial(request) else "list"
    return render(request, f"alerting/silences/{part}.html", context)


@never_cache
@require_http_methods(METHODS)
@acting_only("silence.create", "silence")
def silence_new(request: HttpRequest) -> HttpResponse:
    """The form of a new silence, filled in by the address; a POST makes it, or previews it."""
    sent = request.POST if request.method == "POST" else request.GET
    matchers = sent.get("matchers", "").replace("\0", "")[:_MOST_GIVEN]
    now = datetime.now(UTC)
    previewing = sent.get("act") == "preview" or request.method != "POST"
    context: dict[str, Any] = {
        "title": "New silence",
        "next": back_to(request, reverse("alert-silences")),
        "matchers": matchers,
        "lengths": LENGTHS,
        "most_days": LONGEST.days,
        "ends_in": sent.get("ends_in", "3600"),
        "starts_at": _text(sent.get("starts_at", "")),
        "ends_at": _text(sent.get("ends_at", "")),
        "reason": reason_given(request),
    }
    problem: Problem | None = None
    try:
        if not previewing:
            made = silence_create(
                matchers=matchers,
                **_times(context),
                reason=context["reason"],
                actor=actor_of(request),
                now=now,
            )
            begins = f"begins {exact(made.starts_at)}" if made.starts_at > now else "holds"
            messages.info(request, f"The silence {begins}. What it holds stays on the screens.")
            return redirect(context["next"])
        if matchers:
            context["hits"] = silence_hits(silence_matchers(matchers), now)
            if request.method == "POST":
                context["span"] = silence_times(**_times(context), now=now)
    except Problem as refused:
        problem = refused
        context["hits"] = _hits_of(matchers, now)
    return form_answer(request, context, problem, "alerting/silences/new.html")


@never_cache
@require_http_methods(METHODS)
@acting_only("silence.end", "silence")
def silence_stop(request: HttpRequest, silence_id: UUID) -> HttpResponse:
    """The question whether to end a silence now; a POST does."""
    silence = silence_find(silence_id)
    if silence is None:
        raise Http404("There is no such silence.")
    now = datetime.now(UTC)

    def end() -> Silence:
        return silence_end(
            silence_id=silence_id, reason=reason_given(request), actor=actor_of(request), now=now
        )

    done, _, problem = tried(request, end)
    if done:
        messages.info(request, "The silence has ended. What it held is told, if it still fires.")
        return redirect(back_to(request, reverse("alert-silences")))
    matchers = matchers_stored(silence.matchers)
    context = {
        "form": "alerting/silences/_end_form.html",
        "title": "End the silence now",
        "next": back_to(request, reverse("alert-silences")),
        "silence": silence,
        "matchers": matchers_text(matchers),
        "hits": silence_hits(matchers, now),
        "reason": reason_given(request),
    }
    return form_answer(request, context, problem)


def _rows(silences: Any, now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "silence": each,
            "matchers": matchers_text(matchers_stored(each.matchers)),
            "state": silence_state(each, now),
        }
        for each in silences
    ]


def _times(form: Mapping[str, Any]) -> dict[str, Any]:
    """When the silence of a form begins and ends, for the service to refuse what is no time."""
    starts_at = _moment(form["starts_at"]) if form["starts_at"] else None
    if form["ends_in"] == UNTIL:
        return {"starts_at": starts_at, "ends_at": _moment(form["ends_at"]), "ends_in": None}
    return {"starts_at": starts_at, "ends_at": None, "ends_in": whole_number(form["ends_in"])}


def _moment(text: str) -> datetime | str:
    """A time, in UTC where it names no zone, or what was written in its place."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(sent: str) -> str:
    return sent.replace("\0", "").strip()[:_MOST_TIME]


def _hits_of(matchers: str, now: datetime) -> Any:
    """What would be hit, where at least the matchers can be read."""
    try:
        return silence_hits(matchers_read(matchers), now)
    except MatcherError:
        return None
