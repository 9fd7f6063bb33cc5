"""Microsoft Graph: a token by client credentials, and one cheap call with it."""

from __future__ import annotations

import email.utils
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from yarl import URL

from health.checks.base import CheckKind, Context, Failed, Finding, Observed, kind
from health.checks.options import OptionError
from health.checks.reaching import reach
from health.checks.secrecy import secret_parts
from health.checks.tlscontext import tls_context
from health.checks.web import Answer, Limits, Request, fetch, phrase
from health.checks.weburl import web_url
from health.checks.words import one_line, without

_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,254}")
_LIMITS: Final = Limits(max_body=1_048_576)
# Errors of OAuth 2.0 that say that the service, not the application, is at fault.
_TRANSIENT: Final = frozenset({"temporarily_unavailable", "server_error"})
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


@dataclass(frozen=True)
class GraphOptions:
    """Options of a Microsoft Graph check: an application's credentials, and what it reads.

    `path` is below `base_url`. `ca` (PEM) is trusted in place of the system's authorities.
    """

    tenant: str
    client_id: str
    client_secret: str
    path: str = "/organization?$select=id"
    authority: str = "https://login.microsoftonline.com"
    base_url: str = "https://graph.microsoft.com/v1.0"
    scope: str = "https://graph.microsoft.com/.default"
    verify_tls: bool = True
    ca: str | None = None


@kind("microsoft_graph", "Microsoft Graph")
class MicrosoftGraphCheck(CheckKind[GraphOptions]):
    Options = GraphOptions
    secrets = frozenset({"client_secret"})

    def validate(self, options: GraphOptions) -> None:
        for name in ("authority", "base_url"):
            if web_url(name, getattr(options, name)).user is not None:
                raise OptionError(name, "must not have a user; client_id is for that")
        if not _TENANT.fullmatch(options.tenant):
            raise OptionError("tenant", "must be a tenant's id or its domain")
        if not options.path.startswith("/"):
            raise OptionError("path", "must begin with /")
        web_url("path", options.base_url.rstrip("/") + options.path)
        tls_context(ca=options.ca, verify=options.verify_tls, alpn=("http/1.1",))

    def hosts(self, options: GraphOptions) -> tuple[tuple[str, int], ...]:
        found = [_place(options.authority), _place(options.base_url)]
        return tuple(dict.fromkeys(found))

    async def run(self, options: GraphOptions, context: Context) -> Finding:
        if not context.deep:
            return await reach(context, *_place(options.base_url))
        try:
            return await _probe(options, context)
        except Failed as failed:
            # A server may say back what it was told.
            words = without(failed.output, *secret_parts(options.client_secret))
            raise Failed(words, failed.observed) from None


def _place(url: str) -> tuple[str, int]:
    read = URL(url)
    return read.host or "", read.port or 0


async def _probe(options: GraphOptions, context: Context) -> Finding:
    signed = await _fetch(_sign_in(options), options, context)
    observed = {"token": Observed(signed.wait_ms, "ms")}
    if signed.status == 429:
        return _throttled("The sign-in service", signed, context.now, observed)
    token = _token(signed, observed)
    call = Request(
        URL(options.base_url.rstrip("/") + options.path),
        headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
    )
    try:
        answer = await _fetch(call, options, context)
    except Failed as failed:
        raise Failed(failed.output, observed) from None
    observed["call"] = Observed(answer.wait_ms, "ms")
    if answer.status == 429:
        return _throttled("Graph", answer, context.now, observed)
    if not 200 <= answer.status < 300:
        raise Failed(
            without(_refusal(answer, options.path, context.now), token, *secret_parts(token)),
            observed,
        )
    words = f"A token was issued, and {one_line(options.path, 80)} answered {phrase(answer.status)}"
    return Finding("up", words, observed, answer.wait_ms)


async def _fetch(request: Request, options: GraphOptions, context: Context) -> Answer:
    return await fetch(
        request,
        addresses=context.addresses,
        tls=tls_context(ca=options.ca, verify=options.verify_tls, alpn=("http/1.1",)),
        limits=_LIMITS,
        doing=context.doing,
    )


def _sign_in(options: GraphOptions) -> Request:
    form = {
        "grant_type": "client_credentials",
        "client_id": options.client_id,
        "client_secret": options.client_secret,
        "scope": options.scope,
    }
    url = URL(f"{options.authority.rstrip('/')}/{options.tenant}/oauth2/v2.0/token")
    return Request(url, "POST", _FORM, urlencode(form).encode())


def _token(answer: Answer, observed: Mapping[str, Observed]) -> str:
    """The access token; raises `Failed` that tells wrong credentials from an outage."""
    body = _read(answer)
    token = body.get("access_token")
    if answer.status == 200 and isinstance(token, str) and token.isascii() and token.isprintable():
        return token
    error = str(body.get("error") or "")
    # What follows is for Microsoft's support.
    said = str(body.get("error_description") or "").partition("Trace ID:")[0]
    why = f": {one_line(said, 160)}" if said else ""
    if answer.status >= 500 or error in _TRANSIENT:
        raise Failed(f"The sign-in service is unavailable ({phrase(answer.status)}){why}", observed)
    if error:
        raise Failed(f"The credentials are refused ({one_line(error, 60)}){why}", observed)
    words = f"The sign-in service answers {phrase(answer.status)}, but gives no token"
    raise Failed(words, observed)


def _refusal(answer: Answer, path: str, now: datetime) -> str:
    """What an answer that is no success means, for people."""
    error = _read(answer).get("error")
    code, message = "", ""
    if isinstance(error, Mapping):
        code, message = str(error.get("code") or ""), str(error.get("message") or "")
    said = ": ".join(one_line(each, 120) for each in (code, message) if each)
    said = f" ({said})" if said else ""
    shown = one_line(path, 80)
    if answer.status == 401:
        return f"Graph refuses the token that was just issued{said}"
    if answer.status == 403:
        return f"The token is good, but this application may not read {shown}{said}"
    if answer.status >= 500:
        return f"Graph is unavailable ({phrase(answer.status)}){_wait(answer, now)}{said}"
    return f"Graph answers {shown} with {phrase(answer.status)}{said}"


def _throttled(
    who: str, answer: Answer, now: datetime, observed: Mapping[str, Observed]
) -> Finding:
    seconds = _retry_after(answer, now)
    if seconds is not None:
        observed = {**observed, "retry_after": Observed(seconds, "s")}
    words = f"{who} throttles this application{_wait(answer, now)}"
    return Finding("degraded", words, observed, answer.wait_ms)


def _wait(answer: Answer, now: datetime) -> str:
    seconds = _retry_after(answer, now)
    return "" if seconds is None else f"; it asks to wait for {seconds:.0f} s"


def _retry_after(answer: Answer, now: datetime) -> float | None:
    """Seconds, from a number or a date (RFC 9110)."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        at = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())


def _read(answer: Answer) -> dict[str, Any]:
    """The JSON object of a body, or an empty one."""
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
