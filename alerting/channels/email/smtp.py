"""One mail to one server: to judged addresses, with TLS where it is offered, within a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Final, cast
from urllib.parse import unquote, urlsplit

import aiosmtplib

from alerting.channels.base import ATTEMPT_SECONDS, Outcome
from alerting.choices import AttemptOutcome
from health.checks.addresses import Addresses, Forbidden, bare_host
from health.checks.base import Failed
from health.checks.options import OptionError
from health.checks.reaching import network_failures, place
from health.checks.tlscontext import tls_context
from health.checks.words import one_line

_PORTS: Final = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True)
class Server:
    """A mail server: `smtps` has TLS from the first byte, `smtp` where the server offers it."""

    scheme: str
    host: str
    port: int
    username: str
    password: str


def server_of(option: str, url: str) -> Server:
    """The server that a URL names; raises `OptionError` for `option`, without a secret."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise OptionError(option, "is no valid URL") from None
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise OptionError(option, "must be a URL like smtp://user:password@mail.example.com:587")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise OptionError(option, "may have nothing after the port")
    return Server(
        parts.scheme,
        parts.hostname,
        port or _PORTS[parts.scheme],
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


class _NoTls(Exception):
    """The server offers no TLS, and a password is sent in no other way."""


async def mail_send(
    mail: EmailMessage,
    *,
    server: Server,
    sender: str,
    to: Sequence[str],
    addresses: Addresses,
    ca: str | None,
    shown: Mapping[str, Any],
) -> Outcome:
    """Send a mail once. Raises `ValueError` for an address that cannot be written in a command."""

    async def send(client: aiosmtplib.SMTP) -> tuple[str, str]:
        refused, answer = await client.sendmail(sender, list(to), mail.as_bytes())
        return answer, f"Refused for {', '.join(sorted(refused))}" if refused else ""

    return await _spoken(send, server=server, addresses=addresses, ca=ca, shown=shown)


async def login_try(*, server: Server, addresses: Addresses, ca: str | None) -> Outcome:
    """Whether the server takes the name and the password; nothing is sent."""

    async def leave(client: aiosmtplib.SMTP) -> tuple[str, str]:
        return "", ""

    return await _spoken(leave, server=server, addresses=addresses, ca=ca, shown={})


async def _spoken(
    say: Callable[[aiosmtplib.SMTP], Awaitable[tuple[str, str]]],
    *,
    server: Server,
    addresses: Addresses,
    ca: str | None,
    shown: Mapping[str, Any],
) -> Outcome:
    """What comes of `say`, which gives the server's answer and a note, to a client that may send."""
    where = place(server.host, server.port)
    try:
        # The deadline stands around the rest, which would take its end for one of the network.
        async with asyncio.timeout(ATTEMPT_SECONDS):
            with network_failures(where):
                async with _greeted(server, addresses, ca) as client:
                    answer, note = await say(client)
                    # It is done; how the server says farewell does not matter.
                    with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                        await client.quit()
    except Forbidden as error:
        return Outcome(AttemptOutcome.PERMANENT, shown, error=str(error))
    except _NoTls:
        said = f"{where} offers no TLS, and the password is sent over TLS only"
        return Outcome(AttemptOutcome.PERMANENT, shown, error=said)
    except TimeoutError:
        said = f"{where} did not take the mail within {ATTEMPT_SECONDS:g} s"
        return Outcome(AttemptOutcome.RETRY, shown, error=said)
    except Failed as error:
        return Outcome(AttemptOutcome.RETRY, shown, error=error.output)
    except aiosmtplib.SMTPException as error:
        return _refusal(where, error, shown)
    return Outcome(AttemptOutcome.DELIVERED, shown, 250, answer, note)


def _refusal(where: str, error: aiosmtplib.SMTPException, shown: Mapping[str, Any]) -> Outcome:
    """5xx is for good, as SMTP means it; the rest is tried again."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        codes = [each.code for each in error.recipients]
        said = f"{where} refused every recipient: {one_line(error.recipients[0].message, 200)}"
        return _by_code(min(codes), said, error.recipients[0].message, shown)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        said = f"{where} answered {error.code}: {one_line(error.message, 200)}"
        return _by_code(error.code, said, error.message, shown)
    said = f"{where} broke off: {one_line(str(error), 200) or type(error).__name__}"
    return Outcome(AttemptOutcome.RETRY, shown, error=said)


def _by_code(code: int, said: str, answer: str, shown: Mapping[str, Any]) -> Outcome:
    verdict = AttemptOutcome.PERMANENT if 500 <= code < 600 else AttemptOutcome.RETRY
    return Outcome(verdict, shown, code if code > 0 else None, answer, said)


class _Client(aiosmtplib.SMTP):
    """Cuts its connection: a farewell by TLS would wait for a server that may never answer."""

    def close(self) -> None:
        if self.transport is not None:
            cast("asyncio.WriteTransport", self.transport).abort()
        super().close()


@contextlib.asynccontextmanager
async def _greeted(
    server: Server, addresses: Addresses, ca: str | None
) -> AsyncIterator[aiosmtplib.SMTP]:
    """A client that may send: greeted, with TLS where offered, logged in where asked."""
    opened = await addresses.open_socket(server.host, server.port)
    client = _Client(
        hostname=bare_host(server.host),
        sock=opened,
        use_tls=server.scheme == "smtps",
        start_tls=False,
        tls_context=tls_context(ca=ca),
        local_hostname=_own_name(opened),
        # The caller's deadline is the only one.
        timeout=None,
    )
    try:
        await client.connect()
        await client.ehlo()
        if server.scheme == "smtp" and client.supports_extension("starttls"):
            await client.starttls()
            await client.ehlo()
        elif server.scheme == "smtp" and server.username:
            raise _NoTls
        if server.username:
            await client.login(server.username, server.password)
        yield client
    finally:
        client.close()
        opened.close()


def _own_name(opened: socket.socket) -> str:
    """The address of our side as EHLO writes it: a name would have to be looked up."""
    host = opened.getsockname()[0]
    return f"[IPv6:{host}]" if ":" in host else f"[{host}]"
