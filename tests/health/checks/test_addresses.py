"""Which addresses checks may call, however they are spelled, wrapped, or answered."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from health.checks import lookup
from health.checks.addresses import Addresses, Forbidden, judge, literal_address
from tests.health.checks.leaks import connections_to
from tests.health.checks.servers import LOOPBACK, silent, talking

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
METADATA = ipaddress.IPv4Address("169.254.169.254")
PUBLIC = ("8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8")
PRIVATE = (
    "127.0.0.1",
    "127.255.0.3",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",  # carrier-grade NAT
    "0.1.2.3",
    "192.0.2.1",
    "198.18.0.1",
    "240.0.0.1",
    "::1",
    "fc00::1",
    "fdff::1",
    "fec0::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::7f00:1",  # IPv4-compatible
    "64:ff9b::7f00:1",  # NAT64
    "64:ff9b:1::a00:1",  # NAT64 within a network
    "2002:7f00:1::",  # 6to4
    "2002:c0a8:101::1",
    "2001:0:7f00:1::f7f7:f7f7",  # Teredo, its server
    "2001:0:808:808::80ff:fffe",  # Teredo, its client 127.0.0.1
)
NEVER = (
    "169.254.169.254",
    "169.254.170.2",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "fd00:42::42",
    "fe80::1",
    "fe80::a9fe:a9fe",
    "::ffff:169.254.169.254",
    "::a9fe:a9fe",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "2001:0:a9fe:a9fe::",
    "2001:0:808:808::5601:5601",
    "::ffff:100.100.100.200",
    "0.0.0.0",
    "::",
    "255.255.255.255",
    "224.0.0.1",
    "ff02::1",
)


class TestJudge:
    @pytest.mark.parametrize("text", PUBLIC)
    def test_public_addresses_may_be_called(self, text: str) -> None:
        assert judge(ipaddress.ip_address(text), allow_private=False) == ""

    @pytest.mark.parametrize("text", PRIVATE)
    def test_private_ones_by_setting_only(self, text: str) -> None:
        address = ipaddress.ip_address(text)
        assert "RESILIENCE_ALLOW_PRIVATE_TARGETS" in judge(address, allow_private=False)
        assert judge(address, allow_private=True) == ""

    @pytest.mark.parametrize("text", NEVER)
    def test_metadata_and_link_local_ones_never(self, text: str) -> None:
        address = ipaddress.ip_address(text)
        for allow_private in (False, True):
            reason = judge(address, allow_private=allow_private)
            assert "this site never calls" in reason or "not the address of one host" in reason

    @pytest.mark.parametrize("text", [each for each in NEVER if ":" in each])
    def test_a_zone_changes_nothing(self, text: str) -> None:
        assert judge(ipaddress.ip_address(f"{text}%eth0"), allow_private=True)

    @given(st.ip_addresses(network="169.254.0.0/16"), st.sampled_from(["mapped", "nat64", "6to4"]))
    def test_no_wrapping_hides_a_link_local_address(
        self, inner: ipaddress.IPv4Address, wrapping: str
    ) -> None:
        wrapped = {
            "mapped": (0xFFFF << 32) | int(inner),
            "nat64": (0x64FF9B << 96) | int(inner),
            "6to4": (0x2002 << 112) | (int(inner) << 80),
        }[wrapping]
        assert judge(ipaddress.IPv6Address(wrapped), allow_private=True)

    @given(st.ip_addresses(v=6))
    def test_only_global_unicast_or_a_carrier_is_public(self, address: Address) -> None:
        if not judge(address, allow_private=False):
            carriers = ("2000::/3", "64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0/96")
            assert any(address in ipaddress.ip_network(each) for each in carriers)


class TestLiterals:
    @pytest.mark.parametrize(
        "text",
        [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "0x7F.1",
            "127.0.0.1.",
        ],
    )
    def test_every_spelling_is_the_address_it_leads_to(self, text: str) -> None:
        assert literal_address(text) == ipaddress.IPv4Address("127.0.0.1")

    def test_spellings_of_ipv6(self) -> None:
        assert literal_address("[::1]") == ipaddress.IPv6Address("::1")
        assert literal_address("fe80::1%eth0") == ipaddress.IPv6Address("fe80::1")

    @pytest.mark.parametrize("text", ["localhost", "a.example", "1.2.3.4.5", "0x", "", "1.2.3.999"])
    def test_names_are_none(self, text: str) -> None:
        assert literal_address(text) is None

    @given(st.ip_addresses(v=4), st.sampled_from([int, hex, oct]))
    def test_numbers_are_what_the_system_takes_them_for(
        self, address: ipaddress.IPv4Address, spelling: Callable[[int], object]
    ) -> None:
        text = str(spelling(int(address))).replace("0o", "0")
        assert literal_address(text) == ipaddress.ip_address(
            socket.inet_ntoa(socket.inet_aton(text))
        )


class TestResolve:
    @pytest.mark.parametrize(
        "host", ["169.254.169.254", "0xa9fea9fe", "2852039166", "[::ffff:a9fe:a9fe]", "fe80::1%lo"]
    )
    async def test_spellings_of_forbidden_addresses(self, host: str) -> None:
        with pytest.raises(Forbidden, match="this site never calls"):
            await Addresses(allow_private=True).resolve(host, 80)

    @pytest.mark.parametrize(
        "host", ["metadata.google.internal", "METADATA.google.internal.", "metadata.goog"]
    )
    async def test_names_of_metadata_services_are_not_even_looked_up(self, host: str) -> None:
        with pytest.raises(Forbidden, match="metadata"):
            await Addresses(allow_private=True).resolve(host, 80)

    async def test_a_name_of_this_machine(self) -> None:
        assert LOOPBACK in await Addresses(allow_private=True).resolve("localhost", 80)
        with pytest.raises(Forbidden, match=r"localhost: .* is a private or loopback address"):
            await Addresses().resolve("localhost", 80)

    async def test_a_name_in_full_width_digits_is_judged_by_its_answer(self) -> None:
        with pytest.raises(Forbidden):
            await Addresses(allow_private=True).resolve("１６９.254.169.254", 80)

    async def test_one_forbidden_answer_among_good_ones_is_enough(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def several(name: str) -> list[Address]:
            return [ipaddress.ip_address("8.8.8.8"), METADATA]

        monkeypatch.setattr(lookup, "addresses_of", several)
        with pytest.raises(Forbidden, match=r"^several\.example: 169\.254"):
            await Addresses(allow_private=True).resolve("several.example", 80)

    async def test_a_zone_does_not_travel_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def zoned(name: str) -> list[Address]:
            return [ipaddress.ip_address("::1%lo")]

        monkeypatch.setattr(lookup, "addresses_of", zoned)
        assert await Addresses(allow_private=True).resolve("zoned.example", 80) == ["::1"]

    @pytest.mark.parametrize("name", ["nobody.invalid", "a..b", "x" * 64 + ".example"])
    async def test_a_name_that_is_none(self, name: str) -> None:
        with pytest.raises(OSError, match=r"(?i)not"):
            await Addresses(allow_private=True).resolve(name, 80)


class TestConnect:
    async def test_the_connection_goes_to_the_judged_address(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = [[ipaddress.ip_address(LOOPBACK)], [METADATA]]

        async def rebinding(name: str) -> list[Address]:
            return list(answers.pop(0))

        monkeypatch.setattr(lookup, "addresses_of", rebinding)
        async with talking(silent) as port:
            _, writer = await Addresses(allow_private=True).connect("rebinding.example", port)
            assert writer.get_extra_info("peername") == (LOOPBACK, port)
            writer.transport.abort()
            with pytest.raises(Forbidden):
                await Addresses(allow_private=True).connect("rebinding.example", port)

    async def test_an_address_that_refuses_does_not_hide_the_next(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def two(name: str) -> list[Address]:
            return [ipaddress.ip_address("127.0.0.9"), ipaddress.ip_address(LOOPBACK)]

        monkeypatch.setattr(lookup, "addresses_of", two)
        async with talking(silent) as port:
            _, writer = await Addresses(allow_private=True).connect("two.example", port)
            assert writer.get_extra_info("peername") == (LOOPBACK, port)
            writer.transport.abort()

    async def test_a_connection_that_is_cancelled_leaves_no_socket(self) -> None:
        # Nobody accepts, and the only place in the queue is taken: the next one waits for ever.
        with socket.socket() as full:
            full.bind((LOOPBACK, 0))
            full.listen(0)
            port = full.getsockname()[1]
            with socket.create_connection((LOOPBACK, port)), pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await Addresses(allow_private=True).connect(LOOPBACK, port)
            assert not [each for each in connections_to(port) if each == "SYN_SENT"]


class TestLookup:
    async def test_many_who_ask_share_one_lookup(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []
        go_on = threading.Event()

        def slow(name: str, *_: object, **__: object) -> list[object]:
            asked.append(name)
            go_on.wait(10)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]

        monkeypatch.setattr(socket, "getaddrinfo", slow)
        askers = [asyncio.create_task(lookup.addresses_of("slow.example")) for _ in range(50)]
        await asyncio.sleep(0)
        askers[0].cancel()
        go_on.set()
        answers = await asyncio.gather(*askers, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        assert answers[1:] == [[ipaddress.ip_address("192.0.2.1")]] * 49
        assert asked == ["slow.example"]

    async def test_silent_name_servers_do_not_hold_up_other_names(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        go_on = threading.Event()

        def some_hang(name: str, *_: object, **__: object) -> list[object]:
            if name.startswith("silent"):
                go_on.wait(120)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]

        monkeypatch.setattr(socket, "getaddrinfo", some_hang)
        hanging = [asyncio.create_task(lookup.addresses_of(f"silent{n}")) for n in range(40)]
        async with asyncio.timeout(60):
            assert await lookup.addresses_of("quick.example")
        go_on.set()
        await asyncio.gather(*hanging)

    async def test_a_failed_lookup_is_tried_anew(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answers: list[object] = [
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure"),
            [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 0, 0, 0))] * 2,
        ]

        def next_answer(*_: object, **__: object) -> object:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(socket, "getaddrinfo", next_answer)
        with pytest.raises(socket.gaierror):
            await lookup.addresses_of("a.example")
        found = await lookup.addresses_of("a.example")
        assert found == [ipaddress.ip_address("2001:db8::1")]
