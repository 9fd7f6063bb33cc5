"""The live socket behind a real server on the test's own loop, and people who may open it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
import uvicorn
from asgiref.sync import sync_to_async
from channels.routing import ProtocolTypeRouter
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client
from websockets.asyncio.client import ClientConnection, connect

from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.live import consumer, fanout
from resilience_site.live.lifespan import lifespan_application
from resilience_site.live.routing import websocket_application

# Seconds for what is to come without a promise of when.
PATIENCE = 60.0


class Server:
    """A web process of the site, reduced to its live socket."""

    def __init__(self, port: int) -> None:
        self.port = port

    def open(
        self,
        cookie: str = "",
        topics: str = "errors",
        since: int | None = None,
        origin: str | None = "",
        **options: Any,
    ) -> connect:
        query = f"topics={topics}" + ("" if since is None else f"&since={since}")
        headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}"} if cookie else {}
        return connect(
            f"ws://127.0.0.1:{self.port}/ws/live/?{query}",
            additional_headers=headers,
            origin=f"http://127.0.0.1:{self.port}" if origin == "" else origin,
            open_timeout=PATIENCE,
            # A test that holds this loop up does not lose the socket.
            ping_timeout=None,
            **options,
        )


@pytest.fixture
async def server(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    # No stall of the machine turns a page away, but where a test asks for it.
    monkeypatch.setattr(consumer, "PRIME_TIMEOUT_SECONDS", PATIENCE)
    monkeypatch.setattr(consumer, "SEND_TIMEOUT_SECONDS", PATIENCE)
    # Bound here: a port that is only looked up may be taken before the server has it.
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    application = ProtocolTypeRouter(
        {"websocket": websocket_application, "lifespan": lifespan_application}
    )
    process = uvicorn.Server(
        uvicorn.Config(
            application, log_level="warning", timeout_graceful_shutdown=2, ws_ping_timeout=None
        )
    )
    process.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(process._serve([listening]))
    while not process.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    yield Server(listening.getsockname()[1])
    process.should_exit = True
    await serving
    await fanout.stop()
    listening.close()


@pytest.fixture
def sign_in(transactional_db: None) -> Callable[..., Any]:
    """Make a user with a role (None: without) and log them in: returns their session key."""

    def make(name: str, role: Role | None = Role.VIEWER) -> str:
        user = get_user_model().objects.create_user(name)
        if role is not None:
            user.groups.add(Group.objects.get_or_create(name=role.value)[0])
        client = Client()
        client.force_login(user)
        return str(client.session.session_key)

    return sync_to_async(make)


@pytest.fixture
async def viewer(sign_in: Callable[..., Any]) -> str:
    return str(await sign_in("viewer"))


@sync_to_async
def commit(*keys: str, topic: str = "errors", state: str = "") -> int:
    """Append one entry per key in one transaction; returns the journal's cursor after it."""
    with transaction.atomic():
        journal.append([journal.Entry(topic, "test.changed", key, state) for key in keys])
    return journal.latest_cursor()


async def frame(page: ClientConnection, *kinds: str, within: float = PATIENCE) -> dict[str, Any]:
    """The next frame of one of `kinds`; frames of other kinds are passed over."""
    async with asyncio.timeout(within):
        while True:
            document: dict[str, Any] = orjson.loads(await page.recv())
            if not kinds or document["type"] in kinds:
                return document


async def hints(
    page: ClientConnection, count: int, within: float = PATIENCE
) -> list[tuple[str, str]]:
    """(key, state) of the next hints, at least `count` of them."""
    found: list[tuple[str, str]] = []
    async with asyncio.timeout(within):
        while len(found) < count:
            items = (await frame(page, "hints"))["items"]
            found += [(item["key"], item["state"]) for item in items]
    return found
