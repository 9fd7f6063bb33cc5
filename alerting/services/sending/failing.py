"""What follows when a delivery fails for good, or a channel keeps failing: somebody else is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import DateTimeField, F, QuerySet, Value
from django.db.models.functions import Greatest

from alerting.choices import DeliveryState, Purpose
from alerting.domain.messages import Message
from alerting.models import AlertGroup, Channel, Delivery, Notified
from alerting.services.outbox import delivery_enqueue
from alerting.services.sending.entries import channel_entry, delivery_entry
from resilience_site.core.journal import Entry
from resilience_site.core.links import absolute

# How often at most the others are told that something could not be sent by one channel.
_NOTICE_EVERY: Final = timedelta(hours=1)
# A fallback may have a fallback; a ring of them ends here.
_MOST_STEPS: Final = 5


def delivery_fail(
    delivery: Delivery, channel: Channel | None, why: str, now: datetime
) -> list[Entry]:
    """End a delivery for good. Alerts go by the channel's fallback, or by any other channel where
    it has none; of a report that has no fallback another channel is told. Tests and notices have
    neither."""
    delivery.state, delivery.ended_at, delivery.lease_until = DeliveryState.FAILED, now, None
    delivery.last_error = why
    delivery.save(update_fields=["state", "ended_at", "lease_until", "last_error"])
    entries = [delivery_entry("delivery.failed", delivery)]
    if delivery.purpose in (Purpose.TEST, Purpose.NOTICE):
        return entries
    anybody = delivery.purpose == Purpose.ALERTS
    if not fall_back(delivery, channel, why, now, anybody=anybody) and channel is not None:
        text = (
            f"“{delivery.message['title']}” could not be sent by the channel {channel.name}: {why}."
            f"\n\nIt is kept here: {absolute(f'/alerts/deliveries/{delivery.pk}')}"
        )
        _notice(channel, f"A message could not be sent by {channel.name}", text, now)
    return entries


def fall_back(
    delivery: Delivery, channel: Channel | None, why: str, now: datetime, *, anybody: bool = False
) -> bool:
    """Send the message of a delivery by the fallback of its channel, where it has one that can be
    used and has not failed with it already; with `anybody` else by whatever channel can."""
    tried = _tried(delivery)
    other = fallback_of(channel, tried) if channel is not None else None
    if other is None and anybody:
        other = _usable(tried)
    if other is None:
        return False
    message = Message.from_json(delivery.message)
    if _told_too(delivery, other, message):
        return True
    note = f"Sent here because the channel {delivery.channel_name} failed: {why}."
    delivery_enqueue(
        channel=other,
        message=replace(message, text=f"{note}\n\n{message.text}"),
        purpose=Purpose(delivery.purpose),
        group=delivery.group,
        fallback_of=delivery,
        now=now,
    )
    if delivery.purpose == Purpose.ALERTS and delivery.group_id is not None:
        _remember(delivery.group_id, other, message, now)
    return True


def _told_too(delivery: Delivery, other: Channel, message: Message) -> bool:
    """Whether the fallback hears the same of the group anyway, as it takes the same alerts."""
    if delivery.group_id is None:
        return False
    own = Delivery.objects.filter(group=delivery.group_id, channel=other, fallback_of=None)
    rows = own.filter(created_at__gte=delivery.created_at).values_list("message", flat=True)
    return any(Message.from_json(each).alerts == message.alerts for each in rows)


def _remember(group_id: int, channel: Channel, message: Message, now: datetime) -> None:
    """Keep in the notification log what the fallback was told, so that it is told of the end, too,
    though the channel that failed may work again by then."""
    group = AlertGroup.objects.select_for_update(no_key=True).filter(pk=group_id).first()
    if group is None:
        return
    log, _ = Notified.objects.get_or_create(group=group, channel=channel, defaults={"at": now})
    over = {each.id for each in message.alerts if each.status == "resolved"}
    firing = {each.id for each in message.alerts if each.status == "firing"}
    log.firing = sorted({*log.firing, *firing} - over)
    log.save(update_fields=["firing"])
    if log.firing and group.due_at is None:
        # What it was told may be over already.
        group.due_at = now
        group.save(update_fields=["due_at"])


def channel_pause(channel: Channel, why: str, now: datetime) -> list[Entry]:
    """Try nothing more on a channel that keeps failing, and say so on another one."""
    channel.paused_at, channel.paused_why = now, why
    channel.save(update_fields=["paused_at", "paused_why"])
    # What waits is looked at now: it goes by the fallback, where there is one.
    _open(channel).update(next_at=now)
    other = fallback_of(channel, {channel.pk}) or _usable({channel.pk})
    what = f"Alerts that were to go by it go by {other.name}." if other is not None else ""
    since = channel.failing_since or now
    text = (
        f"The channel {channel.name} has failed {channel.failures} times in a row since "
        f"{since:%Y-%m-%d %H:%M:%S} UTC, and nothing more is sent by it. The last time: {why}."
        f"\n\n{what}\n\nMend it and press Test, or Resume: "
        f"{absolute(f'/alerts/channels/{channel.pk}')}"
    )
    _notice(channel, f"The channel {channel.name} is paused: it keeps failing", text, now)
    return [channel_entry("channel.paused", channel)]


def channel_recover(channel: Channel, now: datetime) -> None:
    """A channel works again: what waits for it goes at once."""
    channel.failures, channel.failing_since = 0, None
    channel.paused_at, channel.paused_why, channel.not_before = None, "", None
    channel.save(
        update_fields=["failures", "failing_since", "paused_at", "paused_why", "not_before"]
    )
    _open(channel).update(next_at=now)


def channel_put_off(channel: Channel, until: datetime) -> None:
    """What waits for a channel that has just failed waits until then: it would only fail, too."""
    later = Greatest(F("next_at"), Value(until, output_field=DateTimeField()))
    _open(channel).update(next_at=later)


def fallback_of(channel: Channel, tried: set[UUID]) -> Channel | None:
    """The first channel along the fallbacks that can be used and was not tried."""
    each: Channel | None = channel
    for _ in range(_MOST_STEPS):
        each = each.fallback if each is not None else None
        if each is None:
            return None
        if each.enabled and each.paused_at is None and each.pk not in tried:
            return each
    return None


def _usable(tried: set[UUID]) -> Channel | None:
    """The channel that works best, apart from those that were tried."""
    working = Channel.objects.filter(enabled=True, paused_at=None).exclude(pk__in=tried)
    return working.order_by("failures", "name").first()


def _open(channel: Channel) -> QuerySet[Delivery]:
    return Delivery.objects.filter(channel=channel, state=DeliveryState.PENDING)


def _tried(delivery: Delivery) -> set[UUID]:
    tried: list[UUID | None] = []
    each: Delivery | None = delivery
    while each is not None and len(tried) <= _MOST_STEPS:
        tried.append(each.channel_id)
        each = each.fallback_of
    return {key for key in tried if key is not None}


def _notice(channel: Channel, title: str, text: str, now: datetime) -> None:
    """Tell another channel, unless one was told so lately. Where there is no other one, the
    screens and the journal alone say it."""
    other = fallback_of(channel, {channel.pk}) or _usable({channel.pk})
    key = f"channel:{channel.pk}:{title}"
    lately = Delivery.objects.filter(
        purpose=Purpose.NOTICE, created_at__gt=now - _NOTICE_EVERY, message__group_key=key
    )
    if other is None or lately.exists():
        return
    message = Message(
        title=title,
        text=text,
        severity="ticket",
        url=absolute(f"/alerts/channels/{channel.pk}"),
        group_key=key,
    )
    delivery_enqueue(channel=other, message=message, purpose=Purpose.NOTICE, now=now)
