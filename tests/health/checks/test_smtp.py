"""The SMTP check against a real mail server: greeting, TLS, login, envelope, silence."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult

from health.checks import KINDS
from health.checks.addresses import Addresses, Forbidden
from tests.health.checks.leaks import connections_to
from tests.health.checks.probing import eventually, failure, hangs, probe, refused
from tests.health.checks.servers import (
    LOOPBACK,
    Authority,
    mail_server,
    silent,
    slamming,
    stopped_process,
    talking,
)
from tests.health.faults import Faults

pytestmark = pytest.mark.usefixtures("nothing_left_behind")
SECRET = "s3cr3t-of-mine"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def at(port: int, **more: object) -> dict[str, Any]:
    return {"host": LOOPBACK, "port": port, **more}


class Mailbox:
    """Takes mail for one recipient, and keeps what it was given."""

    def __init__(self) -> None:
        self.recipients: list[str] = []
        self.messages: list[object] = []

    async def handle_RCPT(  # noqa: N802
        self, server: object, session: object, envelope: Any, address: str, options: object
    ) -> str:
        if address != "probe@example.org":
            return "550 no such user here"
        self.recipients.append(address)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: object, session: object, envelope: object
    ) -> str:
        self.messages.append(envelope)
        return "250 OK"


def authenticate(server: object, session: object, envelope: object, how: str, data: Any) -> object:
    return AuthResult(success=data.password.decode() == SECRET, handled=False)


def speaking(*answers: bytes) -> Any:
    """Greets, and gives one answer for each line."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            writer.write(answer)
            await writer.drain()
            await reader.readline()
        await silent(reader, writer)

    return conversation


class TestHealthy:
    async def test_a_server_that_greets(self) -> None:
        async with mail_server() as port:
            found = await probe("smtp", at(port))
        assert found.output == "Takes mail: EHLO, NOOP"
        assert found.observed["greeting"].unit == "ms"

    async def test_an_envelope_without_a_message(self) -> None:
        mailbox = Mailbox()
        async with mail_server(mailbox) as port:
            target = at(port, sender="check@example.org", recipient="probe@example.org")
            found = await probe("smtp", target)
        assert found.output == "Takes mail: EHLO, recipient"
        assert mailbox.recipients == ["probe@example.org"]
        assert not mailbox.messages

    async def test_starttls_and_a_login(self, authority: Authority) -> None:
        tls = authority.server(LOOPBACK)
        async with mail_server(tls_context=tls, authenticator=authenticate) as port:
            target = at(port, tls="starttls", username="me", password=SECRET, ca=authority.pem)
            found = await probe("smtp", target)
        assert found.output == "Takes mail: EHLO, STARTTLS, login, NOOP"

    async def test_tls_from_the_first_byte(self, authority: Authority) -> None:
        async with mail_server(implicit_tls=authority.server(LOOPBACK)) as port:
            await probe("smtp", at(port, tls="implicit", ca=authority.pem))
            await probe("smtp", at(port, tls="implicit", verify_tls=False))

    async def test_where_deep_checks_are_off_a_connection_will_do(self) -> None:
        async with talking(silent) as port:
            await probe("smtp", at(port), deep=False)

    async def test_a_server_that_slams_at_the_farewell_is_well(self) -> None:
        async with talking(saying_then_ending()) as port:
            await probe("smtp", at(port))


def saying_then_ending() -> Any:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (b"220 hello\r\n", b"250 mail.example\r\n", b"250 OK\r\n"):
            writer.write(answer)
            await writer.drain()
            await reader.readline()

    return conversation


class TestBroken:
    async def test_nobody_listens(self) -> None:
        with Faults(LOOPBACK, 1) as proxy:
            proxy.refuse()
            failed = await failure("smtp", at(proxy.port))
        assert failed.output.endswith("cannot be reached: it refused the connection")

    @pytest.mark.parametrize(
        ("conversation", "words"),
        [
            (speaking(b"554 go away\r\n"), "greeted with a refusal: 554 go away"),
            (speaking(b"421 too busy\r\n"), "greeted with a refusal: 421 too busy"),
            (speaking(b"220 hello\r\n", b"500 what?\r\n"), "refused EHLO: 500 what?"),
            (speaking(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ""),
            (speaking(b"220 hello\r\n", b"250 OK\r\n", b"421 no\r\n"), "unexpected answer: 421 no"),
            (slamming, "connection"),
            (speaking(b"220 " + b"x" * 100_000), ""),
        ],
    )
    async def test_a_server_that_does_not_want_to(self, conversation: Any, words: str) -> None:
        async with talking(conversation) as port:
            failed = await failure("smtp", at(port))
        assert words in failed.output
        assert failed.output.startswith(f"{LOOPBACK}:{port} ")

    async def test_a_recipient_or_a_sender_that_is_refused(self) -> None:
        async with mail_server(Mailbox()) as port:
            target = at(port, sender="check@example.org", recipient="nobody@example.org")
            failed = await failure("smtp", target)
        assert failed.output.endswith("refused the recipient: 550 no such user here")

    async def test_a_wrong_password_is_not_told(self, authority: Authority) -> None:
        tls = authority.server(LOOPBACK)
        async with mail_server(tls_context=tls, authenticator=authenticate) as port:
            target = at(port, tls="starttls", username="me", ca=authority.pem)
            failed = await failure("smtp", {**target, "password": "wr0ng-one"})
        assert "refused the login: 535" in failed.output
        assert "wr0ng-one" not in failed.output

    async def test_starttls_that_is_not_offered(self) -> None:
        async with mail_server() as port:
            failed = await failure("smtp", at(port, tls="starttls"))
        assert "STARTTLS" in failed.output

    async def test_certificates_that_are_not_trusted(self, authority: Authority) -> None:
        other = authority.server("mail.example")
        async with mail_server(tls_context=other) as port:
            target = at(port, tls="starttls")
            unknown = await failure("smtp", target)
            wrong = await failure("smtp", {**target, "ca": authority.pem})
        assert "its certificate" in unknown.output
        assert wrong.output == f"{LOOPBACK}:{port}: its certificate is for another address"
        async with mail_server(implicit_tls=other) as port:
            failed = await failure("smtp", at(port, tls="implicit"))
        assert "its certificate" in failed.output

    async def test_tls_where_none_is_spoken(self) -> None:
        async with mail_server() as port:
            failed = await failure("smtp", at(port, tls="implicit"))
        assert "does not speak TLS" in failed.output


class TestHanging:
    async def test_a_stopped_process(self) -> None:
        with stopped_process() as port:
            await hangs("smtp", at(port))

    async def test_silence_at_each_step(self) -> None:
        for answers in ([], [b"220 hello\r\n"], [b"220 hello\r\n", b"250 OK\r\n"]):
            async with talking(speaking(*answers)) as port:
                await hangs("smtp", at(port))
                await eventually(lambda port=port: not connections_to(port), 10.0)

    async def test_a_tls_connection_is_left_without_farewell(self, authority: Authority) -> None:
        async with talking(silent, authority.server(LOOPBACK)) as port:
            with Faults(LOOPBACK, port) as proxy:
                target = at(proxy.port, tls="implicit", ca=authority.pem)
                run = asyncio.create_task(hangs("smtp", target, 1.0))
                await eventually(lambda: proxy.accepted)
                await asyncio.sleep(0.5)
                proxy.hang()
                await run
                await eventually(lambda: not connections_to(proxy.port), 10.0)

    async def test_a_slow_drip_ends_at_the_deadline(self) -> None:
        async with mail_server() as port:
            with Faults(LOOPBACK, port) as proxy:
                proxy.drip(seconds=0.05)
                await hangs("smtp", at(proxy.port))

    async def test_a_reset_in_the_middle(self) -> None:
        async with talking(speaking(b"220 hello\r\n")) as port:
            with Faults(LOOPBACK, port) as proxy:
                run = asyncio.create_task(failure("smtp", at(proxy.port)))
                await eventually(lambda: proxy.accepted)
                await asyncio.sleep(0.1)
                proxy.reset()
                assert "connection" in (await run).output


async def test_a_forbidden_address_is_a_fault_of_the_check() -> None:
    with pytest.raises(Forbidden):
        await probe("smtp", at(25), addresses=Addresses())


def test_hosts() -> None:
    check = KINDS["smtp"]
    assert check.hosts(check.parse({"host": "mx.example"})) == (("mx.example", 25),)


@pytest.mark.parametrize(
    ("more", "option"),
    [
        ({"host": ""}, "host"),
        ({"tls": "yes"}, "tls"),
        ({"username": "me"}, "password"),
        ({"username": "me", "password": "x"}, "password"),
        ({"username": "me", "password": "x", "tls": "starttls", "verify_tls": False}, "password"),
        ({"sender": "a@b.example"}, "recipient"),
        ({"sender": "a@b\r\nRCPT", "recipient": "a@b.example"}, "sender"),
        ({"sender": "a@b.example", "recipient": "<a@b>"}, "recipient"),
        ({"ca": "x"}, "ca"),
    ],
)
def test_options_that_are_refused(more: dict[str, object], option: str) -> None:
    assert refused("smtp", {"host": "mx.example", **more}).option == option
