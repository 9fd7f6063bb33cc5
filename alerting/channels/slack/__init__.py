"""Slack by an incoming webhook; Mattermost and others take the same form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson
from yarl import URL

from alerting.channels.base import Envelope, kind
from alerting.channels.http import AGENT, HttpKind
from alerting.channels.listing import (
    alert_line,
    calling_nobody,
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

_COLOURS: Final = {"page": "#c62828", "ticket": "#b26a00", "info": "#1565c0"}
_OVER: Final = "#2e7d32"
# Characters that Slack shows of a text, counted as they are sent; of a title and a footer; and those
# of a line, and of a foreign address, of which several stand in one text.
_MOST_TEXT: Final = 3_000
_MOST_TITLE: Final = 300
_MOST_LINE: Final = 1_300
_MOST_URL: Final = 1_000
# What Slack answers to an empty message, once it has found whose webhook it is.
_EMPTY: Final = frozenset({"no_text", "invalid_payload", "missing_text_or_fallback_or_attachments"})


@dataclass(frozen=True)
class SlackOptions:
    """`url` is that of the incoming webhook, which is a secret as a whole. `ca` (PEM) is trusted
    in place of the system's authorities."""

    url: str
    ca: str | None = None


@kind("slack", "Slack")
class SlackKind(HttpKind[SlackOptions]):
    Options = SlackOptions
    secrets = frozenset({"url"})
    asked_by = "an empty message"

    def validate(self, options: SlackOptions) -> None:
        web_url("url", options.url)
        tls_context(ca=options.ca)

    def url(self, options: SlackOptions) -> URL:
        return web_url("url", options.url)

    def authorities(self, options: SlackOptions) -> str | None:
        return options.ca

    def request(self, options: SlackOptions, envelope: Envelope) -> Request:
        headers = {"User-Agent": AGENT, "Content-Type": "application/json"}
        return Request(self.url(options), "POST", headers, orjson.dumps(card(envelope)))

    def probe(self, options: SlackOptions) -> Request:
        headers = {"User-Agent": AGENT, "Content-Type": "application/json"}
        return Request(self.url(options), "POST", headers, b"{}")

    def taken(self, answer: Answer) -> bool | None:
        said = answer.body.decode("utf-8", "replace").strip()
        return True if answer.status == 400 and said in _EMPTY else super().taken(answer)


def card(envelope: Envelope) -> dict[str, Any]:
    """The JSON of a message."""
    message = envelope.message
    title = f"{status_word(message)}: {message.title}"
    # What lists no alerts has all of it in its text.
    incidents = [_incident(each) for each in message.incidents] if message.alerts else []
    alerts = [_attachment(each) for each in listed(message)] or [_plain(message)]
    attachments = [*incidents, *alerts]
    more = rest(message)
    if more:
        attachments.append({"fallback": more, "text": more})
    attachments[-1]["footer"] = escaped(why(envelope), _MOST_TITLE)
    head = f"*{escaped(title, _MOST_TITLE)}*"
    if message.url:
        head += f" <{_url(message.url)}|Open>"
    return {"text": head, "attachments": attachments}


def escaped(text: str, most: int) -> str:
    """`text` without a control character of Slack's markup, and without mentions, cut so that it has
    at most `most` characters then."""
    text = clipped(text, most)
    found = _literal(calling_nobody(text))
    while len(found) > most:
        text = clipped(text, min(len(text) - 1, len(text) * most // len(found)))
        found = _literal(calling_nobody(text))
    return found


def _literal(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _url(url: str) -> str:
    # A bar would end it, and begin the words that are shown of it.
    return _literal(url.replace("|", "%7C"))


def _attachment(alert: AlertTold) -> dict[str, Any]:
    lines = [escaped(each, _MOST_LINE) for each in (alert_line(alert), alert.details) if each]
    urls = [(words, _url(url)) for words, url in links(alert)]
    opens = " · ".join(f"<{url}|{words}>" for words, url in urls if len(url) <= _MOST_URL)
    text = "\n".join([*lines, *([opens] if opens else [])])
    colour = _OVER if alert.status == "resolved" else _COLOURS.get(alert.severity, _COLOURS["info"])
    summary = escaped(alert.summary, _MOST_TITLE)
    return {"color": colour, "fallback": summary, "title": summary, "text": text}


def _incident(incident: IncidentTold) -> dict[str, Any]:
    lines = [escaped(each, _MOST_LINE) for each in incident_lines(incident)]
    lines.append(f"<{_url(incident.url)}|Open the incident>")
    title = escaped(incident_title(incident), _MOST_TITLE)
    return {"fallback": title, "title": title, "text": "\n".join(lines)}


def _plain(message: Message) -> dict[str, Any]:
    text = escaped(message.text, _MOST_TEXT)
    return {
        "color": _COLOURS.get(message.severity, _COLOURS["info"]),
        "fallback": text,
        "text": text,
    }
