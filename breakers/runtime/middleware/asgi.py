"""Middleware for any ASGI application.

app = ResilienceMiddleware(app, max_timeout=30)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack
from typing import Any

from breakers.runtime import checks
from breakers.runtime.correlation import (
    CORRELATION_HEADER,
    correlation,
    tier_of,
    timeout_of,
    valid_tier,
)
from breakers.runtime.deadlines import deadline
from breakers.runtime.degradation import Degradation
from breakers.runtime.errors import ResilienceError
from breakers.runtime.middleware.problems import notice_headers, problem_of
from breakers.runtime.tiers import tier

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ResilienceMiddleware:
    """Correlation id, deadline and tier in; correlation id, notices and rejections out.

    A request has the time that its caller gives, at most `max_timeout` seconds. `tier` finds the
    tier of a request by its scope; without it, the header says, which only a trusted proxy may set.
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        *,
        max_timeout: float | None = None,
        tier: Callable[[Scope], str] | None = None,
        degradation: Degradation | None = None,
    ) -> None:
        if max_timeout is not None:
            checks.seconds("max_timeout", max_timeout)
        self._app = app
        self._max_timeout = max_timeout
        self._tier = tier
        self._degradation = degradation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        started = False

        with correlation(headers.get(CORRELATION_HEADER.lower())) as held:

            async def send_marked(message: Message) -> None:
                nonlocal started
                if message["type"] == "http.response.start":
                    started = True
                    marks = {CORRELATION_HEADER: held, **notice_headers(self._degradation)}
                    message["headers"] = [*message.get("headers", []), *_encoded(marks)]
                await send(message)

            try:
                await self._in_time(scope, receive, send_marked, headers)
            except ResilienceError as error:
                if started:
                    raise
                problem = problem_of(error, held)
                marks = {**problem.headers, **notice_headers(self._degradation)}
                await send(
                    {
                        "type": "http.response.start",
                        "status": problem.status,
                        "headers": _encoded(marks),
                    }
                )
                await send({"type": "http.response.body", "body": problem.body})

    async def _in_time(
        self, scope: Scope, receive: Receive, send: Send, headers: dict[str, str]
    ) -> None:
        timeout = timeout_of(headers, self._max_timeout)
        name = tier_of(headers) if self._tier is None else valid_tier(self._tier(scope))
        async with AsyncExitStack() as stack:
            if timeout is not None:
                await stack.enter_async_context(deadline(timeout))
            stack.enter_context(tier(name))
            await self._app(scope, receive, send)


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
    ]
