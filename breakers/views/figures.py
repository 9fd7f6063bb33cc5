"""Retries, fallbacks and bulkheads: what protected the services, in figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from breakers.choices import PolicySubject
from breakers.domain import words
from breakers.domain.keys import breaker_key
from breakers.domain.policy import BULKHEADS
from breakers.domain.settings import settings_words
from breakers.selectors.bins import total
from breakers.selectors.bulkheads import BulkheadFigures, breach_list, bulkhead_figures
from breakers.selectors.fallbacks import FallbackFigures, fallback_figures
from breakers.selectors.keys import breaker_keys
from breakers.selectors.policies import policies_in_force
from breakers.selectors.retries import BUDGET_SECONDS, Budget, RetryFigures, retry_figures
from breakers.views.common import bad_question, first_steps, is_partial, topic
from health.selectors import service_list
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.formatting import compact, percent, three_digits, window
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.timerange import TimeRange, parse_range

DEFAULT_RANGE = timedelta(hours=1)
BREACHES_SHOWN = 50
# What a budget of a fifth of the calls lets through in the long run.
AMPLIFIED = 1.2
FULL, NEARLY_FULL = 1.0, 0.8

Count = tuple[str, int]


def chosen_range(request: HttpRequest, now: datetime) -> TimeRange:
    """The range of the page's address. Raises `Problem` for a text that is no time."""
    return parse_range(
        request.GET.get("since"), request.GET.get("until"), now=now, default=DEFAULT_RANGE
    )


@dataclass(frozen=True)
class Amplification:
    """Attempts per call in words, and what it rests on; `text` is empty where it is not known."""

    text: str
    basis: str
    tone: str


@dataclass(frozen=True)
class RetryRow:
    key: str
    figures: RetryFigures
    failures: list[Count]
    kinds: list[Count]
    amplification: Amplification


@require_GET
@require_role(Role.VIEWER)
def retries(request: HttpRequest) -> HttpResponse:
    """What was tried again, what it brought, and how much of that is still allowed."""
    cursor, now = journal.latest_cursor(), datetime.now(UTC)
    service = request.GET.get("service", "")
    try:
        within = chosen_range(request, now)
    except Problem as problem:
        return bad_question(request, problem)
    figures = retry_figures(within, now=now, service=service)
    context = {
        **_shared(request, cursor, within, service, figures),
        "topics": topic("retries", service) if service else "retries",
        "rows": [_retry_row(each) for each in figures],
        "retried": sum(each.retried for each in figures),
        "succeeded": sum(each.succeeded for each in figures),
        "refused": sum(each.refused for each in figures),
        "ended": sum(each.ended for each in figures),
        "trend": _together(each.trend for each in figures),
        "amplification": _amplification(_all_budgets(figures)),
    }
    return render(request, f"breakers/{_part(request, 'retries')}.html", context)


def _retry_row(figures: RetryFigures) -> RetryRow:
    ends = figures.by_outcome.items()
    return RetryRow(
        breaker_key(figures.service, figures.dependency),
        figures,
        [(words.word(words.RETRY_OUTCOMES, name), n) for name, n in ends if name != "succeeded"],
        _worded(words.CLASSIFICATIONS, figures.by_classification),
        _amplification(figures.budget),
    )


def _all_budgets(figures: Sequence[RetryFigures]) -> Budget:
    budgets = [each.budget for each in figures if each.budget]
    return Budget(
        calls=total(each.calls for each in budgets),
        retries=total(each.retries for each in budgets),
        left=total(each.left for each in budgets),
        instances=max((each.instances for each in budgets), default=0),
        silent=max((each.silent for each in budgets), default=0),
    )


def _amplification(budget: Budget | None) -> Amplification:
    named = window(BUDGET_SECONDS)
    if budget is None or budget.amplification is None:
        return Amplification("", f"no calls were told, {named}", "")
    calls, attempts = budget.calls or 0, (budget.calls or 0) + (budget.retries or 0)
    return Amplification(
        f"{three_digits(budget.amplification)}×",
        f"{compact(attempts)} attempts for {compact(calls)} calls, {named}",
        "warn" if budget.amplification > AMPLIFIED else "",
    )


@dataclass(frozen=True)
class FallbackRow:
    key: str
    figures: FallbackFigures
    sources: list[Count]


@require_GET
@require_role(Role.VIEWER)
def fallbacks(request: HttpRequest) -> HttpResponse:
    """What was served in place of answers that failed, and how old it was."""
    cursor, now = journal.latest_cursor(), datetime.now(UTC)
    service = request.GET.get("service", "")
    try:
        within = chosen_range(request, now)
    except Problem as problem:
        return bad_question(request, problem)
    figures = fallback_figures(within, service=service)
    # A share of all is one only where every part has its calls.
    shared = [each for each in figures if each.calls is not None]
    aged = [each for each in figures if each.age_mean is not None]
    known = sum(each.aged for each in aged)
    weighed = sum((each.age_mean or 0) * each.aged for each in aged)
    context = {
        **_shared(request, cursor, within, service, figures),
        "topics": topic("fallbacks", service) if service else "fallbacks",
        "rows": [
            FallbackRow(
                breaker_key(each.service, each.dependency),
                each,
                [(words.source_words(of.source), of.served) for of in each.sources],
            )
            for each in figures
        ],
        "served": sum(each.served for each in figures),
        "rate": sum(each.rate for each in figures),
        "shared": sum(each.served for each in shared),
        "calls": sum(each.calls or 0 for each in shared),
        "age_mean": weighed / known if known else None,
        "age_max": max((each.age_max for each in aged if each.age_max is not None), default=None),
        "age_basis": f"{known:,} answers of known age, {window(within.length.total_seconds())}",
        "trend": _together(each.trend for each in figures),
    }
    return render(request, f"breakers/{_part(request, 'fallbacks')}.html", context)


@dataclass(frozen=True)
class BulkheadRow:
    """`used` is the share of slots in use in percent, for the drawing; None where not known.
    `tuned` is what the site gives, in words."""

    key: str
    figures: BulkheadFigures
    used: float | None
    tone: str
    tiers: list[Count]
    reasons: list[Count]
    place: str
    tuned: str


@require_GET
@require_role(Role.VIEWER)
def bulkheads(request: HttpRequest) -> HttpResponse:
    """How full bulkheads are now, whom they rejected, and where they did not isolate."""
    cursor, now = journal.latest_cursor(), datetime.now(UTC)
    service = request.GET.get("service", "")
    try:
        within = chosen_range(request, now)
    except Problem as problem:
        return bad_question(request, problem)
    figures = bulkhead_figures(within, now=now, service=service)
    breaches = breach_list(within, service=service)[:BREACHES_SHOWN]
    given = policies_in_force(PolicySubject.BULKHEAD, service)
    context = {
        **_shared(request, cursor, within, service, figures),
        "topics": topic("bulkheads", service) if service else "bulkheads",
        "rows": [_bulkhead_row(each, given.get((each.service, each.name))) for each in figures],
        **_use(figures),
        "rejected": sum(each.rejected for each in figures),
        "breached": sum(each.breaches for each in figures),
        "breaches_note": f"newest first, {window(within.length.total_seconds())}",
        "breaches": [
            (
                breach,
                words.word(words.BREACHES, breach.kind),
                words.word(words.MITIGATIONS, breach.mitigation),
            )
            for breach in breaches
        ],
        "trend": _together(each.trend for each in figures),
    }
    return render(request, f"breakers/{_part(request, 'bulkheads')}.html", context)


def _use(figures: Sequence[BulkheadFigures]) -> dict[str, Any]:
    """The use of all bulkheads together, in words."""
    active, limit = total(f.active for f in figures), total(f.limit for f in figures)
    live = {(f.service, of.instance) for f in figures for of in f.instances if not of.silent}
    told = f"{len(live)} instance{'s'[: len(live) != 1]}, now"
    return {
        "in_use": None if active is None or not limit else percent(active, limit),
        "in_use_basis": f"{active or 0:,} of {limit or 0:,} slots, {told}",
        "queued": total(f.queued for f in figures),
        "queued_basis": f"calls, {told}",
    }


def _bulkhead_row(figures: BulkheadFigures, given: Mapping[str, Any] | None) -> BulkheadRow:
    use = figures.use
    tone = ""
    if use is not None:
        tone = "bad" if use >= FULL else "warn" if use >= NEARLY_FULL else ""
    return BulkheadRow(
        breaker_key(figures.service, figures.name),
        figures,
        None if use is None else round(use * 100, 1),
        tone,
        [(name or "no tier", count) for name, count in figures.rejected_by_tier.items()],
        _worded(words.REJECTIONS, figures.rejected_by_reason),
        f"{figures.service}/{figures.name}",
        settings_words(given or {}, BULKHEADS),
    )


def _shared(
    request: HttpRequest, cursor: int, within: TimeRange, service: str, figures: Sequence[object]
) -> dict[str, Any]:
    seconds = within.length.total_seconds()
    return {
        "live_cursor": cursor,
        "service": service,
        "services": [] if is_partial(request) else [each.name for each in service_list()],
        "breakers": breaker_keys(),
        "seconds": seconds,
        "named_window": window(seconds),
        **first_steps(figures),
    }


def _part(request: HttpRequest, name: str) -> str:
    return f"_{name}" if is_partial(request) else name


def _worded(known: dict[str, str], counts: Mapping[str, int]) -> list[Count]:
    return [(words.word(known, code), count) for code, count in counts.items()]


def _together(trends: Iterable[Sequence[float | None]]) -> list[float]:
    return [sum(value or 0 for value in values) for values in zip(*trends, strict=False)]
