"""Outages: confirmed failures, what explains them, and the one announcement that each may get.

An outage waits for its settle time, in which its parents are probed. It is announced only if
nothing explains it then; what was announced is also announced as over, whatever happened since.
Nothing else is held back: probing, history and recovery go on for every check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db import connection

from health.choices import HealthState
from health.domain.graph import Graph
from health.models import Outage
from resilience_site.core.choices import Topic
from resilience_site.core.journal import Entry

if TYPE_CHECKING:
    from health.services.evaluation import Judged

SETTLING: Final = "settling"
CONFIRMED, ENDED = "failure_confirmed", "failure_ended"


def outages_follow(*, judged: Mapping[UUID, Judged], graph: Graph, now: datetime) -> list[Entry]:
    """Begin, move and end outages after an evaluation; returns what is to be told of it."""
    open_now = {each.check_row_id: each for each in Outage.objects.filter(ended_at=None)}
    begun, moved, ended = [], [], []
    for key, each in judged.items():
        outage = open_now.get(key)
        if each.row.enabled and each.row.own == HealthState.DOWN:
            if outage is None:
                begun.append(_begin(each, judged, now))
            elif outage.announced_at is None and _move(outage, each, judged, now):
                moved.append(outage)
        elif outage is not None and (
            not each.row.enabled or each.row.own in (HealthState.UP, HealthState.DEGRADED)
        ):
            ended.append(_end(outage, each, now))
    Outage.objects.bulk_create(begun)
    outages_write([*moved, *ended])
    return [_ended_entry(each, judged[each.check_row_id]) for each in ended if each.announced_at]


# Thousands may turn at once, while all others wait for the graph's lock.
_WRITE: Final = """
UPDATE health_outage o SET ended_at = new.ended_at, announce_at = new.announce_at,
    announced_at = new.announced_at, held_by = new.held_by, culprit = new.culprit
FROM unnest(%s::uuid[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::text[],
    %s::text[]) AS new (id, ended_at, announce_at, announced_at, held_by, culprit)
WHERE o.id = new.id
"""


def outages_write(outages: Sequence[Outage]) -> None:
    """Write what has become of open outages. The caller holds the graph's lock."""
    if not outages:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _WRITE,
            [
                [each.id for each in outages],
                [each.ended_at for each in outages],
                [each.announce_at for each in outages],
                [each.announced_at for each in outages],
                [each.held_by for each in outages],
                [each.culprit for each in outages],
            ],
        )


def _begin(each: Judged, judged: Mapping[UUID, Judged], now: datetime) -> Outage:
    return Outage(
        check_row_id=each.row.id,
        started_at=each.row.own_since,
        confirmed_at=now,
        announce_at=now + each.row.settle,
        held_by=_held_by(each),
        culprit=_blamed(each, judged),
        output=each.row.output,
    )


def _move(outage: Outage, each: Judged, judged: Mapping[UUID, Judged], now: datetime) -> bool:
    """What holds an outage back changed; one that is explained no longer settles anew."""
    held, blamed = _held_by(each), _blamed(each, judged)
    if (held, blamed) == (outage.held_by, outage.culprit):
        return False
    if held == SETTLING != outage.held_by:
        outage.announce_at = now + each.row.settle
    outage.held_by, outage.culprit = held, blamed
    return True


def _end(outage: Outage, each: Judged, now: datetime) -> Outage:
    ended = each.row.own_since if each.row.enabled else now
    outage.ended_at = max(ended, outage.started_at)
    if outage.announced_at is None and outage.held_by == SETTLING:
        outage.held_by = "recovered" if each.row.enabled else "switched_off"
    return outage


def _held_by(each: Judged) -> str:
    if each.in_maintenance:
        return "maintenance"
    if each.verdict.state == HealthState.UNREACHABLE:
        return "unreachable"
    if each.row.flapping:
        return "flapping"
    return SETTLING


def _blamed(each: Judged, judged: Mapping[UUID, Judged]) -> str:
    culprit = each.verdict.culprit
    return judged[culprit].row.name if culprit is not None else ""


def _ended_entry(outage: Outage, each: Judged) -> Entry:
    ended: datetime = outage.ended_at  # type: ignore[assignment]
    payload: dict[str, Any] = {
        "outage": str(outage.id),
        "check": {"id": str(each.row.id), "name": each.row.name},
        "since": outage.started_at.isoformat(),
        "ended_at": ended.isoformat(),
        "seconds": round((ended - outage.started_at) / timedelta(seconds=1), 3),
        "switched_off": not each.row.enabled,
    }
    return Entry(Topic.HEALTH, ENDED, str(each.row.id), each.state, each.row.service, payload)
