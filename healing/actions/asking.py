"""HTTP requests of actions: to judged addresses, never along a redirect, bounded in time and size."""

from __future__ import annotations

import ssl
from dataclasses import replace

from yarl import URL

from healing.actions.asynchronous import ran
from healing.actions.base import Context
from health.checks.base import Progress
from health.checks.tlscontext import tls_context
from health.checks.web import Answer, Limits, Request, fetch

MOST_BODY = 65_536
# Above it a server must not keep a step waiting for one answer.
ANSWER_SECONDS = 10.0


def asked(
    request: Request,
    context: Context,
    *,
    seconds: float = ANSWER_SECONDS,
    max_body: int = MOST_BODY,
    tls: ssl.SSLContext | None = None,
    secrets: tuple[str, ...] = (),
) -> Answer:
    """The answer to one request, whatever its status. Raises `ActionFailed`."""
    progress = Progress()

    async def work() -> Answer:
        answer = await fetch(
            request,
            addresses=context.addresses,
            tls=tls or tls_context(),
            limits=Limits(max_body=max_body),
            doing=lambda step: setattr(progress, "step", step),
        )
        return replace(answer, headers=dict(answer.headers))

    return ran(work(), context, progress, secrets=secrets, seconds=seconds)


def shown(url: URL) -> str:
    """A URL as people may read it: nothing of it that may be secret."""
    return str(url.with_user(None).with_query(None).with_fragment(None))
