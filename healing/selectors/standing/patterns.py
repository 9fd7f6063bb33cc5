"""Patterns of errors that come more often than they should."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import QuerySet

from analytics.choices import PatternState
from analytics.models import ErrorPattern
from healing.choices import TriggerKind
from healing.domain.matching import Failing

# A pattern escalates for hours and stays regressed for days; it spikes as long as it is seen.
LIVELY: Final = timedelta(minutes=10)
# What an open breaker refuses is no error of its own: the breaker has its trigger.
REFUSALS: Final = (
    "breakers.runtime.errors.CallNotPermitted",
    "io.github.resilience4j.circuitbreaker.CallNotPermittedException",
)
SPIKING: Final = (PatternState.ESCALATING, PatternState.REGRESSED)
_MOST: Final = 200


def patterns_shown() -> QuerySet[ErrorPattern]:
    """Those that stand for themselves, and are no refusals of breakers."""
    return ErrorPattern.objects.filter(merged_into=None).exclude(type__in=REFUSALS)


def patterns_spiking(now: datetime) -> list[Failing]:
    """Patterns that escalate or came back, and are still seen."""
    rows = patterns_shown().filter(state__in=SPIKING, last_seen__gt=now - LIVELY)
    return [_failing(each) for each in rows.order_by("-last_seen", "id")[:_MOST]]


def _failing(row: ErrorPattern) -> Failing:
    what = "grows" if row.state == PatternState.ESCALATING else "is back"
    return Failing(
        kind=TriggerKind.PATTERN_SPIKING,
        key=str(row.id),
        service=row.service,
        names=(row.type,),
        since=row.state_changed_at or row.first_seen,
        seen_at=row.last_seen,
        text=f"An error of {row.service} {what}: {row.type}",
        link=f"/patterns/{row.id}",
        pattern=str(row.id),
        output=row.template,
        evidence={
            "type": row.type,
            "template": row.template,
            "state": row.state,
            "reason": row.state_reason,
            "count": row.count,
            "last_seen": row.last_seen.isoformat(),
        },
    )
