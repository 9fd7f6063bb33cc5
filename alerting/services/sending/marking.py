"""What came of an attempt, written down: the delivery, its channel, and who is told of it."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from django.db import transaction

from alerting.channels.base import Outcome
from alerting.choices import AttemptOutcome, DeliveryState, Purpose
from alerting.domain.retrying import expiry_of, is_to_be_paused, pause_seconds
from alerting.models import Channel, Delivery, DeliveryAttempt
from alerting.services.sending.attempts import Attempted
from alerting.services.sending.claims import Claim
from alerting.services.sending.entries import channel_entry, delivery_entry
from alerting.services.sending.failing import (
    channel_pause,
    channel_put_off,
    channel_recover,
    delivery_fail,
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
        match outcome.verdict:
            case AttemptOutcome.DELIVERED:
                entries = _delivered(delivery, channel, outcome, now)
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
    delivery: Delivery, channel: Channel | None, outcome: Outcome, now: datetime
) -> list[journal.Entry]:
    delivery.state, delivery.ended_at, delivery.lease_until = DeliveryState.DELIVERED, now, None
    # A part of the receivers may have been refused all the same.
    delivery.last_error = outcome.error
    delivery.save(update_fields=["state", "ended_at", "lease_until", "last_error"])
    entries = [delivery_entry("delivery.delivered", delivery)]
    if channel is None:
        return entries
    was_paused = channel.paused_at is not None
    if channel.failures or was_paused:
        channel_recover(channel, now)
    if was_paused:
        entries.append(channel_entry("channel.resumed", channel))
    return entries


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
    if delivery.next_at >= delivery.created_at + expiry_of(
        delivery.purpose, delivery.message["status"]
    ):
        return _refused(delivery, channel, outcome, now)
    delivery.state = DeliveryState.PENDING
    delivery.save(update_fields=["state", "next_at", "lease_until", "last_error"])
    if channel is None:
        return []
    channel_put_off(channel, delivery.next_at)
    if outcome.retry_after:
        channel.not_before = delivery.next_at
    return _count_failure(channel, outcome, now)


def _refused(
    delivery: Delivery, channel: Channel | None, outcome: Outcome, now: datetime
) -> list[journal.Entry]:
    entries = delivery_fail(delivery, channel, outcome.error, now)
    if channel is not None and delivery.purpose != Purpose.TEST:
        entries += _count_failure(channel, outcome, now)
    return entries


def _count_failure(channel: Channel, outcome: Outcome, now: datetime) -> list[journal.Entry]:
    if channel.paused_at is not None:
        # What was under way when it was paused tells nothing new of it.
        return []
    channel.failures += 1
    channel.failing_since = channel.failing_since or now
    channel.save(update_fields=["failures", "failing_since", "not_before"])
    to_pause = is_to_be_paused(
        failures=channel.failures, failing_since=channel.failing_since, gone=outcome.gone, now=now
    )
    return channel_pause(channel, outcome.error, now) if to_pause else []
