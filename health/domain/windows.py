"""When maintenance windows are: the spans of time that a rule names, worked out as far as asked.

A window begins by the wall clock of its zone and lasts for its length in elapsed time. On the night
that an hour is missing, a beginning within that hour moves to its end; on the night that an hour
comes twice, it is the first of the two. (A cron expression whose hour or minute begins with a star
follows elapsed time, so it names both.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

SINGLE, WEEKLY, CRON = "single", "weekly", "cron"
LONGEST_RECURRING = timedelta(days=7)
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
# As many beginnings of a cron expression are looked at to find that it overlaps itself.
_LOOKED_AT = 200
# Further than the longest pause that a cron expression can name: from one 29 February to the next.
_FORESIGHT = timedelta(days=366 * 8 + 1)


@dataclass(frozen=True, order=True)
class Span:
    """From `starts_at` (included) to `ends_at` (excluded), both aware."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Rule:
    """How a window's times are given; the fields mean what those of `Maintenance` do."""

    kind: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    weekdays: frozenset[int] = frozenset()
    start_time: time | None = None
    cron: str = ""
    duration: timedelta = timedelta()
    timezone: str = "UTC"
    ended_at: datetime | None = None


def occurrences(rule: Rule, start: datetime, end: datetime) -> Iterator[Span]:
    """The spans of `rule` that touch `start`..`end`, in order and uncut, one by one as they are
    taken: the work grows with the range, never with the age of the rule.

    Raises `ValueError` for a rule whose fields make no sense together.
    """
    first, last = rule.starts_at, _earliest(rule.ends_at, rule.ended_at)
    for begin in _beginnings(rule, start, end):
        ends_at = rule.ends_at if rule.kind == SINGLE else begin + rule.duration
        if ends_at is None:
            raise ValueError("A single window needs an end.")
        span = Span(
            begin if first is None else max(begin, first),
            ends_at if last is None else min(ends_at, last),
        )
        if span.starts_at < span.ends_at and span.starts_at < end and span.ends_at > start:
            yield span


def next_occurrence(rule: Rule, now: datetime) -> Span | None:
    """The span that goes on at `now`, else the next one; None where there is none for eight years."""
    end = now + _FORESIGHT
    return next(occurrences(rule, now, end), None)


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same time in order and without overlap; spans that touch become one."""
    result: list[Span] = []
    for span in sorted(spans):
        if result and span.starts_at <= result[-1].ends_at:
            last = result[-1]
            result[-1] = Span(last.starts_at, max(last.ends_at, span.ends_at))
        else:
            result.append(span)
    return result


def cron_refusal(cron: str, duration: timedelta, timezone: str, now: datetime) -> str:
    """Why a cron expression cannot be used for windows of this length; empty where it can."""
    if len(cron.split()) != 5:
        return "A cron expression has five fields: minute, hour, day of month, month, day of week."
    try:
        beginnings = CronSim(cron, now.astimezone(ZoneInfo(timezone)))
    except CronSimError as error:
        return f"{cron!r} is no cron expression: {error}."
    before: datetime | None = None
    for _ in range(_LOOKED_AT):
        found = next(beginnings, None)
        if found is None:
            break
        begin = found.astimezone(UTC)
        if before is not None and begin - before <= duration:
            return "The next window would begin before the one before it is over."
        before = begin
    if before is None:
        return f"{cron!r} names no moment in the next 50 years."
    return ""


def _beginnings(rule: Rule, start: datetime, end: datetime) -> Iterator[datetime]:
    """The nominal beginnings of the spans that may touch the range, in UTC and in order."""
    if rule.kind == SINGLE:
        if rule.starts_at is None:
            raise ValueError("A single window needs a beginning.")
        yield rule.starts_at
        return
    # A cut beginning or end makes no other occurrence touch the range.
    start = max(start, rule.starts_at) if rule.starts_at else start
    end = min(end, rule.ends_at) if rule.ends_at else end
    if start >= end:
        return
    zone = ZoneInfo(rule.timezone)
    if rule.kind == WEEKLY:
        yield from _weekly(rule, start - rule.duration, end, zone)
    elif rule.kind == CRON:
        for begin in CronSim(rule.cron, (start - rule.duration).astimezone(zone)):
            at = begin.astimezone(UTC)
            if at >= end:
                return
            yield at
    else:
        raise ValueError(f"unknown kind of window {rule.kind!r}")


def _weekly(rule: Rule, start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    if rule.start_time is None:
        raise ValueError("A weekly window needs the time at which it begins.")
    day = start.astimezone(zone).date() - _DAY
    last = end.astimezone(zone).date()
    while day <= last:
        if day.weekday() in rule.weekdays:
            begin = _moment(datetime.combine(day, rule.start_time), zone)
            if start < begin < end:
                yield begin
        day += _DAY


def _moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """When a clock in `zone` first shows `wall`, or the end of the gap that leaves it out; UTC."""
    moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    while moment.astimezone(zone).replace(tzinfo=None) != wall:
        wall = wall.replace(second=0, microsecond=0) + _MINUTE
        moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return moment


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
