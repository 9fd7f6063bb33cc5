"""Real checks of a real local target, and probers that run them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from health.checks.addresses import Addresses
from health.models import Check
from health.prober.connectivity import Connectivity
from health.prober.prober import Prober
from health.prober.running import Runner
from health.services.checks import check_create
from resilience_site.config import config
from resilience_site.core.audit import Actor

# What answers at last is up, however busy the machine is.
PATIENT_SECONDS = 60.0
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Target:
    """An HTTP server that counts, can be slow, silent or broken; in a thread of its own."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.open = self.most_open = 0
        self.delay = 0.0
        self.status = b"200 OK"
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENT_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)

        async def start() -> asyncio.Server:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            return server

        server = self._loop.run_until_complete(start())
        self._loop.run_forever()
        server.close()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.paths.append(head.split()[1].decode())
            await asyncio.sleep(self.delay)
            writer.write(ANSWER.replace(b"200 OK", self.status))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


@pytest.fixture
def target() -> Iterator[Target]:
    running = Target()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def private_targets() -> Iterator[None]:
    with config.override(resilience_allow_private_targets=True):
        yield


@pytest.fixture
def make_check(transactional_db: None) -> Callable[..., Check]:
    def make(name: str, url: str, **fields: Any) -> Check:
        wanted: dict[str, Any] = {
            "kind": "http",
            "service": "fleet",
            "target": {"url": url},
            "interval_seconds": 1,
            "timeout_seconds": 1,
            **fields,
        }
        check = check_create(name=name, actor=Actor.system("test"), now=datetime.now(UTC), **wanted)
        if "timeout_seconds" not in fields:
            # Nobody may ask for more than the interval; a test that waits for many runs must.
            check.timeout_seconds = PATIENT_SECONDS
            Check.objects.filter(id=check.id).update(timeout_seconds=PATIENT_SECONDS)
        return check

    return make


class Quiet(Connectivity):
    """A machine with a network, or without one, as the test says."""

    def __init__(self) -> None:
        super().__init__([])
        self.has_network = True
        self.asked = 0

    async def online(self) -> bool:
        self.asked += 1
        return self.has_network


@pytest.fixture
def network() -> Quiet:
    return Quiet()


@pytest.fixture
def make_prober(network: Quiet) -> Iterator[Callable[..., Prober]]:
    made: list[Prober] = []

    def make(*, per_host: int = 20, concurrency: int = 500) -> Prober:
        def runner() -> Runner:
            return Runner(
                per_host=per_host,
                addresses=Addresses(allow_private=True),
                connectivity=network,
            )

        prober = Prober(runner=runner, concurrency=concurrency)
        made.append(prober)
        return prober

    yield make
    for prober in made:
        prober.stop()
