"""What came of an attempt, written down: the delivery, its channel, and who is told of it."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from django.db import transaction

from alerting.channels.base import Outcome
from alerting.choices import AttemptOutcome, DeliveryState, Purpose
from alerting.domain.retrying import FAILURES_TO_STAND_IN, expiry_of, pause_seconds
from alerting.models import Channel, Delivery, DeliveryAttempt
from alerting.services.sending.attempts import Attempted
from alerting.services.sending.claims import Claim
from alerting.services.sending.entries import delivery_entry
from alerting.services.sending.failing import delivery_fail
from alerting.services.sending.pausing import (
    channel_failed,
    channel_leave_alone,
    channel_put_off,
    channel_worked,
)
from resilience_site.core import journal


def attempt_mark(*, claim: Claim, attempted: Attempted, now: datetime, rng: random.Random) -> None:
    """Write down an attempt. Where another sender has claimed the delivery meanwhile, only the
    attempt itself is kept: what becomes of the delivery is that sender's to say."""
    outcome = attempted.outcome
    with transaction.atomic():
        # Channels before deliveries, in every transaction that locks both; others may refer to the
        # channel meanwhile, such as those who tell of a group.
        named = Channel.objects.select_for_update(of=("self",), no_key=True)
        channel = named.filter(deliveries=claim.delivery).first()
        delivery = Delivery.objects.select_for_update().filter(pk=claim.delivery.pk).first()
        if delivery is None:
            return
        _attempt_keep(claim, attempted, now)
        if delivery.fence != claim.fence or delivery.state != DeliveryState.SENDING:
            return
        if channel is not None and outcome.retry_after:
            channel_leave_alone(channel, outcome.retry_after, now)
        began = now - timedelta(seconds=attempted.seconds)
        match outcome.verdict:
            case AttemptOutcome.DELIVERED:
                entries = _delivered(delivery, channel, outcome, began, now)
            case AttemptOutcome.RETRY if delivery.purpose != Purpose.TEST:
                entries = _again(delivery, channel, outcome, now, rng)
            case _:
                entries = _refused(delivery, channel, outcome, now)
        journal.append(entries)


def _attempt_keep(claim: Claim, attempted: Attempted, now: datetime) -> None:
    outcome = attempted.outcome
    DeliveryAttempt.objects.create(
        delivery=claim.delivery,
        n=claim.attempt,
        at=now - timedelta(seconds=attempted.seconds),
        milliseconds=round(attempted.seconds * 1000),
        request=dict(outcome.request),
        status=outcome.status,
        answer=outcome.answer,
        outcome=outcome.verdict,
        error=outcome.error,
    )


def _delivered(
    delivery: Delivery,
    channel: Channel | None,
    outcome: Outcome,
    began: datetime,
    now: datetime,
) -> list[journal.Entry]:
    delivery.state, delivery.ended_at, delivery.lease_until = DeliveryState.DELIVERED, now, None
    # A part of the receivers may have been refused all the same.
    delivery.last_error = outcome.error
    delivery.save(update_fields=["state", "ended_at", "lease_until", "last_error"])
    entries = [delivery_entry("delivery.delivered", delivery)]
    return entries + (channel_worked(channel, began, now) if channel is not None else [])


def _again(
    delivery: Delivery,
    channel: Channel | None,
    outcome: Outcome,
    now: datetime,
    rng: random.Random,
) -> list[journal.Entry]:
    pause = pause_seconds(delivery.attempts, asked=outcome.retry_after, rng=rng)
    delivery.next_at = now + timedelta(seconds=pause)
    delivery.last_error, delivery.lease_until = outcome.error, None
    if delivery.next_at >= delivery.created_at + expiry_of(delivery.purpose, delivery.message):
        return _refused(delivery, channel, outcome, now)
    delivery.state = DeliveryState.PENDING
    failures = max(delivery.attempts, channel.failures + 1 if channel is not None else 0)
    if delivery.stand_in_at is not None and failures >= FAILURES_TO_STAND_IN:
        delivery.stand_in_at = now
    delivery.save(update_fields=["state", "next_at", "lease_until", "last_error", "stand_in_at"])
    if channel is None:
        return []
    entries = channel_failed(channel, outcome, now)
    if channel.paused_at is None:
        channel_put_off(channel, delivery.next_at, now, rng=rng)
    return entries


def _refused(
    delivery: Delivery, channel: Channel | None, outcome: Outcome, now: datetime
) -> list[journal.Entry]:
    entries = delivery_fail(delivery, channel, outcome.error, now)
    if channel is not None and delivery.purpose != Purpose.TEST:
        entries += channel_failed(channel, outcome, now)
    return entries
