"""Webhooks, signed by Standard Webhooks 1.0, with a body that receivers of Alertmanager can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from yarl import URL

from alerting.channels.base import Envelope, kind
from alerting.channels.http import AGENT, HttpKind
from alerting.channels.webhook.body import body_of
from alerting.channels.webhook.signing import headers_signed, secret_bytes, secret_new
from health.checks.options import OptionError
from health.checks.tlscontext import tls_context
from health.checks.web import Request
from health.checks.weburl import require_headers, web_url


@dataclass(frozen=True)
class WebhookOptions:
    """Options of a webhook.

    `secret` (`whsec_…`) signs; one is made where none is given. `previous_secret` signs beside it
    until `previous_until` (ISO 8601), so that receivers can change over. `headers` are sent along.
    `ca` (PEM) is trusted in place of the system's authorities.
    """

    url: str
    secret: str
    previous_secret: str | None = None
    previous_until: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    ca: str | None = None


@kind("webhook", "Webhook")
class WebhookKind(HttpKind[WebhookOptions]):
    Options = WebhookOptions
    secrets = frozenset({"secret", "previous_secret", "headers"})
    url_secrets = frozenset({"url"})
    kept_here = frozenset({"secret", "previous_secret"})

    def completed(self, target: Mapping[str, Any]) -> dict[str, Any]:
        return {**target, "secret": target.get("secret") or secret_new()}

    def validate(self, options: WebhookOptions) -> None:
        web_url("url", options.url)
        for name in ("secret", "previous_secret"):
            value = getattr(options, name)
            if value is not None:
                try:
                    secret_bytes(value)
                except ValueError as error:
                    raise OptionError(name, str(error)) from None
        if options.previous_until is not None:
            _moment(options.previous_until)
        require_headers("headers", options.headers)
        if any(each.lower().startswith("webhook-") for each in options.headers):
            raise OptionError("headers", "may not set webhook-… headers, which are the signature's")
        tls_context(ca=options.ca)

    def url(self, options: WebhookOptions) -> URL:
        return web_url("url", options.url)

    def authorities(self, options: WebhookOptions) -> str | None:
        return options.ca

    def request(self, options: WebhookOptions, envelope: Envelope) -> Request:
        body = body_of(envelope)
        signed = headers_signed(
            id=str(envelope.id), at=envelope.at, body=body, secrets=_signing(options, envelope.at)
        )
        headers = {
            "User-Agent": AGENT,
            "Content-Type": "application/json",
            **options.headers,
            **signed,
        }
        return Request(self.url(options), "POST", headers, body)


def _signing(options: WebhookOptions, at: datetime) -> list[str]:
    found = [options.secret]
    until = options.previous_until
    if options.previous_secret is not None and (until is None or at < _moment(until)):
        found.append(options.previous_secret)
    return found


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise OptionError("previous_until", "must be a time by ISO 8601") from None
    if moment.tzinfo is None:
        raise OptionError("previous_until", "must say its zone, like 2026-01-01T00:00:00+00:00")
    return moment
