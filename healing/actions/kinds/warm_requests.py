"""Cache warming: ask a service for what it should have in its cache, one request after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from healing.actions.asking import asked, shown
from healing.actions.base import Action, ActionFailed, Context, Done, action
from health.checks.options import OptionError, require_range
from health.checks.tlscontext import tls_context
from health.checks.web import Request, phrase
from health.checks.weburl import require_headers, web_url

_MOST = 200


@dataclass(frozen=True)
class WarmParameters:
    """GETs to `urls` in their order, each with `headers`, each within `seconds`. An answer below
    400 counts, and at least the `share` of them must. `ca` (PEM) is trusted in place of the
    system's authorities."""

    urls: tuple[str, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 10.0
    share: float = 1.0
    ca: str | None = None


@action("warm_requests", "Warm a cache by requests")
class WarmRequests(Action[WarmParameters]):
    """What is asked for is only read, so that there is nothing to undo."""

    Parameters = WarmParameters
    secrets = frozenset({"headers"})
    safe_to_leave = True
    repeatable = True
    variable = "cache_warming_on_failure"

    def validate(self, parameters: WarmParameters) -> None:
        if not 0 < len(parameters.urls) <= _MOST:
            raise OptionError("urls", f"must be 1 to {_MOST} URLs")
        if any(url.user is not None for url in _urls(parameters)):
            raise OptionError("urls", "must hold no user or password: headers are kept secret")
        require_headers("headers", parameters.headers)
        require_range("seconds", parameters.seconds, 0.1, 300.0)
        require_range("share", parameters.share, 0.0, 1.0)
        tls_context(ca=parameters.ca)

    def hosts(self, parameters: WarmParameters) -> tuple[tuple[str, int], ...]:
        called = ((url.host or "", url.port or 0) for url in _urls(parameters))
        return tuple(dict.fromkeys(called))

    def effect(self, parameters: WarmParameters, context: Context) -> str:
        urls = _urls(parameters)
        named = ", ".join(shown(url) for url in urls[:10])
        more = f" and {len(urls) - 10} more" if len(urls) > 10 else ""
        return f"GETs {len(urls)} addresses, {_needed(parameters)} of which must succeed: {named}{more}"

    def act(self, parameters: WarmParameters, context: Context) -> Done:
        hidden = tuple(parameters.headers.values())
        tls = tls_context(ca=parameters.ca)
        lines, good = [], 0
        for url in _urls(parameters):
            if not context.left:
                lines.append(f"{shown(url)}: no time was left")
                continue
            request = Request(url, headers=parameters.headers)
            try:
                answer = asked(
                    request, context, seconds=parameters.seconds, tls=tls, secrets=hidden
                )
            except ActionFailed as failed:
                lines.append(f"{shown(url)}: {failed.message}")
            else:
                good += answer.status < 400
                lines.append(f"{shown(url)}: {phrase(answer.status)} in {answer.wait_ms:.0f} ms")
            # Whoever has lost the run's lease learns it here.
            context.pause(0)
        output = "\n".join(lines)
        if good < _needed(parameters):
            raise ActionFailed(
                f"{good} of {len(lines)} requests succeeded, {_needed(parameters)} must",
                output=output,
            )
        return Done(output, {"succeeded": good})


def _urls(parameters: WarmParameters) -> list[URL]:
    return [web_url("urls", each) for each in parameters.urls]


def _needed(parameters: WarmParameters) -> int:
    return math.ceil(parameters.share * len(parameters.urls))
