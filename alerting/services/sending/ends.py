"""The ends of what channels were told: who heard that something fires hears that it is over, also
where a message fails, and nobody else does."""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime

from alerting.choices import DeliveryState, Purpose
from alerting.domain.messages import Message
from alerting.domain.wording import without_ends
from alerting.models import AlertGroup, Channel, Delivery, Notified
from alerting.selectors.unheard import never_reached
from alerting.services.sending.entries import delivery_entry
from resilience_site.core.journal import Entry


def give_up(delivery: Delivery, why: str, now: datetime, *, lost: bool = False) -> list[Entry]:
    """End a delivery for good, and with it the ends of what it alone would have told by its channel;
    `lost` where nothing goes in its place. The caller holds the row of its group."""
    delivery.state, delivery.ended_at, delivery.lease_until = DeliveryState.FAILED, now, None
    delivery.last_error = why
    delivery.save(update_fields=["state", "ended_at", "lease_until", "last_error"])
    entries = [delivery_entry("delivery.failed", delivery, lost=lost)]
    if delivery.purpose == Purpose.ALERTS and delivery.message["status"] == "firing":
        for each in _behind(delivery):
            entries += _without_ends(each, now)
        _ends_tell(delivery, now)
    return entries


def remember(
    group_id: int,
    channel: Channel,
    *,
    knows: Set[str],
    forgets: Set[str] = frozenset(),
    now: datetime,
) -> None:
    """Keep in the notification log that a channel knows of alerts that fire, so that it is told
    their end."""
    group = AlertGroup.objects.select_for_update(no_key=True).filter(pk=group_id).first()
    if group is None:
        return
    log, _ = Notified.objects.get_or_create(group=group, channel=channel, defaults={"at": now})
    log.firing = sorted({*log.firing, *knows} - forgets)
    log.save(update_fields=["firing"])
    if log.firing and group.due_at is None:
        # What it was told may be over already.
        group.due_at = now
        group.save(update_fields=["due_at"])


def _behind(failed: Delivery) -> list[Delivery]:
    """What waits for the same channel to hear of the same group, and was not tried yet."""
    if failed.group_id is None or failed.channel_id is None:
        return []
    rows = Delivery.objects.select_for_update(of=("self",)).filter(
        group=failed.group_id,
        channel=failed.channel_id,
        purpose=failed.purpose,
        state=DeliveryState.PENDING,
        attempts=0,
        created_at__gte=failed.created_at,
    )
    return list(rows.order_by("created_at", "pk"))


def _ends_tell(failed: Delivery, now: datetime) -> None:
    """A message that is too old for what fires since has taken ends with it: what the channel heard
    of before is told as over by another."""
    why, channel = failed.message.get("why") or {}, failed.channel
    if failed.group_id is None or channel is None or why.get("occasion") not in ("first", "grown"):
        return
    over = {each["id"] for each in failed.message["alerts"] if each["status"] == "resolved"}
    over -= never_reached(failed) if over else over
    if over:
        remember(failed.group_id, channel, knows=over, now=now)


def _without_ends(delivery: Delivery, now: datetime) -> list[Entry]:
    unheard = never_reached(delivery)
    if not unheard:
        return []
    message = Message.from_json(delivery.message)
    left = without_ends(message, unheard)
    if left is None:
        why = f"Not sent: {delivery.channel_name} never heard of what is over"
        return give_up(delivery, why, now)
    if left != message:
        delivery.message = left.to_json()
        delivery.save(update_fields=["message"])
    return []
