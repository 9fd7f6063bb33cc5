"""What follows when a delivery fails for good: others stand in for its channel.

People hear of it by an alert: the rules `channel_failing`, `alert_lost` and `message_lost` read
what the journal says of it.
"""

from __future__ import annotations

from datetime import datetime

from alerting.choices import Purpose
from alerting.domain.messages import Message
from alerting.models import Channel, Delivery
from alerting.services.outbox import delivery_enqueue
from alerting.services.sending.carrying import carried, group_lock, in_its_place, stand_in_also
from alerting.services.sending.ends import give_up, remember
from alerting.services.sending.standins import any_other, fallback_of
from resilience_site.core.journal import Entry


def delivery_fail(
    delivery: Delivery, channel: Channel | None, why: str, now: datetime
) -> list[Entry]:
    """End a delivery for good. Alerts go by the channel's fallback, or by any other channel where
    it has none, reports by the fallback alone; what nobody takes is lost, and the entry says so.
    Tests are sent again by nobody."""
    taken: str | None = ""
    if delivery.purpose != Purpose.TEST:
        anybody = delivery.purpose == Purpose.ALERTS
        taken = fall_back(delivery, channel, why, now, anybody=anybody)
    return give_up(delivery, why + (taken or ""), now, lost=taken is None)


def fall_back(
    delivery: Delivery, channel: Channel | None, why: str, now: datetime, *, anybody: bool = False
) -> str | None:
    """Send the message of a delivery by the fallback of its channel, where it has one that can be
    used and has not failed with it already; with `anybody` else by whatever channel can.

    Whoever has the message anyway gets no second one; where it got to somebody, or surely will, no
    other channel is looked for. Gives None where nobody takes it, else what to add to why it failed, if anything.
    """
    group_lock(delivery.group_id)
    known = carried(delivery)
    other = fallback_of(channel, known.failed) if channel is not None else None
    has = known.sure(now) if other is None and anybody else None
    if other is None and has is None and anybody:
        # First one that has it not: those that have it may not get it either.
        other = any_other(known.failed | known.by.keys()) or any_other(known.failed)
    if other is not None:
        has = known.by.get(other.pk)
    if has is not None:
        stand_in_also(has, delivery, why)
        return f". The channel {has.channel_name} has this message anyway"
    if other is None:
        return None
    message = Message.from_json(delivery.message)
    delivery_enqueue(
        channel=other,
        message=in_its_place(message, delivery, why),
        purpose=Purpose(delivery.purpose),
        group=delivery.group,
        fallback_of=delivery,
        now=now,
    )
    if delivery.purpose == Purpose.ALERTS and delivery.group_id is not None:
        # So that it is told of the end, too, though the channel that failed may work again by then.
        over = {each.id for each in message.alerts if each.status == "resolved"}
        firing = {each.id for each in message.alerts if each.status == "firing"}
        remember(delivery.group_id, other, knows=firing, forgets=over, now=now)
    return ""
