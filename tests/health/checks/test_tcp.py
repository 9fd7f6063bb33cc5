"""The TCP check: a connection alone, a banner, a question and its answer."""

from __future__ import annotations

import asyncio

import pytest

from health.checks.addresses import Addresses, Forbidden
from tests.health.checks.probing import eventually, failure, hangs, probe, refused
from tests.health.checks.servers import (
    LOOPBACK,
    saying,
    silent,
    slamming,
    stopped_process,
    talking,
)
from tests.health.faults import Faults, end_with_reset

pytestmark = pytest.mark.usefixtures("nothing_left_behind")


def at(port: int, **more: object) -> dict[str, object]:
    return {"host": LOOPBACK, "port": port, **more}


async def greeting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await silent(reader, writer)


async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    end_with_reset(writer)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server does at once may be seen late."""
    monkeypatch.setattr("health.checks.plugins.tcp._SETTLE", 60.0)


class TestConnectionAlone:
    async def test_it_says_that_no_more_is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("health.checks.plugins.tcp._SETTLE", 3.0)
        async with talking(silent) as port:
            found = await probe("tcp", at(port))
        assert found.output == "Accepts connections; nothing was asked, so no more is known"
        # The pause in which a server might close is not the target's time.
        assert found.latency_ms is not None
        assert found.latency_ms < 3000

    @pytest.mark.usefixtures("patient")
    async def test_a_banner_is_said(self) -> None:
        async with talking(greeting) as port:
            found = await probe("tcp", at(port))
        assert found.output == "Accepts connections and says “SSH-2.0-OpenSSH_9.2”"

    @pytest.mark.usefixtures("patient")
    async def test_a_server_that_closes_at_once_fails(self) -> None:
        async with talking(slamming) as port:
            failed = await failure("tcp", at(port))
        assert failed.output == "Accepted the connection and closed it at once"

    @pytest.mark.usefixtures("patient")
    async def test_a_server_that_resets_at_once_fails(self) -> None:
        async with talking(resetting) as port:
            failed = await failure("tcp", at(port))
        assert "reset the connection" in failed.output

    async def test_nobody_listens(self) -> None:
        with Faults(LOOPBACK, 1) as proxy:
            proxy.refuse()
            failed = await failure("tcp", at(proxy.port))
        assert failed.output.endswith("cannot be reached: it refused the connection")

    async def test_a_stopped_process_looks_well_and_the_output_says_why(self) -> None:
        with stopped_process() as port:
            found = await probe("tcp", at(port))
        assert "nothing was asked" in found.output

    async def test_where_deep_checks_are_off_a_connection_will_do(self) -> None:
        async with talking(silent) as port:
            found = await probe("tcp", at(port, send="a", expect="b"), deep=False)
        assert found.output.endswith("(not looked at more deeply)")


class TestExpectation:
    async def test_a_banner(self) -> None:
        async with talking(greeting) as port:
            found = await probe("tcp", at(port, expect="SSH-2.0"))
        assert found.output == "Answered with “SSH-2.0”"

    async def test_an_answer_in_pieces(self) -> None:
        async with talking(saying(b"+PO", b"NG\r\n", pause=0.01)) as port:
            await probe("tcp", at(port, send="PING\r\n", expect="+PONG"))

    async def test_another_answer(self) -> None:
        async with talking(saying(b"-ERR\x00 go\naway\r\n")) as port:
            failed = await failure("tcp", at(port, send="PING\r\n", expect="+PONG"))
        assert failed.output == ("Said “-ERR go away” and closed the connection, expected “+PONG”")

    async def test_no_answer_but_the_end(self) -> None:
        async with talking(saying()) as port:
            failed = await failure("tcp", at(port, send="PING\r\n", expect="+PONG"))
        assert failed.output == "Closed the connection without a word, expected “+PONG”"

    async def test_endless_talk_is_cut(self) -> None:
        async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                writer.write(b"x" * 4096)
                await writer.drain()

        async with talking(endless) as port:
            failed = await failure("tcp", at(port, expect="y"))
        assert failed.output.endswith("bytes without “y”")

    async def test_a_stopped_process_does_not_answer(self) -> None:
        with stopped_process() as port:
            await hangs("tcp", at(port, send="GET / HTTP/1.0\r\n\r\n", expect="204"))

    async def test_a_silent_server_is_left_at_the_deadline(self) -> None:
        async with talking(silent) as port:
            with Faults(LOOPBACK, port) as proxy:
                await hangs("tcp", at(proxy.port, expect="hello"))
                await eventually(lambda: not proxy.open_connections)

    async def test_a_slow_drip_ends_at_the_deadline(self) -> None:
        async with talking(saying(*[b"x"] * 100, pause=0.05)) as port:
            await hangs("tcp", at(port, send="a", expect="y"))

    async def test_what_is_sent_is_masked_where_it_comes_back(self) -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read(100))

        async with talking(echo) as port:
            failed = await failure("tcp", at(port, send="AUTH s3cr3t\r\n", expect="OK"))
        assert "s3cr3t" not in failed.output
        assert "***" in failed.output


async def test_a_forbidden_address_is_a_fault_of_the_check() -> None:
    with pytest.raises(Forbidden, match="private or loopback"):
        await probe("tcp", at(1), addresses=Addresses())


@pytest.mark.parametrize(
    ("target", "option"),
    [
        ({"port": 1}, "host"),
        ({"host": "a"}, "port"),
        (at(0), "port"),
        (at(65_536), "port"),
        (at(1, host="a b"), "host"),
        (at(1, host="http://a"), "host"),
        (at(1, host="a" * 64), "host"),
        (at(1, host="a..b"), "host"),
        (at(1, send="x"), "expect"),
        (at(1, expect=""), "expect"),
        ({"host": "a", "port": "22"}, "port"),
        ({"host": "a", "port": 1.5}, "port"),
    ],
)
def test_options_that_are_refused(target: dict[str, object], option: str) -> None:
    assert refused("tcp", target).option == option
