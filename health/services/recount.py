"""Working out sums again that were worked out already, from the changes of state and the windows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from health.domain.availability import Seconds
from health.models import Check, CheckStatus
from health.models.partitions import MINUTES
from health.selectors.seconds import check_bands
from health.selectors.timelines import Wanted
from health.services.hours import HOUR, hour_of, hours_ensure, hours_lock, hours_write, oldest_hour
from health.services.locks import graph_lock
from health.services.minutes import minute_of, minutes_write, oldest_minute
from resilience_site.core import partitions

_CHECKS: Final = 200
# What one transaction writes of each of them.
_MINUTES: Final = timedelta(hours=2)
_HOURS: Final = timedelta(hours=240)


@dataclass(frozen=True)
class Recounted:
    """A check whose sums changed: its seconds in the range before and after."""

    name: str
    before: Seconds
    after: Seconds


def health_recount(
    *, since: datetime, until: datetime, checks: Collection[UUID] | None = None, now: datetime
) -> Iterator[Recounted]:
    """Work out again the minutes and hours from the hour of `since` to that of `until`, of these
    checks or of all; yields those that changed, by name.

    Minutes that are not kept any more are left out; hours cover 100 days. What is not summed up
    yet is left to its turn.
    """
    start = max(hour_of(since), oldest_hour(now))
    until = min(hour_of(until - timedelta(microseconds=1)) + HOUR, minute_of(now))
    if start >= until:
        return
    partitions.ensure(MINUTES, max(start, oldest_minute(now)), until)
    hours_ensure(start, until)
    rows = Check.objects.order_by("name")
    if checks is not None:
        rows = rows.filter(id__in=list(checks))
    names = list(rows.values_list("id", "name"))
    for first in range(0, len(names), _CHECKS):
        some = dict(names[first : first + _CHECKS])
        before = _seconds(some, start, until)
        for begin in _slices(max(start, oldest_minute(now)), until, _MINUTES):
            _minutes_again(some, begin, min(begin + _MINUTES, until))
        for begin in _slices(start, until, _HOURS):
            _hours_again(some, begin, min(begin + _HOURS, until))
        after = _seconds(some, start, until)
        for key, name in some.items():
            if after[key] != before[key]:
                yield Recounted(name, before[key], after[key])


def _seconds(ids: Collection[UUID], start: datetime, until: datetime) -> dict[UUID, Seconds]:
    return {key: bands[0] for key, bands in check_bands(ids, [start], until).items()}


def _slices(start: datetime, until: datetime, width: timedelta) -> Iterator[datetime]:
    while start < until:
        yield start
        start += width


# Whoever writes a change or a window holds the graph's lock, so none is half written meanwhile.


def _minutes_again(ids: Collection[UUID], start: datetime, until: datetime) -> None:
    with transaction.atomic():
        graph_lock()
        wanted = _wanted(ids, "minutes_from", start, until)
        if wanted:
            minutes_write(wanted)


def _hours_again(ids: Collection[UUID], start: datetime, until: datetime) -> None:
    with transaction.atomic():
        hours_lock()
        graph_lock()
        wanted = _wanted(ids, "hours_from", start, hour_of(until))
        if wanted:
            hours_write(wanted)


def _wanted(ids: Collection[UUID], column: str, start: datetime, until: datetime) -> list[Wanted]:
    """The part of the time that is summed up, of each check that has one."""
    rows = CheckStatus.objects.filter(check_row_id__in=list(ids), **{f"{column}__gt": start})
    values = rows.order_by().values_list("check_row_id", "check_row__service_id", column)
    return [
        Wanted(key, service, start, min(until, summed))
        for key, service, summed in values
        if start < min(until, summed)
    ]
