"""What cards of chats say of a message: short texts, a few alerts, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from alerting.channels.base import Envelope
from alerting.domain.incident_brief import incident_pairs
from alerting.domain.messages import AlertTold, IncidentTold, Message

# Alerts that a card lists; the rest are counted.
MOST_ALERTS: Final = 10
_MOST_TEXT: Final = 1_500
# What calls everybody, or somebody, in Discord, Mattermost and others; a blank of no width within
# makes words of it again.
_CALL: Final = re.compile(r"@(?=(?:all|channel|everyone|here)\b)|<(?=[@!#])", re.IGNORECASE)


def clipped(text: str, most: int = _MOST_TEXT) -> str:
    """`text` with at most `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def calling_nobody(text: str) -> str:
    """`text` without mentions: whoever writes labels and errors is not to call a whole room."""
    return _CALL.sub(lambda call: f"{call[0]}\u200b", text)


def status_word(message: Message) -> str:
    """`Page`, `Ticket`, `Info`, or that it is over; a word beside every colour."""
    return "Over" if message.status == "resolved" else message.severity.capitalize()


def listed(message: Message) -> tuple[AlertTold, ...]:
    return message.alerts[:MOST_ALERTS]


def rest(message: Message) -> str:
    """How many alerts are not listed, empty for none."""
    more = len(message.alerts) - len(listed(message)) + message.left_out
    return f"And {more:,} more." if more else ""


def alert_line(alert: AlertTold) -> str:
    """The state of an alert in one line."""
    if alert.status == "resolved":
        ended = f" at {moment(alert.ended_at)}" if alert.ended_at else ""
        return f"Over{ended}, began at {moment(alert.started_at)}"
    return f"{alert.severity.capitalize()}, since {moment(alert.started_at)}"


def links(alert: AlertTold) -> Iterator[tuple[str, str]]:
    """Words and URLs of what can be opened about an alert, the most useful first."""
    if alert.runbook_url:
        yield "What to do", alert.runbook_url
    if alert.incident_url:
        yield "Incident", alert.incident_url
    if alert.url:
        yield "Alert", alert.url


def incident_title(incident: IncidentTold) -> str:
    return clipped(f"Incident: {incident.title}", 300)


def incident_lines(incident: IncidentTold) -> Iterator[str]:
    """The probable cause of an incident, and its impact where that is known."""
    for name, text in incident_pairs(incident):
        yield clipped(f"{name}: {text}")


def why(envelope: Envelope) -> str:
    """Why it was sent, and to which channel."""
    return f"{envelope.message.why_sent} Sent to the channel {envelope.channel}.".strip()


def moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
