"""Before a turn: deliveries that cannot go by their channel, or are too old, are dealt with."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet

from alerting.choices import DeliveryState, Purpose
from alerting.domain.retrying import EXPIRY, LONG_EXPIRY, expiry_of
from alerting.models import Channel, Delivery
from alerting.services.sending.claims import LONGEST_WAIT, purposes_sent
from alerting.services.sending.ends import give_up
from alerting.services.sending.failing import delivery_fail, fall_back
from alerting.services.sending.holding import AT_ONCE, held
from resilience_site.core import journal
from resilience_site.core.journal import Entry

logger = logging.getLogger(__name__)
# Seconds until one that waits for its channel is looked at again.
_LOOK_AGAIN: Final = timedelta(seconds=60)


def settle(*, now: datetime) -> None:
    """Deal with due deliveries whose channel is gone, paused or switched off, and with old ones.

    They go by the fallback. Without one, alerts go by any channel that works where theirs is
    paused because it fails; the others wait until the channel is used again, and fail when they
    are too old or the channel is gone.
    """
    while _settle_some(now) == AT_ONCE:
        pass


def _settle_some(now: datetime) -> int:
    if not _unsendable(now).exists():
        return 0
    with transaction.atomic():
        settled, channels = held(_unsendable(now), "next_at")
        entries: list[Entry] = []
        for delivery in settled:
            channel = channels.get(delivery.channel_id) if delivery.channel_id else None
            entries += _settled_alone(delivery, channel, now)
        journal.append(entries)
    return len(settled)


def _unsendable(now: datetime) -> QuerySet[Delivery]:
    unusable = Q(channel=None) | Q(channel__enabled=False) | Q(channel__paused_at__isnull=False)
    ends = Q(message__status="resolved") | Q(message__contains={"why": {"occasion": "shrunk"}})
    for_long = Q(purpose=Purpose.REPORT) | ends
    # The age first: what a message says is looked at only of what may be too old.
    old = Q(created_at__lte=now - LONG_EXPIRY) | (Q(created_at__lte=now - EXPIRY) & ~for_long)
    # What is due or leased until a moment that no sender waits for was left so by a wrong clock.
    ahead = now + LONGEST_WAIT
    free = Q(lease_until=None) | Q(lease_until__lt=now) | Q(lease_until__gt=ahead)
    return Delivery.objects.filter(
        free,
        Q(next_at__lte=now) | Q(next_at__gt=ahead),
        old | (unusable & ~Q(purpose=Purpose.TEST)),
        state__in=[DeliveryState.PENDING, DeliveryState.SENDING],
        purpose__in=[*purposes_sent(), Purpose.TEST.value],
    )


def _settled_alone(delivery: Delivery, channel: Channel | None, now: datetime) -> list[Entry]:
    """Deal with one; where that fails it is put off, so that it keeps none of the others, and
    nothing that is to be sent, from its turn."""
    try:
        with transaction.atomic():
            # What was settled before it may have left it nothing to say, or less.
            delivery.refresh_from_db(fields=["state", "message"])
            ended = delivery.state == DeliveryState.FAILED
            return [] if ended else _settled(delivery, channel, now)
    except Exception:
        logger.exception("Delivery %s could not be settled; it is looked at again.", delivery.pk)
        Delivery.objects.filter(pk=delivery.pk).update(next_at=now + _LOOK_AGAIN)
        return []


def _settled(delivery: Delivery, channel: Channel | None, now: datetime) -> list[Entry]:
    why = _why(channel)
    if channel is None:
        return delivery_fail(delivery, None, why, now)
    if delivery.created_at <= now - expiry_of(delivery.purpose, delivery.message):
        return delivery_fail(delivery, channel, f"Not sent in time: {why}", now)
    fails = channel.failing_since is not None and channel.paused_at is not None
    anybody = fails and delivery.purpose == Purpose.ALERTS
    taken = fall_back(delivery, channel, why, now, anybody=anybody)
    if taken is not None:
        return give_up(delivery, why + taken, now)
    delivery.state, delivery.lease_until = DeliveryState.PENDING, None
    delivery.next_at, delivery.last_error = now + _LOOK_AGAIN, f"Waiting: {why}"
    delivery.save(update_fields=["state", "next_at", "lease_until", "last_error"])
    return []


def _why(channel: Channel | None) -> str:
    if channel is None:
        return "the channel was deleted"
    if not channel.enabled:
        return "the channel is switched off"
    if channel.paused_at is not None:
        return f"the channel is paused ({channel.paused_why})"
    return "it was tried until it was too old"
