"""The TLS check: certificates that expire, are for others, or lead to nobody who is trusted."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from health.checks import KINDS
from health.checks.addresses import Addresses, Forbidden
from tests.health.checks.leaks import connections_to
from tests.health.checks.probing import eventually, failure, hangs, probe, refused
from tests.health.checks.servers import (
    LOOPBACK,
    Authority,
    saying,
    silent,
    slamming,
    stopped_process,
    talking,
)
from tests.health.faults import Faults

pytestmark = pytest.mark.usefixtures("nothing_left_behind")
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


class TestHealthy:
    async def test_protocol_and_days_are_said(self, authority: Authority) -> None:
        tls = authority.server(LOOPBACK, not_after=NOW + timedelta(days=100, hours=1))
        async with talking(silent, tls) as port:
            target = {"host": LOOPBACK, "port": port, "ca": authority.pem}
            found = await probe("tls", target, now=NOW)
            await eventually(lambda: not connections_to(port))
        assert found.status == "up"
        assert re.fullmatch(
            r"TLSv1\.3; the certificate expires in 100\.0 days, on \d{4}-\d\d-\d\d \d\d:\d\d UTC",
            found.output,
        )
        assert found.observed["days_left"].value == pytest.approx(100, abs=0.1)
        assert found.observed["days_left"].unit == "d"

    async def test_another_name_may_be_asked_for(self, authority: Authority) -> None:
        async with talking(silent, authority.server("www.example")) as port:
            target = {"host": LOOPBACK, "port": port, "ca": authority.pem}
            await probe("tls", {**target, "server_name": "www.example"})

    async def test_protocols_that_are_offered(self, authority: Authority) -> None:
        tls = authority.server(LOOPBACK)
        target = {"host": LOOPBACK, "ca": authority.pem, "alpn": ["h2", "http/1.1"]}
        async with talking(silent, tls) as port:
            failed = await failure("tls", {**target, "port": port})
            assert failed.output == "It took none of the protocols h2, http/1.1"
            tls.set_alpn_protocols(["h2"])
            found = await probe("tls", {**target, "port": port})
        assert found.output.startswith("TLSv1.3 h2; ")

    async def test_few_days_degrade_and_fewer_fail(self, authority: Authority) -> None:
        tls = authority.server(LOOPBACK, not_after=NOW + timedelta(days=5, hours=1))
        async with talking(silent, tls) as port:
            target = {"host": LOOPBACK, "port": port, "ca": authority.pem}
            found = await probe("tls", target, now=NOW)
            failed = await failure("tls", {**target, "fail_days": 7}, now=NOW)
            later = await failure("tls", target, now=NOW + timedelta(days=6))
        assert found.status == "degraded"
        assert "expires in 5.0 days" in found.output
        assert failed.output.startswith("The certificate expires in 5.0 days")
        assert failed.output.endswith("UTC; fails below 7")
        assert failed.observed["days_left"].value == pytest.approx(5, abs=0.1)
        # The clock of the run counts, not only that of OpenSSL.
        assert later.observed["days_left"].value < 0


class TestBroken:
    async def test_an_expired_certificate(self, authority: Authority) -> None:
        ended = NOW - timedelta(days=3)
        tls = authority.server(LOOPBACK, not_before=NOW - timedelta(days=30), not_after=ended)
        async with talking(silent, tls) as port:
            target = {"host": LOOPBACK, "port": port, "ca": authority.pem}
            failed = await failure("tls", target, now=NOW)
        assert failed.output == (
            f"{LOOPBACK}:{port}: its certificate has expired (on {ended:%Y-%m-%d %H:%M} UTC)"
        )
        assert failed.observed["days_left"].value == pytest.approx(-3, abs=0.1)

    async def test_a_certificate_that_is_not_valid_yet(self, authority: Authority) -> None:
        tls = authority.server(LOOPBACK, not_before=NOW + timedelta(days=1))
        async with talking(silent, tls) as port:
            failed = await failure("tls", {"host": LOOPBACK, "port": port, "ca": authority.pem})
        assert "its certificate is not valid yet" in failed.output

    async def test_a_self_signed_certificate(self, authority: Authority) -> None:
        async with talking(silent, authority.self_signed()) as port:
            failed = await failure("tls", {"host": LOOPBACK, "port": port})
        assert "its certificate is self-signed" in failed.output

    async def test_a_certificate_of_an_authority_that_is_not_trusted(
        self, authority: Authority
    ) -> None:
        async with talking(silent, authority.server(LOOPBACK)) as port:
            target = {"host": LOOPBACK, "port": port}
            failed = await failure("tls", target)
            other = await failure("tls", {**target, "ca": Authority().pem})
        for each in (failed, other):
            assert re.search("its certificate('s issuer is not known| comes from)", each.output)

    async def test_a_certificate_for_another_host(self, authority: Authority) -> None:
        async with talking(silent, authority.server("www.example", "x.example")) as port:
            target = {"host": LOOPBACK, "port": port, "ca": authority.pem}
            by_address = await failure("tls", target)
            by_name = await failure("tls", {**target, "server_name": "y.example"})
        assert by_address.output.endswith(
            f"its certificate is for another address (www.example, x.example, not {LOOPBACK})"
        )
        assert by_name.output.endswith(
            "its certificate is for another host (www.example, x.example, not y.example)"
        )

    @pytest.mark.parametrize(
        ("conversation", "words"),
        [
            (slamming, "connection"),
            (saying(), "connection"),
            (saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "does not speak TLS"),
        ],
    )
    async def test_a_server_without_tls(self, conversation: object, words: str) -> None:
        async with talking(conversation) as port:  # type: ignore[arg-type]
            failed = await failure("tls", {"host": LOOPBACK, "port": port})
        assert words in failed.output

    async def test_nobody_listens(self) -> None:
        with Faults(LOOPBACK, 1) as proxy:
            proxy.refuse()
            failed = await failure("tls", {"host": LOOPBACK, "port": proxy.port})
        assert failed.output.endswith("cannot be reached: it refused the connection")


class TestHanging:
    async def test_a_stopped_process(self) -> None:
        with stopped_process() as port:
            await hangs("tls", {"host": LOOPBACK, "port": port})
            await eventually(lambda: not connections_to(port), 10.0)

    async def test_a_handshake_that_drips(self, authority: Authority) -> None:
        async with talking(silent, authority.server(LOOPBACK)) as port:
            with Faults(LOOPBACK, port) as proxy:
                proxy.drip(seconds=0.02)
                target = {"host": LOOPBACK, "port": proxy.port, "ca": authority.pem}
                await hangs("tls", target)

    async def test_a_handshake_that_is_cut(self, authority: Authority) -> None:
        async with talking(silent, authority.server(LOOPBACK)) as port:
            with Faults(LOOPBACK, port) as proxy:
                proxy.cut_after(100)
                target = {"host": LOOPBACK, "port": proxy.port, "ca": authority.pem}
                failed = await failure("tls", target)
        assert "connection" in failed.output


async def test_a_forbidden_address_is_a_fault_of_the_check() -> None:
    with pytest.raises(Forbidden):
        await probe("tls", {"host": "169.254.169.254"})
    with pytest.raises(Forbidden):
        await probe("tls", {"host": LOOPBACK}, addresses=Addresses())


def test_hosts() -> None:
    check = KINDS["tls"]
    assert check.hosts(check.parse({"host": "a.example"})) == (("a.example", 443),)


@pytest.mark.parametrize(
    ("more", "option"),
    [
        ({"host": "a b"}, "host"),
        ({"port": 0}, "port"),
        ({"server_name": "a/b"}, "server_name"),
        ({"ca": "-----BEGIN CERTIFICATE-----"}, "ca"),
        ({"warn_days": 1, "fail_days": 2}, "warn_days"),
        ({"fail_days": -1}, "fail_days"),
        ({"warn_days": float("nan")}, "warn_days"),
        ({"alpn": [""]}, "alpn"),
        ({"alpn": "h2"}, "alpn"),
    ],
)
def test_options_that_are_refused(more: dict[str, object], option: str) -> None:
    assert refused("tls", {"host": "a.example", **more}).option == option
