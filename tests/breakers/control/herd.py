"""A herd of instances that all wait for their control document, in one event loop.

Bare HTTP over asyncio's streams: two thousand of a full client would weigh more than the site.
"""

from __future__ import annotations

import asyncio
import json
import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

WAIT_SECONDS = 50
# After which one asks again whom a site that is too busy sent away.
REST_SECONDS = 0.2
SPARE_FILES = 200


def raise_file_limit(files: int) -> None:
    """Let this process, and those that it starts, have so many files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files + SPARE_FILES
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


@dataclass
class Instance:
    """One that polls: the version that it has, and when (monotonic) each version arrived."""

    number: int
    version: int = -1
    arrived: dict[int, float] = field(default_factory=dict)


class Herd:
    """`size` instances of `service` at the site of `url`."""

    def __init__(self, url: str, key: str, service: str, size: int) -> None:
        self._host, self._port = urlsplit(url).hostname or "", urlsplit(url).port or 80
        self._key = key
        self.service = service
        self.instances = [Instance(number) for number in range(size)]
        self._tasks: list[asyncio.Task[None]] = []
        # How many polls were sent so far.
        self.polls = 0
        self._at: Counter[int] = Counter()
        self._moved = asyncio.Event()
        # The start of two thousand at once is not what is looked at.
        self._starting = asyncio.Semaphore(50)

    async def __aenter__(self) -> Herd:
        self._tasks = [asyncio.create_task(self._poll(each)) for each in self.instances]
        for task in self._tasks:
            task.add_done_callback(lambda _: self._moved.set())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def all_at(self, version: int, seconds: float) -> None:
        """Wait until every instance has this version and polls again."""
        async with asyncio.timeout(seconds):
            while self._at[version] < len(self.instances):
                for task in self._tasks:
                    if task.done():
                        task.result()
                self._moved.clear()
                await self._moved.wait()

    async def _poll(self, instance: Instance) -> None:
        async with self._starting:
            reader, writer = await asyncio.open_connection(self._host, self._port)
            while instance.version < 0:
                await self._ask(instance, reader, writer, wait=0)
        try:
            while True:
                await self._ask(instance, reader, writer, wait=WAIT_SECONDS)
        finally:
            writer.close()

    async def _ask(
        self,
        instance: Instance,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        wait: int,
    ) -> None:
        known = f'If-None-Match: "{instance.version}"\r\n' if instance.version >= 0 else ""
        self.polls += 1
        writer.write(
            f"GET /api/v1/control?service={self.service}&instance=herd-{instance.number}&wait={wait}"
            f" HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            f"Authorization: Bearer {self._key}\r\n{known}\r\n".encode()
        )
        status, document = await _answer(reader)
        if status == 304:
            return
        if status == 503:
            await asyncio.sleep(REST_SECONDS)
            return
        assert status == 200, (status, document)
        version = document["version"]
        instance.arrived[version] = time.monotonic()
        self._at[instance.version] -= 1
        self._at[version] += 1
        instance.version = version
        if self._at[version] == len(self.instances):
            self._moved.set()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split()[1])
    lengths = [line for line in head[1:] if line.lower().startswith("content-length:")]
    body = await reader.readexactly(int(lengths[0].partition(":")[2])) if lengths else b""
    return status, json.loads(body) if body else None
