"""MCP servers of the SDK for checks: one with sessions, whose tools and guard tests choose."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from mcp.server import MCPServer
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class McpServer:
    """A running server with the tools `add` and `echo`; counts the requests that it got.

    With a `key`, it refuses whoever does not carry it as a bearer token.
    """

    def __init__(self, key: str = "") -> None:
        self.key = key
        self.port = 0
        self.requests: Counter[str] = Counter()
        self.hosts: set[str] = set()
        server = MCPServer("sums", version="3.1")

        @server.tool()
        def add(a: int, b: int) -> int:
            """The sum."""
            return a + b

        @server.tool()
        def echo(text: str) -> str:
            """The text."""
            return text

        self._app: ASGIApp = server.streamable_http_app()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            self.requests[request.method] += 1
            self.hosts.add(request.headers["host"])
            if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
                refusal = PlainTextResponse("who are you?", 401)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


@contextmanager
def running_mcp(key: str = "", tls: dict[str, Any] | None = None) -> Iterator[McpServer]:
    """A server that listens; `tls` names the files of a certificate and its key."""
    app = McpServer(key)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        ws="none",
        loop="asyncio",
        log_config=None,
        timeout_graceful_shutdown=1,
        **(tls or {}),
    )
    web = uvicorn.Server(config)
    thread = threading.Thread(target=web.run, daemon=True)
    thread.start()
    while not web.started:
        thread.join(0.01)
        assert thread.is_alive()
    app.port = web.servers[0].sockets[0].getsockname()[1]
    try:
        yield app
    finally:
        web.should_exit = True
        thread.join()
