"""Signed HTTP hook: have a program of somebody else act, and read what it says of it.

It is asked by POST, signed by Standard Webhooks 1.0 (headers webhook-id, webhook-timestamp,
webhook-signature), with this JSON:

    {"type": "healing.action", "timestamp": "2026-01-01T00:00:00Z", "reason": "…",
     "target": {"kind": "service", "name": "shop", "service": "shop"},
     "trigger": {"kind": "check_failed", "key": "…", "text": "…"}, "data": {…}}

webhook-id is the same for every attempt of a step: a receiver that has seen it does nothing again.
The answer is 200 to 299 with `{"ok": true, "output": "what was done"}`; with `"ok": false` the act
has failed, and `output` says why. Anything else has failed as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Final

import orjson
from yarl import URL

from alerting.channels.http import AGENT
from alerting.channels.webhook.signing import headers_signed, secret_bytes
from healing.actions.asking import asked, shown
from healing.actions.base import Action, ActionFailed, Context, Done, action
from health.checks.options import OptionError, require_range
from health.checks.tlscontext import tls_context
from health.checks.web import Answer, Request, phrase
from health.checks.weburl import require_headers, web_url
from health.checks.words import one_line, without

_MOST_DATA: Final = 16_384
_MOST_TOLD: Final = 500
_MOST_OUTPUT: Final = 32_768


@dataclass(frozen=True)
class HookParameters:
    """POST to `url`, signed with `secret` (`whsec_…`), with `data` and `headers` of your own, answered
    within `seconds`. `ca` (PEM) is trusted in place of the system's authorities."""

    url: str
    secret: str
    data: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 30.0
    ca: str | None = None


@action("http_hook", "Call a signed hook")
class HttpHook(Action[HookParameters]):
    """What it does is not known here: a step needs a `compensate`, or a way says that it is safe to
    leave. Whether one that nobody saw the end of took effect cannot be told."""

    Parameters = HookParameters
    secrets = frozenset({"secret", "headers"})
    url_secrets = frozenset({"url"})

    def validate(self, parameters: HookParameters) -> None:
        web_url("url", parameters.url)
        try:
            secret_bytes(parameters.secret)
        except ValueError as error:
            raise OptionError("secret", str(error)) from None
        require_headers("headers", parameters.headers)
        if any(each.lower().startswith("webhook-") for each in parameters.headers):
            raise OptionError("headers", "may not set webhook-… headers, which are the signature's")
        if len(orjson.dumps(dict(parameters.data))) > _MOST_DATA:
            raise OptionError("data", f"has at most {_MOST_DATA} bytes")
        require_range("seconds", parameters.seconds, 0.1, 600.0)
        tls_context(ca=parameters.ca)

    def hosts(self, parameters: HookParameters) -> tuple[tuple[str, int], ...]:
        url = web_url("url", parameters.url)
        return ((url.host or "", url.port or 0),)

    def effect(self, parameters: HookParameters, context: Context) -> str:
        data = orjson.dumps(dict(parameters.data)).decode()
        if len(data) > _MOST_TOLD:
            # Cut, it could end within a secret, which nobody would know for one any more.
            data = f"with {', '.join(map(repr, parameters.data))}"
        words = f" and the data {data}" if parameters.data else ""
        where = shown(web_url("url", parameters.url))
        return f"POSTs to {where}, signed, with the target {context.subject.name}{words}"

    def act(self, parameters: HookParameters, context: Context) -> Done:
        url = web_url("url", parameters.url)
        all_hidden = (parameters.secret, *parameters.headers.values(), url.password or "")
        hidden = tuple(each for each in all_hidden if each)
        answer = asked(
            _request(url, parameters, context),
            context,
            seconds=parameters.seconds,
            tls=tls_context(ca=parameters.ca),
            secrets=hidden,
        )
        return Done(_output(answer, shown(url), hidden))


def _request(url: URL, parameters: HookParameters, context: Context) -> Request:
    body, at = _body(parameters, context), context.now()
    signed = headers_signed(id=context.key, at=at, body=body, secrets=[parameters.secret])
    plain = {"User-Agent": AGENT, "Content-Type": "application/json"}
    return Request(url, "POST", {**plain, **parameters.headers, **signed}, body)


def _body(parameters: HookParameters, context: Context) -> bytes:
    """What is signed and sent: the same for every attempt of a step, but for when it began."""
    subject = context.subject
    began = context.started_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return orjson.dumps(
        {
            "type": "healing.action",
            "timestamp": began,
            "reason": context.reason,
            "target": {"kind": subject.kind, "name": subject.name, "service": subject.service},
            "trigger": {
                "kind": subject.trigger_kind,
                "key": subject.trigger_key,
                "text": str(subject.trigger.get("text", "")),
            },
            "data": dict(parameters.data),
        }
    )


def _output(answer: Answer, where: str, hidden: tuple[str, ...]) -> str:
    """What the hook says that it did. Raises `ActionFailed` for any other answer."""
    said = phrase(answer.status)
    if 300 <= answer.status < 400:
        raise ActionFailed(f"{where} redirects ({said}), which a hook may not", permanent=True)
    if not 200 <= answer.status < 300:
        # What the client did wrong will be as wrong the next time; 408 and 429 ask to come back.
        permanent = 400 <= answer.status < 500 and answer.status not in (408, 429)
        raise ActionFailed(f"{where} answered {said}", permanent=permanent)
    if answer.flaw:
        raise ActionFailed(f"The answer of {where} {answer.flaw}")
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise ActionFailed(f"{where} answered {said} with no JSON") from None
    ok = found.get("ok") if isinstance(found, dict) else None
    output = found.get("output", "") if isinstance(found, dict) else None
    if not isinstance(ok, bool) or not isinstance(output, str):
        raise ActionFailed(f'{where} answered {said} without {{"ok": true, "output": "…"}}')
    # Cut first, the end could be a part of a secret, which nobody would know for one any more.
    output = without(output, *hidden)
    if not ok:
        raise ActionFailed(f"{where} failed: {one_line(output)}", output=output[:_MOST_OUTPUT])
    return output[:_MOST_OUTPUT] or f"{where} did it"
