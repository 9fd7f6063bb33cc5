"""Breakers that refuse calls."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from django.db.models import Exists, OuterRef

from breakers.choices import BreakerState
from breakers.models import Breaker, Instance
from breakers.selectors.instances import SILENT
from healing.choices import TriggerKind
from healing.domain.matching import Failing

_REFUSING = (BreakerState.OPEN, BreakerState.HALF_OPEN)


def breakers_open(now: datetime) -> list[Failing]:
    """Breakers that are open in an instance which was heard of lately. One that only tries whether
    it may close goes on, but does not begin."""
    live = Instance.objects.filter(
        service=OuterRef("service"), instance=OuterRef("instance"), last_seen__gte=now - SILENT
    )
    rows = Breaker.objects.filter(state__in=_REFUSING)
    groups: dict[tuple[str, str], list[Breaker]] = defaultdict(list)
    for row in rows.filter(Exists(live)).order_by("service", "name", "since"):
        groups[row.service, row.name].append(row)
    return [_failing(each, now) for each in groups.values()]


def _failing(rows: list[Breaker], now: datetime) -> Failing:
    first = rows[0]
    opened = [each for each in rows if each.state == BreakerState.OPEN]
    reason = next((each.reason for each in opened or rows if each.reason), "")
    why = f": {reason}" if reason else ""
    state = "is open" if opened else "tries whether it may close"
    return Failing(
        kind=TriggerKind.BREAKER_OPEN,
        key=first.key,
        service=first.service,
        names=(first.name,),
        since=min(each.since for each in rows),
        seen_at=now,
        text=f"Breaker {first.name} of {first.service} {state}{why}",
        link=f"/breakers/{first.key}",
        breaker=first.name,
        output=reason,
        begins=bool(opened),
        evidence={
            "reason": reason,
            "instances": [each.instance for each in rows[:20]],
            "failure_rate": first.failure_rate,
            "calls": first.window_calls,
        },
    )
