"""What follows when a delivery fails for good, or a channel keeps failing: others stand in for it.

People hear of either by an alert: the rules `channel_failing`, `alert_lost` and `message_lost` read
what the journal says of it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.db.models import DateTimeField, F, QuerySet, Value
from django.db.models.functions import Greatest

from alerting.choices import DeliveryState, Purpose
from alerting.domain.messages import Message
from alerting.models import AlertGroup, Channel, Delivery, Notified
from alerting.services.outbox import delivery_enqueue
from alerting.services.sending.entries import channel_entry, delivery_entry
from alerting.services.sending.standins import any_other, fallback_of
from resilience_site.core.journal import Entry


def delivery_fail(
    delivery: Delivery, channel: Channel | None, why: str, now: datetime
) -> list[Entry]:
    """End a delivery for good. Alerts go by the channel's fallback, or by any other channel where
    it has none, reports by the fallback alone; what nobody takes is lost, and the entry says so.
    Tests are sent again by nobody."""
    delivery.state, delivery.ended_at, delivery.lease_until = DeliveryState.FAILED, now, None
    delivery.last_error = why
    delivery.save(update_fields=["state", "ended_at", "lease_until", "last_error"])
    if delivery.purpose == Purpose.TEST:
        return [delivery_entry("delivery.failed", delivery)]
    anybody = delivery.purpose == Purpose.ALERTS
    taken = fall_back(delivery, channel, why, now, anybody=anybody)
    return [delivery_entry("delivery.failed", delivery, lost=not taken)]


def fall_back(
    delivery: Delivery, channel: Channel | None, why: str, now: datetime, *, anybody: bool = False
) -> bool:
    """Send the message of a delivery by the fallback of its channel, where it has one that can be
    used and has not failed with it already; with `anybody` else by whatever channel can."""
    tried = _tried(delivery)
    other = fallback_of(channel, tried) if channel is not None else None
    if other is None and anybody:
        other = any_other(tried)
    if other is None:
        return False
    message = Message.from_json(delivery.message)
    if _told_too(delivery, other, message):
        return True
    note = f"Sent here because the channel {delivery.channel_name} failed: {why}."
    delivery_enqueue(
        channel=other,
        message=replace(message, note=note),
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
    """Try nothing more on a channel that keeps failing."""
    channel.paused_at, channel.paused_why = now, why
    channel.save(update_fields=["paused_at", "paused_why"])
    # What waits is looked at now: it goes by the fallback, where there is one.
    _open(channel).update(next_at=now)
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


def _open(channel: Channel) -> QuerySet[Delivery]:
    return Delivery.objects.filter(channel=channel, state=DeliveryState.PENDING)


def _tried(delivery: Delivery) -> set[UUID]:
    """The channels that have failed with the message: however many, none gets it a second time."""
    tried: list[UUID | None] = []
    each: Delivery | None = delivery
    while each is not None:
        tried.append(each.channel_id)
        each = each.fallback_of
    return {key for key in tried if key is not None}
