"""A message as the HTML of a mail: one column that fits a phone, styles that mail clients take."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.template import Context, Engine

from alerting.channels.base import Envelope
from alerting.channels.listing import alert_line, clipped, listed, rest, status_word
from alerting.domain.incident_brief import incident_pairs
from alerting.domain.messages import AlertTold, Message
from resilience_site.config import config

_ENGINE: Final = Engine(dirs=[str(Path(__file__).parent)], autoescape=True)
# Alerts that are told whole; of more, each has one line of details.
_FEW: Final = 3
_LINE: Final = 100
_PREVIEW: Final = 160
# White words on each of them, and each beside the word that says the same, can be read.
_COLOURS: Final = {"page": "#c62828", "ticket": "#9a5b00", "info": "#1565c0"}
_OVER: Final = "#2e7d32"
# Many clients drop a style sheet: it has what changes in the dark, and nothing else.
_FONT: Final = "font-family:-apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif"
_STYLES: Final = {
    "outer": "margin:0;padding:0;background-color:#f1f3f5;-webkit-text-size-adjust:100%",
    "card": f"background-color:#ffffff;color:#1c1e21;{_FONT};font-size:16px;line-height:1.45;"
    "word-break:break-word;overflow-wrap:anywhere;text-align:left",
    "part": "padding:16px 16px 0",
    "badge": "display:inline-block;padding:2px 10px;border-radius:4px;color:#ffffff;"
    "font-size:14px;font-weight:700",
    "h1": "margin:10px 0 0;font-size:20px;line-height:1.3;font-weight:700",
    "h2": "margin:0 0 6px;font-size:16px;line-height:1.4;font-weight:700",
    "p": "margin:0 0 8px",
    "list": "margin:0;padding:0;list-style:none",
    "item": "margin:0 0 10px;padding:2px 0 2px 12px",
    "link": "color:#0b57d0",
    "name": "color:#1c1e21;font-weight:600;text-decoration:underline",
    "button": "display:inline-block;margin:0 8px 10px 0;padding:11px 16px;border-radius:6px;"
    "border:1px solid #0b57d0;color:#0b57d0;font-weight:600;text-decoration:none",
    "first": "display:inline-block;margin:0 8px 10px 0;padding:11px 16px;border-radius:6px;"
    "border:1px solid #0b57d0;background-color:#0b57d0;color:#ffffff;font-weight:600;"
    "text-decoration:none",
    "muted": "color:#5a6068;font-size:14px;line-height:1.45",
    "foot": "padding:8px 16px 16px;color:#5a6068;font-size:13px;line-height:1.45",
    "preview": "display:none;max-height:0;overflow:hidden;opacity:0",
}
# Labels that every alert has, or that say again what stands beside them.
_KNOWN: Final = frozenset({"alertname", "severity", "severity_sent", "source"})
_UNREADABLE: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,}", re.I)


def html_of(envelope: Envelope) -> str:
    """The HTML of an attempt's mail."""
    message = envelope.message
    alerts = listed(message)
    incidents = [(each, list(incident_pairs(each))) for each in message.incidents]
    values = {
        "message": message,
        "urgency": status_word(message) if alerts else "",
        "colour": _colour(message.status, message.severity),
        "preview": _preview(message),
        "incidents": incidents,
        "alerts": list(_rows(alerts, message.title)),
        "more": rest(message).removesuffix("."),
        "links": list(_links(message, alerts)),
        "channel": envelope.channel,
        "site": config.resilience_public_url,
        "host": urlsplit(config.resilience_public_url).netloc,
        "style": _STYLES,
    }
    return _ENGINE.get_template("message.html").render(Context(values))


def _colour(status: str, severity: str) -> str:
    return _OVER if status == "resolved" else _COLOURS.get(severity, _COLOURS["info"])


def _preview(message: Message) -> str:
    """What a list of mails shows beside the subject."""
    causes = (each.cause for each in message.incidents if each.cause)
    details = (each.details for each in message.alerts if each.details)
    return clipped(next(causes, "") or next(details, "") or message.text, _PREVIEW)


def _rows(alerts: Sequence[AlertTold], title: str) -> Iterator[Mapping[str, Any]]:
    """What is said of each alert; what the title or the one before it has said is not said again."""
    few, before = len(alerts) <= _FEW, ""
    for alert in alerts:
        details = alert.details if few else clipped(" ".join(alert.details.split()), _LINE)
        yield {
            "colour": _colour(alert.status, alert.severity),
            "summary": "The alert" if _is(title, alert) else clipped(alert.summary, 300),
            "url": alert.url,
            "line": alert_line(alert),
            "details": "" if details == before else details,
            "labels": _labels(alert) if few else "",
        }
        before = details


def _is(title: str, alert: AlertTold) -> bool:
    return title in (alert.summary, f"Over: {alert.summary}")


def _labels(alert: AlertTold) -> str:
    """The labels that say something more to a person."""
    said = (
        f"{name}: {value}"
        for name, value in alert.labels.items()
        if name not in _KNOWN and value not in alert.summary and not _UNREADABLE.fullmatch(value)
    )
    return " · ".join(said)


def _links(message: Message, alerts: Sequence[AlertTold]) -> Iterator[tuple[str, str]]:
    """Words and URLs of what can be opened, each once; the first is what helps most."""
    told = {each.url for each in message.incidents}
    incidents = {each.incident_url for each in alerts if each.incident_url}
    if len(message.incidents) == 1:
        yield "Open the incident", message.incidents[0].url
    elif not told and len(incidents) == 1:
        yield "Open the incident", next(iter(incidents))
    runbooks = {each.runbook_url: each.rule for each in reversed(alerts) if each.runbook_url}
    for url, rule in reversed(runbooks.items()):
        words = "What to do" if len(runbooks) == 1 else f"What to do: {rule.replace('_', ' ')}"
        yield words, url
    if message.url and message.url not in {*told, *incidents}:
        yield ("See the alerts" if alerts else "See it on the site"), message.url
