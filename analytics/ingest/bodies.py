"""Bodies as ASGI delivers them: in pieces, with or without a stated length."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from analytics.domain.bodies import GzipBody, PlainBody

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Disconnected(Exception):
    """The sender went away in the middle of its body."""


async def read_body(receive: Receive, *, gzip: bool, limit: int) -> bytes:
    """The whole decompressed body, with or without a stated length, chunked or not.

    Raises `TooLarge`, `Undecodable` or `Disconnected`.
    """
    body = GzipBody(limit) if gzip else PlainBody(limit)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body.feed(message.get("body", b""))
        if not message.get("more_body", False):
            return body.finish()
