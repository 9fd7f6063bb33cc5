"""What changed: the attributes that the failures of a window share, and what was released."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from analytics.choices import NameKind
from analytics.selectors.differences import (
    BASELINE,
    ChangedSet,
    Difference,
    FailureFilter,
    difference,
)
from analytics.selectors.name_limits import most_of
from analytics.selectors.releases import AROUND, ReleaseEffect, release_effects
from analytics.views.common import bad_question, chosen_range
from health.selectors import service_list
from resilience_site.core.choices import Role
from resilience_site.core.formatting import percent
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Invalid, Problem
from resilience_site.core.timerange import TimeRange, parse_range

_FILTERS = ("service", "type", "pattern")


@dataclass(frozen=True)
class Shown:
    """A set as it is drawn: its shares of all failures in percent, its rates in words."""

    found: ChangedSet
    share: int
    share_before: int | None
    rate: str
    rate_before: str
    chance: str
    links: tuple[tuple[str, str], ...]


@require_GET
@require_role(Role.VIEWER)
def what_changed(request: HttpRequest) -> HttpResponse:
    """The window and filters stand in the address; the baseline is the hour before by default."""
    now = datetime.now(UTC)
    try:
        within = chosen_range(request, now)
        baseline = parse_range(
            request.GET.get("baseline_since"),
            request.GET.get("baseline_until") or within.since.isoformat(),
            now=now,
            default=BASELINE,
        )
        wanted = FailureFilter(
            service=request.GET.get("service", ""),
            type=request.GET.get("type", ""),
            pattern=_pattern(request.GET.get("pattern", "")),
        )
        found = difference(within, baseline, wanted)
    except Problem as problem:
        return bad_question(request, problem)
    shown = [_shown(one, found) for one in found.sets]
    services = service_list()
    context = {
        "live_cursor": None,
        "found": found,
        "leading": [one for one in shown if one.found.leading],
        "others": [one for one in shown if not one.found.leading],
        "seconds": within.length.total_seconds(),
        "baseline_seconds": baseline.length.total_seconds(),
        "rate": _percent(found.failed, found.total),
        "rate_before": _percent(found.failed_before, found.total_before),
        "errors_link": _errors(within, wanted),
        "releases": [
            (
                one,
                _percent(one.errors_before, one.calls_before),
                _percent(one.errors_after, one.calls_after),
                _patterns_of(one),
            )
            for one in release_effects(within, wanted.service)
        ],
        "most_versions": most_of(NameKind.VERSION),
        "around": AROUND.total_seconds(),
        "wanted": wanted,
        "filtered": any(request.GET.get(name) for name in _FILTERS),
        "services": [service.name for service in services],
        "connected": bool(services),
    }
    return render(request, "analytics/what_changed.html", context)


def _shown(one: ChangedSet, found: Difference) -> Shown:
    return Shown(
        found=one,
        share=round(100 * one.share),
        share_before=None if one.share_before is None else round(100 * one.share_before),
        rate=_percent(one.failed, one.total),
        rate_before=_percent(one.failed_before, one.total_before),
        chance="less than 1 in a million" if one.p_value < 1e-6 else f"{one.p_value:.2g}",
        links=tuple(
            (
                (key[:8], reverse("chain", args=[key]))
                if found.source == "spans"
                else (key[:8], reverse("error", args=[key]))
            )
            for key in one.examples
        ),
    )


def _patterns_of(one: ReleaseEffect) -> list[str]:
    return [reverse("pattern", args=[pattern]) for pattern in one.pattern_ids]


def _percent(part: float, whole: float) -> str:
    return percent(part, whole) if whole else "n/a"


def _errors(within: TimeRange, wanted: FailureFilter) -> str:
    question = {
        "since": within.since.isoformat(),
        "until": within.until.isoformat(),
        "service": wanted.service,
        "type": wanted.type,
        "pattern": str(wanted.pattern or ""),
    }
    named = {name: value for name, value in question.items() if value}
    return f"{reverse('errors')}?{urlencode(named)}"


def _pattern(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Invalid.field("query.pattern", f"{text[:40]!r} is not the id of a pattern.") from None
