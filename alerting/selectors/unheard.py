"""What channels were to hear and never got: alerts of which every message to them failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Func, JSONField, Max, Q
from django.db.models.fields.json import KT

from alerting.choices import DeliveryState, Purpose
from alerting.models import AlertGroup, Channel, Delivery

# Of a group that has gone on for long, the newest messages are looked at.
_MOST: Final = 1_000
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_FIRING: Final = Func(
    "message",
    template="""jsonb_path_query_array(%(expressions)s, '$.alerts[*] ? (@.status == "firing").id')""",
    output_field=JSONField(),
)


@dataclass(frozen=True)
class Unheard:
    """Of the alerts that a channel was to be told are firing, those that it never heard of, and
    `again` those of them to tell it now, as it was mended since."""

    alerts: frozenset[UUID] = frozenset()
    again: frozenset[UUID] = frozenset()


@dataclass
class _Failed:
    """The messages of one alert that failed by one channel."""

    at: list[datetime] = field(default_factory=list)

    def to_try(self, channel: Channel, tested: datetime, worked: datetime, now: datetime) -> bool:
        """Whether a person has mended the channel since; or once, where it works by itself again.

        A receiver that takes all but this message would else be told of it for ever.
        """
        if not channel.enabled or channel.paused_at is not None:
            return False
        # What is dated ahead was so by a wrong clock: by it a channel would be mended for ever.
        mended = max(each if each <= now else _NEVER for each in (channel.changed_at, tested))
        if self.at[-1] < mended:
            return True
        since = sum(each > mended for each in self.at)
        return channel.failures == 0 and self.at[-1] < worked and since == 1


def unheard(
    group: AlertGroup,
    known: Mapping[UUID, Set[UUID]],
    fired: Mapping[UUID, datetime],
    now: datetime,
) -> dict[UUID, Unheard]:
    """By channel, what it never heard of; `known` are the alerts that the log says it was told are
    firing, `fired` is since when they do. One query where nothing has failed, else four."""
    if not fired:
        return {}
    rows = Delivery.objects.filter(
        group=group,
        channel__in=[channel for channel, alerts in known.items() if alerts],
        created_at__gte=min(fired.values()),
        purpose=Purpose.ALERTS,
    )
    failing = set(rows.filter(state=DeliveryState.FAILED).values_list("channel_id", flat=True))
    if not failing:
        return {}
    failed = _failed(rows.filter(channel__in=failing), known, fired)
    worked = _worked(failed, min(fired.values()))
    return {
        channel.pk: Unheard(
            frozenset(failed[channel.pk]),
            frozenset(
                alert
                for alert, each in failed[channel.pk].items()
                if each.to_try(channel, *worked.get(channel.pk, (_NEVER, _NEVER)), now)
            ),
        )
        for channel in Channel.objects.filter(pk__in=failed)
    }


def never_reached(delivery: Delivery) -> frozenset[str]:
    """Of the alerts that a message lists, those of which each message before it failed that told its
    channel that they fire. Where it leaves alerts out, none unless every one of these failed."""
    rows = Delivery.objects.filter(
        group=delivery.group_id,
        channel=delivery.channel_id,
        purpose=Purpose.ALERTS,
        created_at__lte=delivery.created_at,
        message__status="firing",
    )
    before = rows.exclude(pk=delivery.pk).order_by("-created_at", "-id")
    began = {each["id"]: each["started_at"] for each in delivery.message["alerts"]}
    failed: set[str] = set()
    got: set[str] = set()
    for state, made, listed, left_out in before.values_list(
        "state", "created_at", _FIRING, KT("message__left_out")
    )[:_MOST]:
        about = began.keys() & set(listed)
        if left_out and left_out != "0":
            about = {each for each, at in began.items() if datetime.fromisoformat(at) <= made}
        (failed if state == DeliveryState.FAILED else got).update(about)
        if state != DeliveryState.FAILED and delivery.message.get("left_out"):
            return frozenset()
    return frozenset(failed - got)


def _failed(
    rows: Any, known: Mapping[UUID, Set[UUID]], fired: Mapping[UUID, datetime]
) -> dict[UUID, dict[UUID, _Failed]]:
    """By channel and alert the failures of what nothing else reached it of, nor is on its way."""
    failed: dict[UUID, dict[UUID, _Failed]] = defaultdict(dict)
    got: dict[UUID, set[UUID]] = defaultdict(set)
    newest = rows.order_by("-created_at", "-id").values_list(
        "channel_id", "state", "created_at", "ended_at", _FIRING, KT("message__left_out")
    )
    for channel, state, made, ended, listed, left_out in newest[:_MOST]:
        about = _about(known[channel], listed, left_out, fired, made)
        if state != DeliveryState.FAILED:
            got[channel] |= about
            continue
        for alert in about:
            failed[channel].setdefault(alert, _Failed()).at.append(ended or made)
    return {
        channel: {
            alert: _Failed(sorted(each.at))
            for alert, each in alerts.items()
            if alert not in got[channel]
        }
        for channel, alerts in failed.items()
    }


def _about(
    known: Set[UUID],
    listed: Collection[str],
    left_out: str | None,
    fired: Mapping[UUID, datetime],
    made: datetime,
) -> set[UUID]:
    """The alerts that a message lists as firing, or may count among those that it leaves out."""
    if left_out and left_out != "0":
        return {each for each in known if fired.get(each, made) <= made}
    return {each for each in map(UUID, listed) if each in known}


def _worked(channels: Iterable[UUID], since: datetime) -> dict[UUID, tuple[datetime, datetime]]:
    """By channel, when a test last arrived by it, and when anything did."""
    rows = Delivery.objects.filter(
        channel__in=list(channels), created_at__gte=since, state=DeliveryState.DELIVERED
    ).order_by()
    found = rows.values("channel_id").annotate(
        tested=Max("ended_at", filter=Q(purpose=Purpose.TEST)), worked=Max("ended_at")
    )
    return {
        each["channel_id"]: (each["tested"] or _NEVER, each["worked"] or _NEVER) for each in found
    }
