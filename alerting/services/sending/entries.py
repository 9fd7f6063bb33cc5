"""What the journal says of deliveries and channels."""

from __future__ import annotations

from typing import Any, Final, Literal

from alerting.choices import Purpose, Severity
from alerting.domain.retrying import FAILURES_TO_PAUSE
from alerting.models import Channel, Delivery
from alerting.services.sending.standins import meanwhile
from resilience_site.core.choices import Topic
from resilience_site.core.journal import Entry

# The shipped rules over these entries. A message about them alone that is lost is no news: it would
# be told by another such message, and that one, too, for ever.
ABOUT_TELLING: Final = frozenset({"channel_failing", "alert_lost", "message_lost"})


def delivery_entry(kind: str, delivery: Delivery, *, lost: bool = False) -> Entry:
    """The end of a delivery: `delivery.delivered` or `delivery.failed`; `lost` where it failed and
    nothing goes in its place."""
    message = delivery.message
    payload: dict[str, Any] = {
        "delivery_id": str(delivery.pk),
        "channel": delivery.channel_name,
        "purpose": delivery.purpose,
        "title": message.get("title", ""),
        "attempts": delivery.attempts,
        "error": delivery.last_error,
        "lost": _lost(delivery) if lost else "",
        "group_id": delivery.group_id,
        "alert_ids": [each["id"] for each in message.get("alerts", [])],
    }
    key = str(delivery.channel_id or "")
    return Entry(Topic.DELIVERIES, kind, key, delivery.state, payload=payload)


def _lost(delivery: Delivery) -> Literal["", "page", "message"]:
    """What is lost with a delivery: a page that somebody waits for, any other message, or nothing
    that should be told of."""
    message = delivery.message
    rules = {each["rule"] for each in message.get("alerts", [])}
    if rules and rules <= ABOUT_TELLING:
        return ""
    urgent = message["status"] == "firing" and message["severity"] == Severity.PAGE
    return "page" if urgent and delivery.purpose == Purpose.ALERTS else "message"


def channel_entry(kind: str, channel: Channel, *, by: str = "") -> Entry:
    """A change of a channel: `channel.changed`, `channel.paused`, `channel.resumed` …; `by` whom,
    empty for the site itself."""
    paused = channel.enabled and channel.paused_at is not None and kind != "channel.deleted"
    failing = paused and channel.failing_since is not None
    since = channel.failing_since if failing else None
    payload = {
        "channel": channel.name,
        "kind": channel.kind,
        "why": channel.paused_why,
        "by": by,
        # Whether the site paused it, as it keeps failing, and a person wants it to be used.
        "failing": failing,
        # Fewer failures pause it at one reason alone: its receiver says that nobody listens there.
        "gone": failing and channel.failures < FAILURES_TO_PAUSE,
        "failures": channel.failures,
        "since": since.isoformat() if since else "",
        "meanwhile": meanwhile(channel) if failing else "",
    }
    state = "off" if not channel.enabled else "paused" if channel.paused_at else "on"
    return Entry(Topic.DELIVERIES, kind, str(channel.pk), state, payload=payload)
