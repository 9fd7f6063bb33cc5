"""PagerDuty by Events API v2: one alert there for each group here, opened and resolved by its key."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import uuid4

import orjson
from yarl import URL

from alerting.channels.base import Envelope, Outcome, kind
from alerting.channels.http import AGENT, HttpKind
from alerting.channels.listing import clipped, links, listed, rest
from alerting.choices import AttemptOutcome, Purpose
from alerting.domain.incident_brief import cause_words
from alerting.domain.messages import Message
from health.checks.addresses import Addresses
from health.checks.options import OptionError
from health.checks.tlscontext import tls_context
from health.checks.web import Answer, Request
from health.checks.weburl import web_url
from resilience_site.config import config

_URL: Final = "https://events.pagerduty.com/v2/enqueue"
_KEY: Final = re.compile(r"[A-Za-z0-9]{32}")
_SEVERITIES: Final = {"page": "critical", "ticket": "warning", "info": "info"}
_MOST_SUMMARY: Final = 1_024
_MOST_KEY: Final = 255
_TAKEN: Final = 202


@dataclass(frozen=True)
class PagerDutyOptions:
    """`routing_key` is that of an integration of Events API v2. `url` for another region, such as
    `https://events.eu.pagerduty.com/v2/enqueue`. `ca` (PEM) is trusted in place of the system's
    authorities."""

    routing_key: str
    url: str = _URL
    ca: str | None = None


@kind("pagerduty", "PagerDuty")
class PagerDutyKind(HttpKind[PagerDutyOptions]):
    Options = PagerDutyOptions
    secrets = frozenset({"routing_key"})
    asked_by = "the end of what never began"

    def validate(self, options: PagerDutyOptions) -> None:
        if not _KEY.fullmatch(options.routing_key):
            raise OptionError(
                "routing_key", "must have 32 letters and digits, as PagerDuty shows it"
            )
        web_url("url", options.url)
        tls_context(ca=options.ca)

    def url(self, options: PagerDutyOptions) -> URL:
        return web_url("url", options.url)

    def authorities(self, options: PagerDutyOptions) -> str | None:
        return options.ca

    def request(self, options: PagerDutyOptions, envelope: Envelope) -> Request:
        headers = {"User-Agent": AGENT, "Content-Type": "application/json"}
        event = {"routing_key": options.routing_key, **event_of(envelope)}
        return Request(self.url(options), "POST", headers, orjson.dumps(event))

    async def send(
        self, options: PagerDutyOptions, envelope: Envelope, addresses: Addresses
    ) -> Outcome:
        outcome = await super().send(options, envelope, addresses)
        if envelope.purpose != Purpose.TEST or outcome.verdict != AttemptOutcome.DELIVERED:
            return outcome
        # Nobody would close what a test opens there.
        answer = await self._asked(self._end(options, dedup_key(envelope)), options, addresses)
        if isinstance(answer, Answer) and answer.status == _TAKEN:
            return outcome
        why = answer.error if isinstance(answer, Outcome) else f"it answered {answer.status}"
        return replace(outcome, error=f"Close the alert of this test at PagerDuty yourself: {why}")

    def probe(self, options: PagerDutyOptions) -> Request:
        # The end of what never began.
        return self._end(options, f"probe-{uuid4()}")

    def _end(self, options: PagerDutyOptions, key: str) -> Request:
        headers = {"User-Agent": AGENT, "Content-Type": "application/json"}
        event = {
            "routing_key": options.routing_key, "event_action": "resolve", "dedup_key": key,
        }  # fmt: skip
        return Request(self.url(options), "POST", headers, orjson.dumps(event))

    def taken(self, answer: Answer) -> bool | None:
        if answer.status == _TAKEN:
            return True
        said = answer.body.lower()
        unknown = answer.status == 400 and (b"routing key" in said or b"routing_key" in said)
        return False if unknown else super().taken(answer)


def event_of(envelope: Envelope) -> dict[str, Any]:
    """The event without its key: `resolve` where all alerts of the group are over."""
    message = envelope.message
    resolved = envelope.purpose == Purpose.ALERTS and message.status == "resolved"
    event: dict[str, Any] = {
        "event_action": "resolve" if resolved else "trigger",
        "dedup_key": dedup_key(envelope),
        "client": "Resilience control plane",
        "client_url": message.url or config.resilience_public_url,
    }
    if resolved:
        return event
    first = message.alerts[0] if message.alerts else None
    service = first.labels.get("service", "") if first else ""
    event["payload"] = {
        "summary": clipped(message.title, _MOST_SUMMARY),
        "source": service or config.resilience_public_url,
        "severity": _SEVERITIES.get(message.severity, "info"),
        "timestamp": (first.started_at if first else envelope.created_at).isoformat(),
        "component": service,
        "group": message.group_key,
        "class": first.rule if first else envelope.happening,
        "custom_details": {
            "text": clipped(message.text, 10_000),
            "alerts": [clipped(each.summary, 300) for each in listed(message)],
            "more": rest(message),
            "why": message.why_sent,
            **_incident(message),
        },
    }
    if first is not None:
        event["links"] = [{"href": url, "text": words} for words, url in links(first)]
    return event


def _incident(message: Message) -> dict[str, str]:
    """What is known of the first incident, which PagerDuty shows as rows; the text tells of all."""
    if not message.incidents:
        return {}
    first = message.incidents[0]
    found = {"probable_cause": cause_words(first), "impact": first.impact, "incident": first.url}
    return {name: text for name, text in found.items() if text}


def dedup_key(envelope: Envelope) -> str:
    """What PagerDuty joins events by: the group, or the delivery itself where it is of none."""
    key = envelope.message.group_key
    if envelope.purpose == Purpose.TEST or not key:
        return str(envelope.id)
    return key if len(key) <= _MOST_KEY else hashlib.sha256(key.encode()).hexdigest()
