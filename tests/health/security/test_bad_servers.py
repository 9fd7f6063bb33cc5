"""Servers of bad faith: what they answer must cost neither the memory nor the time of other checks."""

from __future__ import annotations

import gzip
import time
import tracemalloc

import pytest

from tests.health.checks.leaks import nothing_left_behind
from tests.health.checks.probing import failure
from tests.health.checks.servers import LOOPBACK, answering, talking

__all__ = ["nothing_left_behind"]
pytestmark = pytest.mark.usefixtures("nothing_left_behind")


# Decoders whose time grows with the square of a text, or that are no character sets at all.
@pytest.mark.parametrize("charset", ["punycode", "idna", "undefined", "unicode_escape", "hex"])
async def test_a_server_does_not_choose_a_costly_decoder(charset: str) -> None:
    page = answering("200 OK", f"Content-Type: text/html; charset={charset}", body=b"a" * 800_000)
    async with talking(page) as port:
        began = time.process_time()
        failed = await failure("http", {"url": f"http://{LOOPBACK}:{port}/", "keyword": "x"})
        assert time.process_time() - began < 30
    assert failed.output == "The body is in an unknown character set"


async def test_a_bomb_of_an_mcp_server_stays_packed() -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    page = answering(
        "200 OK", "Content-Type: application/json", "Content-Encoding: gzip", body=bomb
    )
    async with talking(page) as port:
        # What is loaded with the first run is no part of it.
        url = f"http://{LOOPBACK}:{port}/mcp"
        await failure("mcp", {"url": url.replace("/mcp", "/first"), "handshake": "initialize"})
        tracemalloc.start()
        try:
            failed = await failure("mcp", {"url": url, "handshake": "initialize"})
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 16 * 1024 * 1024
    assert "coding" in failed.output
