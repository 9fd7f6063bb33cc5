"""The outbox: messages that wait to be sent, written with the change that they tell of."""

from __future__ import annotations

from datetime import datetime

import orjson

from alerting.choices import Purpose
from alerting.domain.messages import Message
from alerting.domain.retrying import WAIT_TO_STAND_IN, must_be_seen
from alerting.models import AlertGroup, Channel, Delivery
from health.services.storable import json_storable


def delivery_enqueue(
    *,
    channel: Channel,
    message: Message,
    purpose: Purpose,
    group: AlertGroup | None = None,
    fallback_of: Delivery | None = None,
    now: datetime,
) -> Delivery:
    """Put `message` for `channel` into the outbox, within the caller's transaction if it has one.

    It is sent from the next turn of the sender on, in the order of its group. Of a channel that is
    paused or switched off it goes by the fallback, or waits; see `alerting.services.sending`.
    `fallback_of` is the delivery in whose place it goes.
    """
    kept = orjson.loads(json_storable(message.to_json()))
    return Delivery.objects.create(
        channel=channel,
        channel_name=channel.name,
        purpose=purpose,
        group=group,
        message=kept,
        fallback_of=fallback_of,
        next_at=now,
        created_at=now,
        stand_in_at=now + WAIT_TO_STAND_IN if must_be_seen(purpose, kept) else None,
    )
