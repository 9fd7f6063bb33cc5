"""What the journal says of deliveries and channels."""

from __future__ import annotations

from typing import Any

from alerting.models import Channel, Delivery
from resilience_site.core.choices import Topic
from resilience_site.core.journal import Entry


def delivery_entry(kind: str, delivery: Delivery) -> Entry:
    """The end of a delivery: `delivery.delivered` or `delivery.failed`."""
    message = delivery.message
    payload: dict[str, Any] = {
        "delivery_id": str(delivery.pk),
        "channel": delivery.channel_name,
        "purpose": delivery.purpose,
        "title": message.get("title", ""),
        "attempts": delivery.attempts,
        "error": delivery.last_error,
        "group_id": delivery.group_id,
        "alert_ids": [each["id"] for each in message.get("alerts", [])],
    }
    key = str(delivery.channel_id or "")
    return Entry(Topic.DELIVERIES, kind, key, delivery.state, payload=payload)


def channel_entry(kind: str, channel: Channel, *, by: str = "") -> Entry:
    """A change of a channel: `channel.changed`, `channel.paused`, `channel.resumed` …; `by` whom,
    empty for the site itself."""
    payload = {"channel": channel.name, "kind": channel.kind, "why": channel.paused_why, "by": by}
    state = "off" if not channel.enabled else "paused" if channel.paused_at else "on"
    return Entry(Topic.DELIVERIES, kind, str(channel.pk), state, payload=payload)
