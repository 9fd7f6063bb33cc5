"""Groups that are due: each channel is told what it does not know yet, through the outbox.

The notification log and the deliveries are written in one transaction a group, with its row locked:
two senders never tell the same twice, and one that dies in the middle has told nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from alerting.choices import AlertState, Purpose
from alerting.domain.dedup import Decision, Standing, Told, decide
from alerting.models import Alert, AlertGroup, Channel, Notified
from alerting.services.dispatch.composing import message_compose
from alerting.services.outbox import delivery_enqueue

# Groups that one turn tells of; the rest are told by the next one.
MOST_GROUPS: Final = 200
# Of a group whose route is gone, and which waits for ends alone.
_INTERVAL: Final = timedelta(minutes=5)
# A group due later than any interval was left so by a clock that was wrong.
LONGEST_INTERVAL: Final = timedelta(days=1)
_NONE: Final[frozenset[UUID]] = frozenset()


def groups_tell(*, now: datetime) -> int:
    """Tell of the groups that are due; gives how many deliveries that made.

    A group that fails keeps none of the others from being told: what went wrong is raised at the
    end, as an `ExceptionGroup`, and the group is tried again by the next turn.
    """
    due = AlertGroup.objects.filter(_due(now)).order_by("due_at").values_list("pk", flat=True)
    made, failed = 0, []
    for pk in due[:MOST_GROUPS]:
        try:
            made += group_tell(group_id=pk, now=now)
        except Exception as error:
            failed.append(error)
    if failed:
        raise ExceptionGroup(f"{len(failed)} groups of alerts could not be told", failed)
    return made


@transaction.atomic
def group_tell(*, group_id: int, now: datetime) -> int:
    """Tell the channels of a group what they do not know, if it is due and nobody else is at it;
    gives how many deliveries that made."""
    # Others may refer to the group meanwhile, such as a sender that falls back.
    found = AlertGroup.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
    group = found.select_related("route").filter(_due(now), pk=group_id).first()
    if group is None:
        return 0
    turn = _Turn(group, now)
    told = [turn.tell(channel) for channel in turn.channels()]
    route = group.route
    interval = timedelta(seconds=route.group_interval_seconds) if route else _INTERVAL
    group.due_at = now + interval if turn.goes_on else None
    group.last_flush_at = now
    group.save(update_fields=["due_at", "last_flush_at"])
    return sum(told)


def _due(now: datetime) -> Q:
    return Q(due_at__lte=now) | Q(due_at__gt=now + LONGEST_INTERVAL)


class _Turn:
    """One look at a group: its alerts, and what each channel was told of them."""

    def __init__(self, group: AlertGroup, now: datetime) -> None:
        self.group = group
        self.now = now
        self.log = {each.channel_id: each for each in Notified.objects.filter(group=group)}
        known = {UUID(each) for log in self.log.values() for each in log.firing}
        held = _firing(group)
        self.firing = frozenset(alert for alert, why in held.items() if not why)
        self.over, self.lasting = _states(known)
        self.goes_on = bool(held)

    def channels(self) -> list[tuple[Channel, bool]]:
        """Channels that take what fires (true), and those that were told something before and now
        hear of ends alone."""
        takers = {each.pk: each for each in self._takers()}
        former = Channel.objects.filter(pk__in=[each for each in self.log if each not in takers])
        found = [(each, True) for each in takers.values()] + [(each, False) for each in former]
        return sorted(found, key=lambda each: each[0].name)

    def tell(self, channel_takes: tuple[Channel, bool]) -> int:
        """Tell one channel, if there is something to tell; gives the number of deliveries made."""
        channel, takes = channel_takes
        log = self.log.get(channel.pk)
        told = Told(log.at, frozenset(map(UUID, log.firing))) if log else None
        firing = self.firing if takes else _NONE
        decision = decide(
            told,
            Standing(firing=firing, over=self.over, lasting=self.lasting),
            sends_resolved=channel.send_resolved and channel.enabled,
            repeat=self._repeat,
            now=self.now,
        )
        self.goes_on = self.goes_on or bool(decision.firing)
        if decision.occasion is not None:
            delivery_enqueue(
                channel=channel,
                message=message_compose(self.group, decision, firing),
                purpose=Purpose.ALERTS,
                group=self.group,
                now=self.now,
            )
        self._remember(channel, log, decision)
        return int(decision.occasion is not None)

    def _takers(self) -> Iterable[Channel]:
        route = self.group.route
        if route is None or not route.enabled:
            return ()
        every = Channel.objects.filter(enabled=True)
        return every if route.every_channel else every.filter(routes=route)

    @property
    def _repeat(self) -> timedelta:
        route = self.group.route
        return timedelta(seconds=route.repeat_interval_seconds if route else 0)

    def _remember(self, channel: Channel, log: Notified | None, decision: Decision) -> None:
        firing = sorted(map(str, decision.firing))
        if decision.occasion is None:
            if log is None or (log.firing == firing and log.at <= self.now):
                return
            # Ends that nobody wants to hear of, or a time that a wrong clock left in the future.
            log.firing, log.at = firing, min(log.at, self.now)
            log.save(update_fields=["firing", "at"])
            return
        Notified.objects.update_or_create(
            group=self.group,
            channel=channel,
            defaults={
                "at": self.now,
                "firing": firing,
                "resolved": sorted(map(str, decision.ended)),
            },
        )


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
