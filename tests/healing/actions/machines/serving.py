"""Servers of engines' APIs in a thread: on a socket of the machine, or by TLS; with planned faults."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import trustme
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Faults:
    """What goes wrong with the next requests: `method` and the end of a path, then what is done."""

    planned: list[tuple[str, str, Callable[[], Any]]] = field(default_factory=list)
    # Requests as they came: method and path with query.
    seen: list[tuple[str, str]] = field(default_factory=list)

    def plan(self, method: str, end: str, answer: Callable[[], Any], times: int = 1) -> None:
        self.planned += [(method, end, answer)] * times

    def take(self, request: web.Request) -> Callable[[], Any] | None:
        for each in self.planned:
            if each[0] == request.method and request.path.endswith(each[1]):
                self.planned.remove(each)
                return each[2]
        return None

    def asked(self, method: str, end: str) -> int:
        return sum(
            each[0] == method and each[1].partition("?")[0].endswith(end) for each in self.seen
        )


async def hang() -> web.Response:
    """No answer within any patience."""
    await asyncio.sleep(600)
    return web.Response()


async def rubbish() -> web.Response:
    return web.Response(body=b"<html>\x00 504 from some proxy", content_type="text/html")


async def cut() -> web.Response:
    raise ConnectionResetError


def status(code: int, document: dict[str, Any]) -> Callable[[], Any]:
    async def answer() -> web.Response:
        return web.json_response(document, status=code)

    return answer


def application(handler: Handler, faults: Faults) -> web.Application:
    """`handler` for every path, where no fault is planned."""

    async def answer(request: web.Request) -> web.StreamResponse:
        faults.seen.append((request.method, request.path_qs))
        planned = faults.take(request)
        if planned is None:
            return await handler(request)
        try:
            response: web.StreamResponse = await planned()
        except ConnectionResetError:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return response

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    return app


@contextlib.contextmanager
def serving(
    app: web.Application,
    *,
    path: str = "",
    tls: tuple[trustme.CA, bool] | None = None,
) -> Iterator[int]:
    """Serves at a socket, or by TLS at a port of loopback, which it yields; with an authority and
    whether clients must bring a certificate of it."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)

    async def begin() -> int:
        await runner.setup()
        if path:
            await web.UnixSite(runner, path).start()
            return 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        assert tls is not None
        tls[0].issue_cert("127.0.0.1", "localhost").configure_cert(context)
        if tls[1]:
            context.verify_mode = ssl.CERT_REQUIRED
            tls[0].configure_trust(context)
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        return int(runner.addresses[0][1])

    async def end() -> None:
        await runner.cleanup()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for each in rest:
            each.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(begin(), loop).result(60)
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()
