"""Microsoft Teams by a workflow that posts adaptive cards ("when a webhook request is received")."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from yarl import URL

from alerting.channels.base import Envelope, kind
from alerting.channels.http import AGENT, HttpKind
from alerting.channels.listing import (
    alert_line,
    clipped,
    incident_lines,
    incident_title,
    links,
    listed,
    rest,
    status_word,
    why,
)
from alerting.domain.messages import AlertTold, IncidentTold, Message
from health.checks.tlscontext import tls_context
from health.checks.web import Answer, Request
from health.checks.weburl import web_url

_SCHEMA: Final = "http://adaptivecards.io/schemas/adaptive-card.json"
_COLOURS: Final = {"page": "Attention", "ticket": "Warning", "info": "Accent"}
# Teams refuses messages of more than 28 KB.
_MOST_BYTES: Final = 26_000
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]()#+\-.!>~|])")


@dataclass(frozen=True)
class TeamsOptions:
    """`url` is that of the workflow, which is a secret as a whole. `ca` (PEM) is trusted in place
    of the system's authorities."""

    url: str
    ca: str | None = None


@kind("teams", "Microsoft Teams")
class TeamsKind(HttpKind[TeamsOptions]):
    Options = TeamsOptions
    secrets = frozenset({"url"})
    asked_by = "a message that is no JSON"

    def validate(self, options: TeamsOptions) -> None:
        web_url("url", options.url)
        tls_context(ca=options.ca)

    def url(self, options: TeamsOptions) -> URL:
        return web_url("url", options.url)

    def authorities(self, options: TeamsOptions) -> str | None:
        return options.ca

    def request(self, options: TeamsOptions, envelope: Envelope) -> Request:
        headers = {"User-Agent": AGENT, "Content-Type": "application/json"}
        return Request(self.url(options), "POST", headers, body_of(envelope))

    def probe(self, options: TeamsOptions) -> Request:
        # No JSON: whatever looks at the address first then refuses it, and no workflow begins.
        headers = {"User-Agent": AGENT, "Content-Type": "application/json"}
        return Request(self.url(options), "POST", headers, b"{")

    def taken(self, answer: Answer) -> bool | None:
        known = answer.status == 400 and b"InvalidRequestContent" in answer.body
        return True if known else super().taken(answer)


def body_of(envelope: Envelope) -> bytes:
    """The message with its card; of alerts as many as Teams takes, at least one, and beside it of
    the incidents as many."""
    told, incidents = listed(envelope.message), envelope.message.incidents
    while True:
        body = orjson.dumps(_message(envelope, told, incidents))
        if len(body) <= _MOST_BYTES or (len(told) < 2 and not incidents):
            return body
        if len(told) > 1:
            told = told[: len(told) // 2]
        else:
            incidents = incidents[:-1]


def _message(
    envelope: Envelope, told: tuple[AlertTold, ...], incidents: tuple[IncidentTold, ...]
) -> dict[str, Any]:
    return {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": _card(envelope, told, incidents),
            }
        ],
    }


def _card(
    envelope: Envelope, told: tuple[AlertTold, ...], incidents: tuple[IncidentTold, ...]
) -> dict[str, Any]:
    message = envelope.message
    title = clipped(f"{status_word(message)}: {message.title}", 300)
    body = [_text(title, size="Large", weight="Bolder", color=_colour(message))]
    # What lists no alerts has all of it in its text.
    for incident in incidents if told else ():
        body += _incident_blocks(incident)
    for alert in told:
        body += _alert_blocks(alert)
    more = len(message.alerts) - len(told) + message.left_out
    if not told:
        body.append(_text(clipped(message.text, 3_000)))
    if more:
        body.append(
            _text(f"And {more:,} more." if len(told) != len(listed(message)) else rest(message))
        )
    body.append(_text(clipped(why(envelope), 300), isSubtle=True, size="Small"))
    card: dict[str, Any] = {
        "$schema": _SCHEMA,
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "msteams": {"width": "Full"},
    }
    if message.url:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": message.url}]
    return card


def _incident_blocks(incident: IncidentTold) -> Iterator[dict[str, Any]]:
    yield _text(incident_title(incident), weight="Bolder", separator=True)
    for line in incident_lines(incident):
        yield _text(line, spacing="None")
    opens = f"[Open the incident]({_url(incident.url)})"
    yield {"type": "TextBlock", "text": opens, "wrap": True, "spacing": "None"}


def _alert_blocks(alert: AlertTold) -> Iterator[dict[str, Any]]:
    yield _text(clipped(alert.summary, 300), weight="Bolder", separator=True)
    yield _text(alert_line(alert), isSubtle=True, spacing="None")
    if alert.details:
        yield _text(clipped(alert.details), spacing="None")
    opens = " · ".join(f"[{words}]({_url(url)})" for words, url in links(alert))
    if opens:
        yield {"type": "TextBlock", "text": opens, "wrap": True, "spacing": "None"}


def _text(text: str, **more: Any) -> dict[str, Any]:
    """A block whose text shows as it is: cards read a part of Markdown."""
    return {"type": "TextBlock", "text": _MARKUP.sub(r"\\\1", text), "wrap": True, **more}


def _url(url: str) -> str:
    return url.replace(" ", "%20").replace("(", "%28").replace(")", "%29")


def _colour(message: Message) -> str:
    return "Good" if message.status == "resolved" else _COLOURS.get(message.severity, "Default")
