"""Somebody on call: a receiver of the site's webhooks that shows what reached it, and its channel.

A receiver of your own would check the signature with the secret that `POST alerts/channels` answers
once; this one keeps what came, so that it can be looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.demo.telemetry import required

logger = logging.getLogger(__name__)

CHANNEL = "demo-inbox"
_KEPT = 100
_MOST_BYTES = 1_000_000
_AGAIN_SECONDS = 5.0
_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type")


class Inbox:
    """The last messages, the newest first at `GET /_inbox`; the same id is kept once."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._messages: deque[dict[str, Any]] = deque(maxlen=_KEPT)

    def routes(self) -> list[Route]:
        return [
            Route("/_inbox", self._take, methods=["POST"]),
            Route("/_inbox", self._show, methods=["GET"]),
        ]

    async def _take(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _MOST_BYTES:
                return Response(status_code=413)
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            return JSONResponse({"error": "The body is not JSON."}, 400)
        headers = {name: request.headers[name] for name in _HEADERS if name in request.headers}
        known = {each["headers"].get("webhook-id") for each in self._messages} - {None}
        if headers.get("webhook-id") not in known:
            at = self._now().isoformat()
            self._messages.appendleft({"at": at, "headers": headers, "message": message})
        return Response(status_code=204)

    async def _show(self, _: Request) -> Response:
        return JSONResponse({"items": list(self._messages)})


def channel(graph: str) -> dict[str, Any]:
    """The channel to the inbox beside the Graph simulator at `graph`, as `POST alerts/channels`."""
    return {"kind": "webhook", "name": CHANNEL, "target": {"url": f"{graph}/_inbox"}}


async def subscribe(stop: asyncio.Event) -> None:
    """Have the site tell the inbox, unless its channel is there already; tries until it answers."""
    key = os.environ.get("RESILIENCE_OPERATOR_KEY")
    if not key:
        return
    site, graph = required(os.environ, "RESILIENCE_URL"), required(os.environ, "GRAPH_URL")
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=f"{site}/api/v1/alerts", headers=headers) as client:
        while not stop.is_set():
            try:
                found = await client.get("/channels", params={"limit": 200})
                names = {each["name"] for each in found.raise_for_status().json()["items"]}
                if CHANNEL not in names:
                    made = await client.post("/channels", json=channel(graph))
                    if made.is_client_error:
                        logger.warning("The site refuses a channel to the inbox: %s", made.text)
                        return
                    made.raise_for_status()
                return
            except httpx.HTTPError as error:
                logger.info("The site does not answer yet: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _AGAIN_SECONDS)
