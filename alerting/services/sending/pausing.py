"""How a channel fails, is left alone, is paused, and works again, and what that is to what waits for
it."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from django.db.models import DateTimeField, F, QuerySet, Value
from django.db.models.functions import Greatest, Least

from alerting.channels.base import Outcome
from alerting.choices import DeliveryState
from alerting.domain.retrying import is_to_be_paused, left_alone_until, pause_seconds
from alerting.models import Channel, Delivery
from alerting.services.sending.entries import channel_entry
from resilience_site.core.journal import Entry


def channel_failed(channel: Channel, outcome: Outcome, now: datetime) -> list[Entry]:
    """Count a failure of a channel; one that keeps failing is paused."""
    if channel.paused_at is not None:
        # What was under way when it was paused tells nothing new of it.
        return []
    channel.failures += 1
    # A clock that was ahead would keep it from being paused.
    channel.failing_since = min(channel.failing_since or now, now)
    channel.save(update_fields=["failures", "failing_since"])
    to_pause = is_to_be_paused(
        failures=channel.failures, failing_since=channel.failing_since, gone=outcome.gone, now=now
    )
    return channel_pause(channel, outcome.error, now) if to_pause else []


def channel_pause(channel: Channel, why: str, now: datetime) -> list[Entry]:
    """Try nothing more on a channel that keeps failing."""
    channel.paused_at, channel.paused_why = now, why
    channel.save(update_fields=["paused_at", "paused_why"])
    # What waits is looked at now: it goes by the fallback, where there is one.
    _open(channel).update(next_at=now)
    return [channel_entry("channel.paused", channel)]


def channel_leave_alone(channel: Channel, asked: float, now: datetime) -> None:
    """Send nothing for so many seconds: its receiver asks for it (`Retry-After`)."""
    channel.not_before = left_alone_until(asked, before=channel.not_before, now=now)
    channel.save(update_fields=["not_before"])


def channel_put_off(
    channel: Channel, until: datetime, now: datetime, *, rng: random.Random
) -> None:
    """What waits for a channel that has just failed waits until then, as it would only fail, too;
    but no longer than the channel has failed for: one message that fails alone keeps no other."""
    pause = timedelta(seconds=pause_seconds(channel.failures, asked=None, rng=rng))
    value = Value(min(until, now + pause), output_field=DateTimeField())
    _open(channel).update(next_at=Greatest(F("next_at"), value))


def channel_worked(channel: Channel, began: datetime, now: datetime) -> list[Entry]:
    """A message was taken whose attempt `began` then.

    It shows that a channel works again if it began after the failure; else what was not tried yet
    goes, one alone at first. After one failure alone, the message that failed keeps its own pause.
    """
    was_paused = channel.paused_at is not None
    if not was_paused and not channel.failures:
        return []
    since = channel.paused_at or channel.failing_since
    # A failure that is yet to come was dated by a wrong clock.
    if since is not None and began < since <= now:
        if not was_paused:
            _hurry(_open(channel).filter(attempts=0), channel, now)
        return []
    channel_recover(channel, now, failed_too=was_paused or channel.failures > 1)
    return [channel_entry("channel.resumed", channel)] if was_paused else []


def channel_moved(channel: Channel, now: datetime) -> None:
    """Its receiver is another one now, which has asked for nothing and failed with nothing: what
    waits is tried there."""
    channel.not_before = None
    channel.save(update_fields=["not_before"])
    _hurry(_open(channel), channel, now)


def channel_recover(channel: Channel, now: datetime, *, failed_too: bool = True) -> None:
    """A channel works again: what waits for it goes at once, with `failed_too` also what failed by
    it; but no sooner than its receiver asked for."""
    channel.failures, channel.failing_since = 0, None
    channel.paused_at, channel.paused_why = None, ""
    channel.save(update_fields=["failures", "failing_since", "paused_at", "paused_why"])
    waiting = _open(channel)
    _hurry(waiting if failed_too else waiting.filter(attempts=0), channel, now)


def _hurry(waiting: QuerySet[Delivery], channel: Channel, now: datetime) -> None:
    until = left_alone_until(None, before=channel.not_before, now=now) or now
    soonest = Value(until, output_field=DateTimeField())
    waiting.update(next_at=Least(F("next_at"), soonest))


def _open(channel: Channel) -> QuerySet[Delivery]:
    return Delivery.objects.filter(channel=channel, state=DeliveryState.PENDING)
