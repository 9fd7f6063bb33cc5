"""Checks that are down."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from healing.choices import TriggerKind
from healing.domain.matching import Failing
from health.choices import HealthState, ResultStatus
from health.models import CheckStatus, Outage

_MOST_NAMES = 20


def checks_failing(now: datetime) -> list[Failing]:
    """Confirmed outages that nothing else explains, past the time in which they settle.

    What is unreachable is not among them: its culprit is, and is as critical as what it takes with
    it. One that goes up and down is, though nobody is alerted of it: a crash loop is one.
    """
    rows = list(
        Outage.objects.filter(ended_at=None, announce_at__lte=now, check_row__enabled=True)
        .exclude(announced_at=None, held_by__in=["unreachable", "settling"])
        .select_related("check_row__service", "check_row__status")
        .order_by("started_at", "id")
    )
    with_them = _explained() if rows else {}
    return [
        _failing(each, with_them.get(each.check_row_id, []))
        for each in rows
        if each.check_row.status.state != HealthState.UNREACHABLE
    ]


def _explained() -> Mapping[UUID, list[tuple[str, str]]]:
    """Names and criticality of what each culprit takes with it."""
    found: dict[UUID, list[tuple[str, str]]] = defaultdict(list)
    rows = CheckStatus.objects.filter(state=HealthState.UNREACHABLE, culprit__isnull=False)
    for culprit, name, criticality in rows.order_by("check_row__name").values_list(
        "culprit_id", "check_row__name", "check_row__service__criticality"
    ):
        if culprit is not None:
            found[culprit].append((name, criticality))
    return found


def _failing(outage: Outage, with_it: list[tuple[str, str]]) -> Failing:
    check, status = outage.check_row, outage.check_row.status
    output = f": {outage.output}" if outage.output else ""
    also = f"; {len(with_it)} more fail with it" if with_it else ""
    return Failing(
        kind=TriggerKind.CHECK_FAILED,
        key=str(check.id),
        service=check.service_id,
        names=(check.name,),
        since=outage.started_at,
        seen_at=_seen(status, outage),
        text=f"Check {check.name} of {check.service_id} is down{output}{also}",
        link=f"/health/checks/{check.id}",
        check_kind=check.kind,
        output=outage.output,
        criticality=frozenset({check.service.criticality, *(of for _, of in with_it)}),
        check_id=check.id,
        evidence={
            "outage": str(outage.id),
            "check": check.name,
            "confirmed_at": outage.confirmed_at.isoformat(),
            "failures": status.failures,
            "output": outage.output,
            "held_by": outage.held_by,
            "fail_with_it": [name for name, _ in with_it[:_MOST_NAMES]],
        },
    )


def _seen(status: CheckStatus, outage: Outage) -> datetime:
    """When it last failed: passes that are too few to end the outage may have come since."""
    failed = status.last_status == ResultStatus.DOWN and status.last_conclusive_at is not None
    return status.last_conclusive_at if failed else outage.confirmed_at  # type: ignore[return-value]
