"""Forms that decide about a pattern: resolve, ignore, reopen, merge and part."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from analytics.models import ErrorPattern
from analytics.selectors import patterns
from analytics.selectors.pattern_releases import versions_known
from analytics.services.pattern_decisions import Terms, pattern_decide
from analytics.services.pattern_merges import pattern_merge, pattern_unmerge
from resilience_site.core.permissions import actor_of
from resilience_site.core.problems import Invalid, Problem
from resilience_site.core.screens import acting_only, back_to, form_answer, reason_given, tried

METHODS: Final = ["GET", "HEAD", "POST"]
IGNORED_FOR: Final = (
    (3_600, "1 hour"), (86_400, "1 day"), (604_800, "1 week"), (2_592_000, "30 days"),
)  # fmt: skip
# Patterns that a form offers to put one into, last seen first.
_CANDIDATES: Final = 100
_VERSIONS: Final = 12
_TITLES: Final = {
    "resolve": "Resolve this pattern",
    "ignore": "Ignore this pattern",
    "reopen": "Reopen this pattern",
    "merge": "Show it as part of another pattern",
    "unmerge": "Part this pattern again",
}


@never_cache
@require_http_methods(METHODS)
@acting_only("pattern.decide", "pattern")
def pattern_decision(request: HttpRequest, pattern_id: UUID, decision: str) -> HttpResponse:
    """The form of a decision about a pattern; a POST takes it, with a reason for the audit trail."""
    if decision not in _TITLES:
        raise Http404("A pattern is resolved, ignored, reopened, merged or parted.")
    try:
        pattern = patterns.pattern_get(pattern_id)
    except ErrorPattern.DoesNotExist:
        raise Http404("There is no such pattern.") from None
    done, shown, problem = tried(request, lambda: _ACTS[decision](request, pattern))
    if done:
        assert shown is not None
        messages.success(request, _said(decision, shown))
        home = reverse("pattern", args=[shown.id])
        return redirect(home if decision == "merge" else back_to(request, home))
    return form_answer(request, _form(request, pattern, decision, problem), problem)


def _decide(decision: str) -> Callable[[HttpRequest, ErrorPattern], ErrorPattern]:
    def act(request: HttpRequest, pattern: ErrorPattern) -> ErrorPattern:
        return pattern_decide(
            pattern_id=pattern.id, decision=decision, actor=actor_of(request),
            reason=reason_given(request)[:1_000], now=datetime.now(UTC),
            terms=_terms(request, decision),
        )  # fmt: skip

    return act


def _terms(request: HttpRequest, decision: str) -> Terms:
    if decision == "resolve":
        return Terms(in_version=request.POST.get("in_version", "").replace("\0", "").strip()[:200])
    if decision == "ignore":
        seconds = _number(request, "for")
        return Terms(
            ignore_for=None if seconds is None else timedelta(seconds=seconds),
            until_count=_number(request, "until_count"),
            until_escalating="until_escalating" in request.POST,
        )
    return Terms()


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.POST.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 13):
        raise Invalid.field(f"body.{name}", "Give a whole number.")
    return int(text)


def _merge(request: HttpRequest, pattern: ErrorPattern) -> ErrorPattern:
    try:
        into = UUID(request.POST.get("into", ""))
    except ValueError:
        raise Invalid.field("body.into", "Choose the pattern that it belongs to.") from None
    return pattern_merge(
        pattern_id=pattern.id, into_id=into, actor=actor_of(request),
        reason=reason_given(request)[:1_000], now=datetime.now(UTC),
    )  # fmt: skip


def _unmerge(request: HttpRequest, pattern: ErrorPattern) -> ErrorPattern:
    return pattern_unmerge(
        pattern_id=pattern.id, actor=actor_of(request), reason=reason_given(request)[:1_000],
        now=datetime.now(UTC),
    )  # fmt: skip


_ACTS: Final = {
    **{decision: _decide(decision) for decision in ("resolve", "ignore", "reopen")},
    "merge": _merge,
    "unmerge": _unmerge,
}


def _said(decision: str, shown: ErrorPattern) -> str:
    if decision == "merge":
        return "The patterns are shown as one now."
    if decision == "unmerge":
        return "The pattern stands by itself again."
    return f"The pattern is {shown.get_state_display()} now."


def _form(
    request: HttpRequest, pattern: ErrorPattern, decision: str, problem: Problem | None
) -> dict[str, Any]:
    context: dict[str, Any] = {
        "form": f"analytics/_{decision}_form.html",
        "title": _TITLES[decision],
        "decision": decision,
        "pattern": pattern,
        "next": back_to(request, reverse("pattern", args=[pattern.id])),
        "reason": reason_given(request),
        "given": request.POST,
    }
    if decision == "resolve":
        known = versions_known(pattern.service, [pattern.id])
        context["versions"] = sorted(known, key=lambda name: known[name], reverse=True)[:_VERSIONS]
    if decision == "ignore":
        context["lengths"] = IGNORED_FOR
    if decision == "merge":
        others = patterns.pattern_list(
            wanted=patterns.PatternFilter(service=pattern.service), limit=_CANDIDATES + 1
        ).items
        shown = [each for each in others if each.id != pattern.id]
        context |= {"candidates": shown[:_CANDIDATES], "cut": len(shown) > _CANDIDATES}
    return context
