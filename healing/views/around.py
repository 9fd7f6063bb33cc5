"""How the target of a run did before and after it: its checks, its errors, its breakers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse

from breakers.models import BreakerTransition
from breakers.selectors.transitions import transition_list
from healing.choices import TargetKind, TriggerKind
from healing.models import HealingRun
from health.models import Check
from health.selectors.series import run_series
from resilience_site.core.timerange import TimeRange

# How much of the target is shown on each side of a run.
AROUND: Final = timedelta(minutes=15)
# Of the checks of a target that nothing singles out, and of the transitions of breakers.
_MOST_CHECKS: Final = 3
_MOST_TRANSITIONS: Final = 20


@dataclass(frozen=True)
class Side:
    """What a check found in so many runs on one side of a heal."""

    label: str
    when: str
    runs: int
    failed: int
    p95_ms: float | None


@dataclass(frozen=True)
class CheckAround:
    """A check around a run: its chart, and its runs before and after."""

    chart_id: str
    name: str
    link: str
    chart_src: str
    sides: list[Side]

    @property
    def title(self) -> str:
        return f"How the target did, by {self.name}"


def target_around(run: HealingRun, now: datetime) -> dict[str, Any]:
    """The target around a run that began: the triggering check, or where none did the checks of its
    service; its errors; and its breakers where no check tells or the run is about one."""
    if run.started_at is None:
        return {}
    end = run.ended_at or now
    whole = TimeRange(run.started_at - AROUND, min(now, end + AROUND))
    asked = {"since": _machine(whole.since), "until": _machine(whole.until)}
    question = urlencode({"service": run.service, **asked})
    return {
        "checks": [
            _check(f"healing-latency-{n}", each, run, whole, urlencode(asked))
            for n, each in enumerate(_checks(run), 1)
        ],
        "errors_src": f"{reverse('figure', args=['error-ratio'])}?{question}",
        "errors_link": f"{reverse('trends')}?{question}&metric=error_rate",
        "transitions": _transitions(run, whole),
    }


def _checks(run: HealingRun) -> list[Check]:
    rows = Check.objects.only("id", "name", "critical")
    if run.check_id is not None and run.trigger_kind != TriggerKind.MANUAL:
        own = rows.filter(pk=run.check_id).first()
        if own is not None:
            return [own]
    found = rows.filter(service__name=run.service, enabled=True)
    return list(found.order_by("-critical", "name")[:_MOST_CHECKS])


def _check(
    chart_id: str, check: Check, run: HealingRun, whole: TimeRange, question: str
) -> CheckAround:
    began: datetime = run.started_at  # type: ignore[assignment]
    before = TimeRange(whole.since, began)
    sides = [_side("Failed runs before", "in the 15 min before", check.id, before)]
    if run.ended_at is not None:
        after = TimeRange(run.ended_at, whole.until)
        sides.append(_side("Failed runs since", "after its end", check.id, after))
    return CheckAround(
        chart_id=chart_id,
        name=check.name,
        link=f"{reverse('health:check', args=[check.id])}?{question}",
        chart_src=f"{reverse('health:check_latency', args=[check.id])}?{question}",
        sides=[each for each in sides if each is not None],
    )


def _side(label: str, when: str, check_id: UUID, within: TimeRange) -> Side | None:
    if within.length <= timedelta(0):
        return None
    found = run_series(check_id, within, AROUND * 4)
    count = sum(each.runs for each in found)
    latencies = [each.p95_ms for each in found if each.p95_ms is not None]
    failed = sum(each.failed for each in found)
    return Side(label, when, count, failed, max(latencies, default=None))


def _transitions(run: HealingRun, whole: TimeRange) -> list[BreakerTransition] | None:
    """What the breakers did, the oldest first; None for a run that a check tells of."""
    of_breaker = run.target_kind == TargetKind.BREAKER
    if not of_breaker and run.trigger_kind == TriggerKind.CHECK_FAILED:
        return None
    name = run.target.partition("/")[2] if of_breaker else ""
    page = transition_list(service=run.service, name=name, within=whole, limit=_MOST_TRANSITIONS)
    return list(reversed(page.items))


def _machine(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
