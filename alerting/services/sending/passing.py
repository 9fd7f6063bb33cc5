"""Pages that their channels do not take soon: others are told, too, while these are tried on."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from alerting.choices import DeliveryState
from alerting.domain.retrying import WAIT_TO_STAND_IN
from alerting.domain.standing_in import not_taken
from alerting.models import Channel, Delivery
from alerting.services.sending.carrying import carried
from alerting.services.sending.claims import purposes_sent
from alerting.services.sending.failing import fall_back
from alerting.services.sending.holding import held

logger = logging.getLogger(__name__)


def pages_wait(now: datetime) -> bool:
    """Whether there are pages for which a channel has to stand in."""
    return _waiting(now).exists()


def pages_pass_on(*, now: datetime) -> int:
    """Let others have the pages that channels which fail, or are left alone, have not taken in time;
    gives how many were looked at. Each goes on being tried by its own channel, and is told once by
    whoever stands in. Where nobody can, it is looked at again before long."""
    if not pages_wait(now):
        return 0
    with transaction.atomic():
        pages, channels = held(_waiting(now), "stand_in_at")
        for page in pages:
            if page.channel_id in channels:
                _pass_on(page, channels[page.channel_id], now)
    return len(pages)


def _waiting(now: datetime) -> QuerySet[Delivery]:
    """One that no attempt has failed of, by a channel that works, waits for its sender alone; those
    of channels that are paused or switched off are settled."""
    fails = Q(attempts__gt=0) | Q(channel__failures__gt=0) | Q(channel__not_before__gt=now)
    return Delivery.objects.filter(
        fails,
        state=DeliveryState.PENDING,
        stand_in_at__lte=now,
        purpose__in=purposes_sent(),
        channel__enabled=True,
        channel__paused_at=None,
    )


def _pass_on(page: Delivery, channel: Channel, now: datetime) -> None:
    try:
        with transaction.atomic():
            why = not_taken(now - page.created_at, page.last_error)
            fall_back(page, channel, why, now, anybody=True)
            has = page.fallbacks.exists() or carried(page).sure(now) is not None
    except Exception:
        logger.exception("Nobody could be found for delivery %s; it is looked at again.", page.pk)
        has = False
    page.stand_in_at = None if has else now + WAIT_TO_STAND_IN
    page.save(update_fields=["stand_in_at"])
