"""What a group of alerts has to say, channel by channel: what fires, and what each was told."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from alerting.choices import AlertState
from alerting.domain.dedup import News, Standing, Told
from alerting.models import Alert, AlertGroup, Channel, Notified
from alerting.selectors.route_standins import pages_alone, stand_in_of
from alerting.selectors.unheard import Unheard, unheard

_NONE: Final[frozenset[UUID]] = frozenset()


@dataclass(frozen=True)
class GroupNow:
    """A group as it stands.

    `news` are for the channels that take what fires, and for those that were told something before
    and now hear of ends alone. `fires` is whether any of its alerts does, held back or not.
    """

    news: list[News]
    channels: Mapping[UUID, Channel]
    log: Mapping[UUID, Notified]
    fires: bool


@dataclass(frozen=True)
class _Taker:
    """A channel that hears of `firing`; `note` says why, where the route does not name it."""

    channel: Channel
    firing: frozenset[UUID]
    note: str = ""


def group_now(group: AlertGroup, *, now: datetime) -> GroupNow:
    """What `group` has to say and to whom; a constant number of queries."""
    log = {each.channel_id: each for each in Notified.objects.filter(group=group)}
    held = _firing(group)
    takers = _takers(group, frozenset(alert for alert, why in held.items() if not why), set(log))
    known = {channel: frozenset(map(UUID, row.firing)) for channel, row in log.items()}
    over, fired = _states(frozenset().union(*known.values()))
    missed = unheard(group, known, fired, now)
    former = Channel.objects.filter(pk__in=[each for each in log if each not in takers])
    everybody = [*takers.values(), *(_Taker(each, _NONE) for each in former)]
    news = [
        News(
            channel=each.channel.pk,
            told=_told(log.get(each.channel.pk), over, missed.get(each.channel.pk, Unheard())),
            standing=Standing(each.firing, over, frozenset(fired) - over),
            sends_resolved=each.channel.send_resolved and each.channel.enabled,
            note=each.note,
        )
        for each in sorted(everybody, key=lambda each: each.channel.name)
    ]
    return GroupNow(news, {each.channel.pk: each.channel for each in everybody}, log, bool(held))


def missed_now(group: AlertGroup, channel: UUID, *, now: datetime) -> GroupNow:
    """What `group` has to say to a channel that was mended before it is due: what fires and never
    reached it. What is new to all, and what is over, waits until then."""
    whole = group_now(group, now=now)
    log = whole.log.get(channel)
    known = frozenset(map(UUID, log.firing)) if log is not None else _NONE
    news = [
        replace(each, standing=Standing(each.standing.firing & known, _NONE, known))
        for each in whole.news
        if each.channel == channel
        and each.told is not None
        and each.standing.firing & known - each.told.firing
    ]
    return replace(whole, news=news)


def repeat_of(group: AlertGroup) -> timedelta:
    """After how long a group is told again; of one whose route is gone nothing is."""
    return timedelta(seconds=group.route.repeat_interval_seconds if group.route else 0)


def _takers(group: AlertGroup, firing: frozenset[UUID], known: Set[UUID]) -> dict[UUID, _Taker]:
    """Who hears of what fires. Where the route has no channel that is enabled, its pages go by one
    that works: somebody must look at them now."""
    route = group.route
    if route is None or not route.enabled:
        return {}
    every = Channel.objects.filter(enabled=True)
    takers = every if route.every_channel else every.filter(routes=route)
    found = {each.pk: _Taker(each, firing) for each in takers}
    if found or not firing:
        return found
    alone = pages_alone(group, firing)
    other = stand_in_of(route, known) if alone else None
    if other is None:
        return {}
    note = f"Sent here because the route {route.name} has no channel that is enabled."
    return {other.pk: _Taker(other, alone, note)}


def _told(log: Notified | None, over: Set[UUID], missed: Unheard) -> Told | None:
    """What a channel knows. What never reached it ends without a word to it, and what it may be
    told anew is new to it."""
    if log is None:
        return None
    return Told(log.at, frozenset(map(UUID, log.firing)) - (missed.alerts & over) - missed.again)


def _firing(group: AlertGroup) -> dict[UUID, list[Any]]:
    """The members that fire, and why they are held.

    In two steps, as a join with what was few alerts a minute ago is planned for few.
    """
    members = group.alerts.through.objects.filter(alertgroup=group)
    rows = Alert.objects.filter(
        pk__in=list(members.values_list("alert_id", flat=True)), state=AlertState.FIRING
    )
    return dict(rows.order_by().values_list("id", "suppressed_by"))


def _states(known: frozenset[UUID]) -> tuple[frozenset[UUID], dict[UUID, datetime]]:
    """Of the alerts that were told: those that are over, and since when each of all fired."""
    if not known:
        return _NONE, {}
    rows = Alert.objects.filter(pk__in=known).order_by()
    over, fired = set(), {}
    for alert, state, fired_at, started_at in rows.values_list(
        "id", "state", "fired_at", "started_at"
    ):
        fired[alert] = fired_at or started_at
        if state == AlertState.RESOLVED:
            over.add(alert)
    return frozenset(over), fired
