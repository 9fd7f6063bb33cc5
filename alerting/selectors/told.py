"""Whether people are told of alerts, and if not, why: in one sentence, for every screen alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.db.models import F, Max, Q

from alerting.choices import AlertState, DeliveryState, Purpose, Severity
from alerting.models import Alert, AlertGroup, Channel, Route
from resilience_site.config import config


class Told(StrEnum):
    """`TOLD` a message arrived; `WAITS` it is on its way; `SOON` it is made once its group is due;
    `HELD` and `PENDING` nobody is told now; `NOBODY` nobody is."""

    TOLD = "told"
    WAITS = "waits"
    SOON = "soon"
    HELD = "held"
    PENDING = "pending"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Telling:
    """`why` nobody is told, or has it yet, empty where somebody was or soon will be; `note` what else
    to say."""

    told: Told
    why: str = ""
    note: str = ""
    at: datetime | None = None

    @property
    def why_not(self) -> str:
        """Why nobody is told, or why a channel has not taken what somebody else has."""
        return self.why or (self.note if self.told == Told.TOLD else "")


_SENT: Final = {
    DeliveryState.DELIVERED: Told.TOLD,
    DeliveryState.PENDING: Told.WAITS,
    DeliveryState.SENDING: Told.WAITS,
}
_OPEN: Final = frozenset({DeliveryState.PENDING.value, DeliveryState.SENDING.value})


@dataclass(frozen=True)
class _Group:
    """The route of a group that an alert is in, and whether it has a channel that is enabled."""

    route: str
    told: bool


@dataclass(frozen=True)
class _Now:
    """By alert its groups, and the states of what was sent of it with when the last one ended."""

    groups: Mapping[UUID, Sequence[_Group]]
    sent: Mapping[UUID, Mapping[str, datetime | None]]
    # By alert what to say of channels that have not taken it yet, though they were tried.
    late: Mapping[UUID, str]
    # Whether a page could go by a channel that no route of it names.
    anybody: bool


def tellings(alerts: Sequence[Alert]) -> dict[UUID, Telling]:
    """How each alert is told; four queries, however many there are, and one more
    where messages are on their way."""
    if not alerts:
        return {}
    now = _now([each.pk for each in alerts])
    return {each.pk: _telling(each, now) for each in alerts}


def telling(alert: Alert) -> Telling:
    return tellings([alert])[alert.pk]


def _now(alerts: Sequence[UUID]) -> _Now:
    channels = list(Channel.objects.values_list("pk", "enabled", "paused_at"))
    enabled = {pk for pk, on, _ in channels if on}
    sent = _sent(alerts)
    open_of = [alert for alert, states in sent.items() if not _OPEN.isdisjoint(states)]
    return _Now(
        _groups(alerts, enabled),
        sent,
        _late(open_of) if open_of else {},
        any(on and paused is None for _, on, paused in channels),
    )


def _groups(alerts: Sequence[UUID], enabled: set[UUID]) -> dict[UUID, list[_Group]]:
    named = Route.channels.through.objects.filter(channel__enabled=True)
    telling_routes = set(named.values_list("route_id", flat=True).distinct())
    rows = AlertGroup.alerts.through.objects.filter(alert_id__in=alerts)
    found: dict[UUID, list[_Group]] = defaultdict(list)
    for alert, name, route, on, every in rows.values_list(
        "alert_id",
        "alertgroup__route_name",
        "alertgroup__route_id",
        "alertgroup__route__enabled",
        "alertgroup__route__every_channel",
    ):
        found[alert].append(
            _Group(name, bool(on) and (bool(enabled) if every else route in telling_routes))
        )
    return found


def _sent(alerts: Sequence[UUID]) -> dict[UUID, dict[str, datetime | None]]:
    """What was sent of the alerts while they fired: every message that their groups made since they
    were first told of lists or counts them."""
    made = Q(
        groups__deliveries__purpose=Purpose.ALERTS,
        groups__deliveries__created_at__gte=F("told_at"),
    )
    firing = Q(ended_at=None) | Q(groups__deliveries__created_at__lte=F("ended_at"))
    rows = Alert.objects.filter(made & firing, pk__in=alerts).order_by()
    found: dict[UUID, dict[str, datetime | None]] = defaultdict(dict)
    for alert, state, ended in rows.values_list("pk", "groups__deliveries__state").annotate(
        Max("groups__deliveries__ended_at")
    ):
        found[alert][state] = ended
    return found


def _late(alerts: Sequence[UUID]) -> dict[UUID, str]:
    """By alert, what to say of each channel that has not taken a message that it fires, though it is
    tried: for how long, why, and who stood in."""
    tried = Q(groups__deliveries__attempts__gt=0) & ~Q(groups__deliveries__last_error="")
    rows = Alert.objects.filter(
        tried | Q(groups__deliveries__fallbacks__isnull=False),
        pk__in=alerts,
        groups__deliveries__purpose=Purpose.ALERTS,
        groups__deliveries__state__in=_OPEN,
        groups__deliveries__message__status="firing",
        groups__deliveries__created_at__gte=F("told_at"),
    ).order_by("groups__deliveries__channel_name", "groups__deliveries__created_at")
    found: dict[UUID, dict[str, str]] = defaultdict(dict)
    for alert, channel, error, to_come, other, in_place_of in rows.values_list(
        "pk",
        "groups__deliveries__channel_name",
        "groups__deliveries__last_error",
        "groups__deliveries__stand_in_at",
        "groups__deliveries__fallbacks__channel_name",
        "groups__deliveries__fallbacks__message__in_place_of",
    ):
        if other:
            why = dict(in_place_of or ()).get(channel, "it has not taken it yet")
            said = f"{channel} {why.removeprefix('it ')}; {other} stood in"
        else:
            rest = "if it goes on, another stands in soon" if to_come else "it is tried again"
            said = f"{channel} has not taken it yet ({error.rstrip('. ')}); {rest}"
        found[alert].setdefault(channel, said)
    return {alert: ". ".join(each.values()) + "." for alert, each in found.items()}


def _telling(alert: Alert, now: _Now) -> Telling:
    if alert.told_at is not None:
        sent = now.sent.get(alert.pk, {})
        for state, told in _SENT.items():
            if state in sent:
                late = now.late.get(alert.pk, "")
                if told == Told.WAITS:
                    return Telling(told, late)
                return Telling(told, note=late, at=sent[state])
        if not sent:
            # What was sent is past its retention, or was sent by a route that took it before.
            return Telling(Told.TOLD, at=alert.told_at)
        return Telling(Told.NOBODY, "Every message of it failed, by each channel that was tried.")
    if alert.state == AlertState.PENDING:
        return Telling(
            Told.PENDING,
            "It does not fire yet: its condition has not held for as long as its rule asks.",
        )
    if alert.suppressed_by:
        return Telling(Told.HELD, "; ".join(each["text"] for each in alert.suppressed_by) + ".")
    if not config.proactive_alerting_enabled:
        return Telling(
            Told.NOBODY,
            "PROACTIVE_ALERTING_ENABLED is false: alerts are shown here, and nobody is told.",
        )
    groups = now.groups.get(alert.pk, ())
    if alert.state == AlertState.RESOLVED:
        return Telling(Told.NOBODY, "It was over before anybody was to be told.")
    return _to_be_told(alert, groups, now.anybody)


def _to_be_told(alert: Alert, groups: Sequence[_Group], anybody: bool) -> Telling:
    """Of an alert that fires, and of which nothing was sent yet."""
    if not groups or any(each.told for each in groups):
        return Telling(Told.SOON)
    silent = _silent(each.route for each in groups)
    if alert.severity != Severity.PAGE:
        return Telling(Told.NOBODY, silent)
    if anybody:
        return Telling(Told.SOON, note=f"{silent[:-1]}: as a page it goes by another that works.")
    return Telling(Told.NOBODY, f"{silent[:-1]}, and no other channel works.")


def _silent(routes: Iterable[str]) -> str:
    names = sorted(set(routes))
    if len(names) == 1:
        return f"The route {names[0]} has no channel that is enabled."
    return f"The routes {' and '.join(names)} have no channel that is enabled."
