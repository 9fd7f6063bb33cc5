"""The DNS check against a real name server: its answers, its silence, its lies."""

from __future__ import annotations

import asyncio
import socket

import dns.rcode
import pytest

from health.checks import KINDS
from health.checks.addresses import Addresses, Forbidden
from tests.health.checks.probing import eventually, failure, hangs, probe, refused
from tests.health.checks.servers import LOOPBACK, name_server, saying, silent, talking

pytestmark = pytest.mark.usefixtures("nothing_left_behind")
RECORDS = {
    "www.example A": ["192.0.2.1", "192.0.2.2"],
    "alias.example CNAME": ["www.example."],
    "example MX": ["10 Mail.Example.", "20 backup.example."],
    "example TXT": ['"v=spf1 -all" ""', '"long ""and longer"'],
    "loop.example CNAME": ["loop.example."],
}


def ask(port: int, name: str, **more: object) -> dict[str, object]:
    return {"name": name, "server": LOOPBACK, "port": port, **more}


class TestHealthy:
    async def test_records_are_said(self) -> None:
        async with name_server(records=RECORDS) as zone:
            found = await probe("dns", ask(zone.port, "www.example"))
        assert found.output == "A of www.example: 192.0.2.1, 192.0.2.2"
        assert found.observed["records"].value == 2
        assert found.latency_ms is not None

    @pytest.mark.parametrize(
        ("name", "kind", "values"),
        [
            ("www.example", "A", ["192.0.2.2"]),
            ("WWW.example.", "a", ["192.0.2.2", "192.0.2.1"]),
            ("example", "MX", ["10 mail.example", "20 BACKUP.example."]),
            ("example", "TXT", ["v=spf1 -all", "long and longer"]),
            ("alias.example", "CNAME", ["www.example"]),
        ],
    )
    async def test_values_that_are_expected(self, name: str, kind: str, values: list[str]) -> None:
        async with name_server(records=RECORDS) as zone:
            await probe("dns", ask(zone.port, name, type=kind, values=values))

    async def test_a_name_that_shall_not_exist(self) -> None:
        async with name_server(rcode=dns.rcode.NXDOMAIN) as zone:
            found = await probe("dns", ask(zone.port, "gone.example", rcode="NXDOMAIN"))
        assert found.output == "Answered NXDOMAIN, as expected"

    async def test_a_lost_datagram_is_sent_again(self) -> None:
        async with name_server(records=RECORDS, lose=1) as zone:
            await probe("dns", ask(zone.port, "www.example"), timeout=1.0, within=60.0)
            assert zone.asked >= 2

    async def test_a_long_answer_is_fetched_by_tcp(self) -> None:
        async with name_server(records=RECORDS, truncate=True) as zone:
            await probe("dns", ask(zone.port, "www.example"))
        async with name_server(records=RECORDS, lose=9) as zone:
            await probe("dns", ask(zone.port, "www.example", tcp=True))
            assert not zone.asked

    async def test_where_deep_checks_are_off_any_answer_will_do(self) -> None:
        async with name_server(rcode=dns.rcode.REFUSED) as zone:
            found = await probe("dns", ask(zone.port, "www.example"), deep=False)
        assert found.output == "Answered (not looked at more deeply)"


class TestBroken:
    async def test_a_value_that_is_missing(self) -> None:
        async with name_server(records=RECORDS) as zone:
            failed = await failure(
                "dns", ask(zone.port, "www.example", values=["192.0.2.1", "192.0.2.9"])
            )
        assert failed.output == "Answered 192.0.2.1, 192.0.2.2, without 192.0.2.9"

    async def test_a_name_without_such_a_record(self) -> None:
        async with name_server(records=RECORDS) as zone:
            failed = await failure("dns", ask(zone.port, "www.example", type="AAAA"))
        assert failed.output == "www.example has no record of type AAAA"

    async def test_a_name_that_does_not_exist(self) -> None:
        async with name_server(rcode=dns.rcode.NXDOMAIN) as zone:
            failed = await failure("dns", ask(zone.port, "gone.example"))
        assert failed.output == "Answered NXDOMAIN (the name does not exist), expected NOERROR"

    async def test_a_server_that_refuses(self) -> None:
        async with name_server(rcode=dns.rcode.SERVFAIL) as zone:
            failed = await failure("dns", ask(zone.port, "www.example"))
        assert failed.output == "Answered SERVFAIL, expected NOERROR"

    async def test_aliases_in_a_circle(self) -> None:
        async with name_server(records=RECORDS) as zone:
            failed = await failure("dns", ask(zone.port, "loop.example"))
        assert failed.output == "Answered with a chain of aliases that leads nowhere"

    async def test_nobody_listens(self) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as taken:
            taken.bind((LOOPBACK, 0))
            port = taken.getsockname()[1]
        for tcp in (False, True):
            failed = await failure("dns", ask(port, "www.example", tcp=tcp))
            assert (
                failed.output == f"{LOOPBACK}:{port} cannot be reached: it refused the connection"
            )

    @pytest.mark.parametrize("answer", [b"\x00\x04abcd", b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
    async def test_an_answer_that_is_not_dns(self, answer: bytes) -> None:
        async with talking(saying(answer)) as port:
            failed = await failure("dns", ask(port, "www.example", tcp=True))
        assert failed.output == f"{LOOPBACK}:{port} gave an answer that is not DNS"


class TestHanging:
    async def test_a_server_that_loses_all(self) -> None:
        async with name_server(lose=1000) as zone:
            asking = asyncio.create_task(
                probe("dns", ask(zone.port, "www.example"), timeout=0.4, within=60.0)
            )
            await eventually(lambda: zone.asked >= 2)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await hangs("dns", ask(zone.port, "www.example"))

    async def test_a_silent_stream(self) -> None:
        async with talking(silent) as port:
            await hangs("dns", ask(port, "www.example", tcp=True))

    async def test_answers_to_other_questions_are_not_taken(self) -> None:
        class Liar(asyncio.DatagramProtocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = transport

            def datagram_received(self, data: bytes, address: object) -> None:
                wrong = bytes([data[0] ^ 1]) + data[1:]
                self.transport.sendto(wrong, address)  # type: ignore[attr-defined]

        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Liar, local_addr=(LOOPBACK, 0))
        port = transport.get_extra_info("sockname")[1]
        await hangs("dns", ask(port, "www.example"))
        transport.close()


async def test_a_forbidden_server_is_a_fault_of_the_check() -> None:
    with pytest.raises(Forbidden):
        await probe("dns", ask(53, "www.example"), addresses=Addresses())
    with pytest.raises(Forbidden):
        await probe("dns", {"name": "a", "server": "169.254.169.253"})


async def test_the_servers_of_the_machine_are_asked_without_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    asked: list[str] = []

    class Resolver:
        nameservers = ("192.0.2.53", "https://dns.example/", "192.0.2.54")

    async def exchange(options: object, server: str, port: int, patience: float) -> None:
        asked.append(f"{server}:{port}")
        raise OSError(113, "No route to host")

    monkeypatch.setattr("dns.resolver.Resolver", Resolver)
    monkeypatch.setattr("health.checks.plugins.dns._exchange", exchange)
    failed = await failure("dns", {"name": "a.example"}, addresses=Addresses())
    assert asked == ["192.0.2.53:53"]
    assert failed.output == "192.0.2.53:53 cannot be reached: there is no route to the host"


def test_hosts() -> None:
    check = KINDS["dns"]
    assert check.hosts(check.parse({"name": "a"})) == ()
    assert check.hosts(check.parse(ask(5353, "a"))) == ((LOOPBACK, 5353),)


@pytest.mark.parametrize(
    ("more", "option"),
    [
        ({"name": ""}, "name"),
        ({"name": "a..b"}, "name"),
        ({"name": "a" * 64}, "name"),
        ({"type": "ANY"}, "type"),
        ({"type": "AXFR"}, "type"),
        ({"type": "NONE SUCH"}, "type"),
        ({"rcode": "FINE"}, "rcode"),
        ({"values": ["not an address"]}, "values"),
        ({"type": "MX", "values": ["mail.example"]}, "values"),
        ({"rcode": "NXDOMAIN", "values": ["192.0.2.1"]}, "values"),
        ({"server": "a b"}, "server"),
        ({"port": 70_000}, "port"),
    ],
)
def test_options_that_are_refused(more: dict[str, object], option: str) -> None:
    assert refused("dns", {"name": "a.example", **more}).option == option
