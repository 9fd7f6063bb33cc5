"""A TCP proxy with faults, between a check and a real server.

    with Faults("127.0.0.1", port) as proxy:
        ...                      # everything passes
        proxy.hang()             # from now on nothing does, on open connections neither
        proxy.heal()

It runs in a thread of its own, so that tests with and without an event loop can use it, also from
code that blocks. A fault is in force when its method returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

from tests.ports import free_port

T = TypeVar("T")
CHUNK = 65_536


@dataclass(frozen=True)
class Fault:
    """What happens to bytes on their way; both directions, but for `cut_after`."""

    hang: bool = False
    latency: float = 0.0  # seconds before each chunk
    chunk: int = CHUNK  # bytes that go at once
    cut_after: int | None = None  # bytes from server to client, then the connection ends


@dataclass(eq=False)
class Link:
    """One connection through the proxy."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    returned: int = 0

    def writers(self) -> list[asyncio.StreamWriter]:
        return [each for each in (self.client, self.server) if each is not None]


class Faults:
    """Listens at `host:port` (`host` is 127.0.0.1) and forwards to the target."""

    host = "127.0.0.1"

    def __init__(self, target_host: str, target_port: int) -> None:
        self.target = (target_host, target_port)
        self.port = free_port()
        self.accepted = 0
        self._links: set[Link] = set()
        self._fault = Fault()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faults", daemon=True)
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Faults:
        self._changed = asyncio.Event()
        self._thread.start()
        self._wait(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # --- Faults

    def heal(self) -> None:
        """Everything passes, also what was held back on open connections."""
        self._wait(self._set(Fault()))

    def hang(self) -> None:
        """Connections are accepted, kept and never answered; like a stopped process."""
        self._wait(self._set(Fault(hang=True)))

    def latency(self, seconds: float) -> None:
        """Each chunk waits `seconds` in each direction."""
        self._wait(self._set(Fault(latency=seconds)))

    def drip(self, *, seconds: float = 0.05, size: int = 1) -> None:
        """`size` bytes go every `seconds`."""
        self._wait(self._set(Fault(latency=seconds, chunk=size)))

    def cut_after(self, size: int) -> None:
        """The connection ends in the middle: after `size` bytes from the server."""
        self._wait(self._set(Fault(cut_after=size)))

    def refuse(self) -> None:
        """Nobody listens, and open connections are reset; like a killed process."""
        self._wait(self._refuse())

    def reset(self) -> None:
        """Open connections are reset now; new ones are made as before."""
        self._wait(self._reset())

    @property
    def open_connections(self) -> int:
        """Connections that neither side has ended."""
        return len(self._links)

    # --- In the thread

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, self.host, self.port)

    async def _set(self, fault: Fault) -> None:
        await self._listen()
        self._fault = fault
        # Whoever waits looks again; the next change has an event of its own.
        self._changed.set()
        self._changed = asyncio.Event()

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset()

    async def _reset(self) -> None:
        for link in list(self._links):
            for writer in link.writers():
                end_with_reset(writer)
        await asyncio.sleep(0)

    async def _close(self) -> None:
        await self._refuse()
        mine = asyncio.current_task()
        rest = [each for each in asyncio.all_tasks() if each is not mine]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = Link(writer)
        self._links.add(link)
        try:
            back, link.server = await asyncio.open_connection(*self.target)
            if self._server is None:
                # It was on its way in when the others were reset.
                raise ConnectionResetError
            await asyncio.gather(
                self._pump(reader, link.server, link, returning=False),
                self._pump(back, writer, link, returning=True),
            )
        except OSError:
            end_with_reset(writer)
        except asyncio.CancelledError:
            # The proxy ends; asyncio would log a task of its server that ends cancelled.
            pass
        finally:
            self._links.discard(link)
            for each in link.writers():
                each.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        link: Link,
        *,
        returning: bool,
    ) -> None:
        while data := await reader.read(CHUNK):
            while data:
                await self._pass()
                fault = self._fault
                part, data = data[: fault.chunk], data[fault.chunk :]
                if returning and fault.cut_after is not None:
                    part = part[: max(0, fault.cut_after - link.returned)]
                link.returned += len(part) if returning else 0
                writer.write(part)
                await writer.drain()
                if returning and fault.cut_after is not None and link.returned >= fault.cut_after:
                    for each in link.writers():
                        each.close()
                    return
        await self._pass()
        if writer.can_write_eof() and not writer.is_closing():
            with contextlib.suppress(OSError):
                writer.write_eof()

    async def _pass(self) -> None:
        """Wait for as long as the fault of the moment says; a new fault begins anew."""
        while True:
            changed, fault = self._changed, self._fault
            if not fault.hang and not fault.latency:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if fault.hang else fault.latency):
                    await changed.wait()
                continue
            return


def end_with_reset(writer: asyncio.StreamWriter) -> None:
    """End a connection so that the other side sees it reset (RST), not closed."""
    sock = writer.get_extra_info("socket")
    if sock is not None and not writer.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
