"""The outbox: messages that wait to be sent, written with the change that they tell of."""

from __future__ import annotations

from datetime import datetime

from alerting.choices import Purpose
from alerting.domain.messages import Message
from alerting.models import AlertGroup, Channel, Delivery


def delivery_enqueue(
    *,
    channel: Channel,
    message: Message,
    purpose: Purpose,
    group: AlertGroup | None = None,
    now: datetime,
) -> Delivery:
    """Put `message` for `channel` into the outbox, within the caller's transaction if it has one.

    It is sent from the next turn of the sender on. For a channel that is paused or switched off it
    waits, and goes by the channel's fallback; see `alerting.services.sending`.
    """
    return Delivery.objects.create(
        channel=channel,
        channel_name=channel.name,
        purpose=purpose,
        group=group,
        message=message.to_json(),
        next_at=now,
        created_at=now,
    )
