"""The faulty proxy itself does what its faults say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.health.faults import Faults


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def exchange(port: int, text: bytes = b"hello") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(text)
        writer.write_eof()
        async with asyncio.timeout(60):
            return await reader.read()
    finally:
        writer.close()


async def test_everything_passes_until_a_fault_is_set(echo: int) -> None:
    with Faults("127.0.0.1", echo) as proxy:
        assert await exchange(proxy.port) == b"hello"
        assert proxy.accepted == 1


async def test_a_hanging_connection_goes_on_once_healed(echo: int) -> None:
    with Faults("127.0.0.1", echo) as proxy:
        proxy.hang()
        waiting = asyncio.create_task(exchange(proxy.port))
        done, _ = await asyncio.wait({waiting}, timeout=0.2)
        assert not done
        proxy.heal()
        assert await waiting == b"hello"


async def test_a_refused_port_listens_again_once_healed(echo: int) -> None:
    with Faults("127.0.0.1", echo) as proxy:
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await exchange(proxy.port)
        proxy.heal()
        assert await exchange(proxy.port) == b"hello"


async def test_open_connections_are_reset(echo: int) -> None:
    with Faults("127.0.0.1", echo) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()


async def test_latency_holds_each_direction(echo: int) -> None:
    loop = asyncio.get_running_loop()
    with Faults("127.0.0.1", echo) as proxy:
        proxy.latency(0.1)
        began = loop.time()
        assert await exchange(proxy.port) == b"hello"
        assert loop.time() - began >= 0.2


async def test_a_drip_is_slow_and_whole(echo: int) -> None:
    loop = asyncio.get_running_loop()
    with Faults("127.0.0.1", echo) as proxy:
        proxy.drip(seconds=0.02)
        began = loop.time()
        assert await exchange(proxy.port, b"12345") == b"12345"
        assert loop.time() - began >= 0.1


async def test_a_cut_ends_the_answer_in_the_middle(echo: int) -> None:
    with Faults("127.0.0.1", echo) as proxy:
        proxy.cut_after(3)
        assert await exchange(proxy.port, b"12345") == b"123"


async def test_a_dead_target_resets(echo: int) -> None:
    with Faults("127.0.0.1", 1) as proxy, pytest.raises(OSError):
        await exchange(proxy.port)
