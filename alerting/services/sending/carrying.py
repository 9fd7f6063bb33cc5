"""Who has the message of a delivery that fails: by the route itself, or in another's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from alerting.choices import DeliveryState
from alerting.domain.messages import Message
from alerting.domain.standing_in import note_of, repeats, says_all_of, told_of
from alerting.models import AlertGroup, Channel, Delivery
from alerting.selectors.group_news import repeat_of


@dataclass(frozen=True)
class Carried:
    """`by` are the deliveries, by channel, by which somebody has the same or will have it, and which
    look for others themselves if they fail; `failed` are the channels that have failed with it."""

    by: Mapping[UUID, Delivery]
    failed: frozenset[UUID]

    def sure(self, now: datetime) -> Delivery | None:
        """One of them that need not be doubted: it arrived, or its channel neither fails nor is left
        alone. First of those that go in the place of others, as they can say so."""
        found = [each for each in self.by.values() if _is_sure(each, now)]
        return min(found, key=lambda each: each.fallback_of_id is None, default=None)


def carried(delivery: Delivery) -> Carried:
    """Who has what a delivery says. The caller holds the row of its group (`group_lock`): what
    another sender does at the same time with the same message is known before or after, whole."""
    chain = _chain(delivery)
    failed = {each.channel_id for each in chain if each.channel_id is not None}
    if delivery.group_id is None:
        # Of no group, it is known of those alone that stand in for it.
        others = delivery.fallbacks.exclude(state=DeliveryState.FAILED).select_related("channel")
        own = {each.channel_id: each for each in others if each.channel_id is not None}
        return Carried(own, frozenset(failed))
    first, by = chain[-1], dict[UUID, Delivery]()
    for each in _said(first, delivery).exclude(pk=delivery.pk):
        if each.channel_id is None or not says_all_of(each.message, delivery.message):
            continue
        if each.state == DeliveryState.FAILED:
            # What was not even tried says nothing of the channel, nor what failed in an earlier turn
            # of its group: it may have been mended since, too.
            failed |= {each.channel_id} if each.attempts and _is_since(each, first) else set()
        elif each.state == DeliveryState.DELIVERED or _works(each.channel):
            by.setdefault(each.channel_id, each)
    return Carried(
        {
            channel: each
            for channel, each in by.items()
            if channel not in failed or each.state == DeliveryState.DELIVERED
        },
        frozenset(failed),
    )


def group_lock(group_id: int | None) -> None:
    """Let one at a time find somebody for what a group says."""
    if group_id is not None:
        rows = AlertGroup.objects.select_for_update(no_key=True).filter(pk=group_id)
        list(rows.values_list("pk"))


def stand_in_also(standing: Delivery, failed: Delivery, why: str) -> None:
    """Name one more channel in a message that goes in the place of others already, if it was not
    tried yet; what was tried says the same each time. Nobody is waited for: who has it is sending."""
    if standing.fallback_of_id is None:
        return
    rows = Delivery.objects.select_for_update(skip_locked=True, of=("self",))
    row = rows.filter(pk=standing.pk, state=DeliveryState.PENDING, attempts=0).first()
    if row is None:
        return
    row.message = in_its_place(Message.from_json(row.message), failed, why).to_json()
    row.save(update_fields=["message"])


def in_its_place(message: Message, failed: Delivery, why: str) -> Message:
    """A message that goes in the place of `failed`, too, and of all in whose place that went."""
    before = Message.from_json(failed.message).in_place_of
    added = [*before, (failed.channel_name, why)]
    names = {name for name, _ in message.in_place_of}
    new = [each for each in added if each[0] not in names]
    in_place_of = (*message.in_place_of, *new)
    return replace(message, in_place_of=in_place_of, note=note_of(in_place_of))


def _chain(delivery: Delivery) -> list[Delivery]:
    """A delivery, that in whose place it goes, and so on."""
    found: list[Delivery] = []
    each: Delivery | None = delivery
    while each is not None:
        found.append(each)
        each = each.fallback_of
    return found


def _said(first: Delivery, delivery: Delivery) -> QuerySet[Delivery]:
    """What a group said in the turn of `first`, also by what a clock that leapt dates before, and
    what it has said before of all that `delivery` tells: where a channel is told anew of what it
    refused, whoever stood in for it has that then, until it is time to repeat it."""
    since = Q(created_at__gte=first.created_at)
    wanted = since | Q(fallback_of__created_at__gte=first.created_at)
    if first.group is not None and not repeats(delivery.message):
        repeated = first.created_at - repeat_of(first.group)
        wanted |= Q(created_at__gt=repeated, message__contains=told_of(delivery.message))
    rows = Delivery.objects.filter(wanted, group=first.group_id, purpose=first.purpose)
    return rows.select_related("channel", "fallback_of").order_by("created_at", "pk")


def _is_since(each: Delivery, first: Delivery) -> bool:
    instead_of = each.fallback_of
    return each.created_at >= first.created_at or (
        instead_of is not None and instead_of.created_at >= first.created_at
    )


def _works(channel: Channel | None) -> bool:
    return channel is not None and channel.enabled and channel.paused_at is None


def _is_sure(delivery: Delivery, now: datetime) -> bool:
    if delivery.state == DeliveryState.DELIVERED:
        return True
    channel = delivery.channel
    if channel is None or channel.failures:
        return False
    return channel.not_before is None or channel.not_before <= now
