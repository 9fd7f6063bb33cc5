"""Reads of channels and deliveries."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Max, Q, QuerySet

from alerting.choices import DeliveryState
from alerting.models import Channel, Delivery


@dataclass(frozen=True)
class Figures:
    """Of a channel: how many messages wait, and when it last delivered and failed one."""

    waiting: int = 0
    delivered_at: datetime | None = None
    failed_at: datetime | None = None


def channel_list() -> QuerySet[Channel]:
    """All channels with their fallbacks."""
    return Channel.objects.select_related("fallback")


def channel_find(channel_id: UUID) -> Channel | None:
    return channel_list().filter(pk=channel_id).first()


def channels_named(names: Collection[str]) -> dict[str, Channel]:
    """By each of these names or ids the channel that it means, where there is one; one query. A name
    goes before an id."""
    ids = {name: id for name in names if (id := _id(name)) is not None}
    rows = channel_list().filter(
        Q(name__in=[each for each in names if "\0" not in each]) | Q(pk__in=ids.values())
    )
    by_id = {each.pk: each for each in rows}
    named = {name: by_id[id] for name, id in ids.items() if id in by_id}
    return named | {each.name: each for each in rows if each.name in names}


def channel_meant(name: str) -> UUID | None:
    """What a name or an id means: of an id also that of a channel that is not there any more."""
    found = channels_named([name]).get(name)
    return found.pk if found else _id(name)


def _id(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None


def channel_state(channel: Channel) -> str:
    """`off`, `paused`, `failing` (its last attempt failed) or `on`."""
    if not channel.enabled:
        return "off"
    if channel.paused_at is not None:
        return "paused"
    return "failing" if channel.failures else "on"


def channel_figures() -> dict[UUID, Figures]:
    """By channel, over what is kept of its deliveries; one query."""
    ended = DeliveryState.DELIVERED, DeliveryState.FAILED
    rows = (
        Delivery.objects.exclude(channel=None)
        .values("channel_id")
        .annotate(
            waiting=Count("pk", filter=~Q(state__in=ended)),
            delivered_at=Max("ended_at", filter=Q(state=DeliveryState.DELIVERED)),
            failed_at=Max("ended_at", filter=Q(state=DeliveryState.FAILED)),
        )
        .order_by()
    )
    return {
        row["channel_id"]: Figures(row["waiting"], row["delivered_at"], row["failed_at"])
        for row in rows
    }


def delivery_list(
    *, channel_id: UUID | None = None, state: str = "", purpose: str = ""
) -> QuerySet[Delivery]:
    """Deliveries that match; an empty filter takes all."""
    found = Delivery.objects.select_related("channel", "fallback_of")
    if channel_id is not None:
        found = found.filter(channel_id=channel_id)
    if state == "open":
        found = found.filter(state__in=[DeliveryState.PENDING, DeliveryState.SENDING])
    elif state:
        found = found.filter(state=state)
    return found.filter(purpose=purpose) if purpose else found


def delivery_find(delivery_id: UUID) -> Delivery | None:
    """One delivery with its attempts, and those that went in its place."""
    found = Delivery.objects.select_related("channel", "fallback_of", "group")
    return found.prefetch_related("tries", "fallbacks").filter(pk=delivery_id).first()
