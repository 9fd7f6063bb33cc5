"""What another policy would have done with the calls that were recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_GET

from breakers.domain.bars import HEIGHT, SLOT, Slice, bars, highest
from breakers.domain.replay_result import Bin, Replay
from breakers.domain.replay_rows import Row, merged
from breakers.selectors.breaker_view import BreakerView
from breakers.selectors.outcomes import outcome_instances
from breakers.selectors.replays import replay_instance
from breakers.views.forms import breaker_or_404
from breakers.views.settings import fields, settings_in
from resilience_site.core.choices import Role
from resilience_site.core.formatting import duration, percent
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.timerange import TimeRange, parse_range

DEFAULT_RANGE: Final = timedelta(hours=1)
# What is decoded and lived through twice while somebody waits.
MOST_OUTCOMES: Final = 200_000
_TRANSITIONS_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class Result:
    """A replay as it is shown."""

    found: Replay
    tone: str
    sentence: str
    avoided: str
    refused: str
    unknown: str
    opened: str
    open_for: str
    step: float
    most: int
    recorded_bars: SafeString
    candidate_bars: SafeString
    rows: list[Bin]
    transitions: list[Row]
    more: int


@require_GET
@require_role(Role.VIEWER)
def replay_page(request: HttpRequest, key: str) -> HttpResponse:
    """The candidate in a form, and what it would have done; the address holds both."""
    view, now = breaker_or_404(key), datetime.now(UTC)
    context: dict[str, Any] = {
        "live_cursor": None,
        "breaker": view,
        "fields": fields(view, {}, request.GET),
        "instance": request.GET.get("instance", ""),
        "asked": "run" in request.GET,
        "result": None,
        "problem": "",
    }
    try:
        within = parse_range(
            request.GET.get("since"), request.GET.get("until"), now=now, default=DEFAULT_RANGE
        )
        context["instances"] = outcome_instances(view.service, view.name, within)
        if context["asked"] and context["instances"]:
            context["result"] = _result(request, view, within, context["instances"])
    except Problem as problem:
        context["problem"] = problem.detail
    status = 400 if context["problem"] else 200
    return render(request, "breakers/replay.html", context, status=status)


def _result(
    request: HttpRequest, view: BreakerView, within: TimeRange, instances: Sequence[str]
) -> Result | None:
    wanted = request.GET.get("instance", "")
    changes = settings_in(request.GET)
    found = replay_instance(
        service=view.service,
        name=view.name,
        instance=wanted if wanted in instances else instances[0],
        within=within,
        changes=changes,
        most=MOST_OUTCOMES,
    )
    return None if found is None else shown(found, changes)


def shown(found: Replay, changes: Mapping[str, Any]) -> Result:
    """A replay in words and drawings."""
    transitions = merged(found.recorded.transitions, found.simulated.transitions)
    good = found.calls - found.failures
    taken = [Slice(b.failures, b.calls - b.failures, b.rejected) for b in found.series]
    made = [Slice(b.failed, b.admitted - b.failed, b.refused) for b in found.series]
    most = max(highest(taken), highest(made))
    return Result(
        found=found,
        tone=_tone(found, changes),
        sentence=_sentence(found, changes),
        avoided=f"{_of(found.failures_avoided, found.failures)} failures",
        refused=f"{_of(found.good_calls_refused, good)} good calls",
        unknown=f"{_of(found.unknown, found.rejected)} rejected calls would have been made",
        opened=f"in fact {_times(found.recorded.opened)}",
        open_for=f"in fact {duration(found.recorded.open_seconds)}",
        step=(found.until - found.since).total_seconds() / max(1, len(found.series)),
        most=most,
        recorded_bars=_drawn("As recorded", taken, most),
        candidate_bars=_drawn("With the candidate", made, most),
        rows=[each for each in reversed(found.series) if each.calls or each.rejected],
        transitions=transitions[:_TRANSITIONS_SHOWN],
        more=max(0, len(transitions) - _TRANSITIONS_SHOWN),
    )


def _tone(found: Replay, changes: Mapping[str, Any]) -> str:
    if not found.verified:
        return "warn"
    if not changes or found.reproduced:
        return "ok"
    return "ok" if found.failures_avoided > found.good_calls_refused else "info"


def _sentence(found: Replay, changes: Mapping[str, Any]) -> str:
    if not changes:
        same = "repeats" if found.verified else "does not repeat"
        return f"The policy that was in force {same} what was recorded"
    if found.reproduced:
        return "This policy would have done the same as the one that was in force"
    opened = _times(found.simulated.opened)
    return (
        f"It would have opened {opened}, for {duration(found.simulated.open_seconds)} in all; "
        f"in fact it opened {_times(found.recorded.opened)}, "
        f"for {duration(found.recorded.open_seconds)}"
    )


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count:,} times")


def _of(part: int, whole: int) -> str:
    return f"{percent(part, whole)} of {whole:,}"


def _drawn(title: str, slices: Sequence[Slice], most: int) -> SafeString:
    """The bars of a range; all in it are numbers and words of ours."""
    paths = bars([each if any(each) else None for each in slices], most)
    failed, passed, rejected = (
        sum(each.failed for each in slices),
        sum(each.passed for each in slices),
        sum(each.rejected for each in slices),
    )
    text = f"{title}: {failed:,} failed, {passed:,} passed, {rejected:,} rejected"
    return mark_safe(  # noqa: S308
        f'<svg class="bars" viewBox="0 0 {len(slices) * SLOT} {HEIGHT}" preserveAspectRatio="none" '
        f'role="img" aria-label="{text}"><path class="ground" d="{paths.ground}"/>'
        f'<path class="failed" d="{paths.failed}"/><path class="passed" d="{paths.passed}"/>'
        f'<path class="rejected" d="{paths.rejected}"/></svg>'
    )
