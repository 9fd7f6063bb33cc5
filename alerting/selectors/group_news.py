"""What a group of alerts has to say, channel by channel: what fires, and what each was told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from alerting.choices import AlertState
from alerting.domain.dedup import News, Standing, Told
from alerting.models import Alert, AlertGroup, Channel, Notified

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


def group_now(group: AlertGroup) -> GroupNow:
    """What `group` has to say and to whom; a constant number of queries."""
    log = {each.channel_id: each for each in Notified.objects.filter(group=group)}
    held = _firing(group)
    firing = frozenset(alert for alert, why in held.items() if not why)
    over, lasting = _states({UUID(each) for row in log.values() for each in row.firing})
    takers = {each.pk: each for each in _takers(group)}
    former = Channel.objects.filter(pk__in=[each for each in log if each not in takers])
    channels = sorted([*takers.values(), *former], key=lambda each: each.name)
    news = [
        News(
            channel=each.pk,
            told=_told(log.get(each.pk)),
            standing=Standing(firing if each.pk in takers else _NONE, over, lasting),
            sends_resolved=each.send_resolved and each.enabled,
        )
        for each in channels
    ]
    return GroupNow(news, {each.pk: each for each in channels}, log, bool(held))


def repeat_of(group: AlertGroup) -> timedelta:
    """After how long a group is told again; of one whose route is gone nothing is."""
    return timedelta(seconds=group.route.repeat_interval_seconds if group.route else 0)


def _takers(group: AlertGroup) -> Iterable[Channel]:
    route = group.route
    if route is None or not route.enabled:
        return ()
    every = Channel.objects.filter(enabled=True)
    return every if route.every_channel else every.filter(routes=route)


def _told(log: Notified | None) -> Told | None:
    return Told(log.at, frozenset(map(UUID, log.firing))) if log else None


def _firing(group: AlertGroup) -> dict[UUID, list[Any]]:
    """The members that fire, and why they are held.

    In two steps, as a join with what was few alerts a minute ago is planned for few.
    """
    members = group.alerts.through.objects.filter(alertgroup=group)
    rows = Alert.objects.filter(
        pk__in=list(members.values_list("alert_id", flat=True)), state=AlertState.FIRING
    )
    return dict(rows.order_by().values_list("id", "suppressed_by"))


def _states(known: set[UUID]) -> tuple[frozenset[UUID], frozenset[UUID]]:
    """Of the alerts that were told: those that are over, and those that still fire."""
    if not known:
        return _NONE, _NONE
    states = dict(Alert.objects.filter(pk__in=known).order_by().values_list("id", "state"))
    over = frozenset(each for each, state in states.items() if state == AlertState.RESOLVED)
    return over, frozenset(states) - over
