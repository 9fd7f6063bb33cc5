"""SMTP: a mail server greets, answers EHLO, and, where asked, takes TLS, a login, a recipient.

No message is sent: the envelope is taken back before DATA.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final, cast

import aiosmtplib

from health.checks.addresses import bare_host
from health.checks.base import CheckKind, Context, Failed, Finding, Observed, kind
from health.checks.options import OptionError, require_host, require_range
from health.checks.reaching import network_failures, place, reach
from health.checks.secrecy import secret_parts
from health.checks.tlscontext import tls_context
from health.checks.words import one_line, without

_TLS: Final = ("none", "starttls", "implicit")
_ADDRESS: Final = re.compile(r"[^\s<>@\x00-\x1f\x7f]{1,64}@[^\s<>@\x00-\x1f\x7f]{1,253}")


@dataclass(frozen=True)
class SmtpOptions:
    """Options of an SMTP check.

    `tls` is `none`, `starttls`, or `implicit` (from the first byte, port 465). `username` and
    `password` log in, over TLS only. `sender` and `recipient` ask whether the server would take a
    mail. `ca` (PEM) is trusted in place of the system's authorities.
    """

    host: str
    port: int = 25
    tls: str = "none"
    username: str | None = None
    password: str | None = None
    sender: str | None = None
    recipient: str | None = None
    verify_tls: bool = True
    ca: str | None = None


@kind("smtp", "SMTP")
class SmtpCheck(CheckKind[SmtpOptions]):
    Options = SmtpOptions
    secrets = frozenset({"password"})

    def validate(self, options: SmtpOptions) -> None:
        require_host("host", options.host)
        require_range("port", options.port, 1, 65_535)
        if options.tls not in _TLS:
            raise OptionError("tls", f"must be one of {', '.join(_TLS)}")
        if (options.username is None) != (options.password is None):
            raise OptionError("password", "must be set beside username, or neither")
        if options.password is not None and (options.tls == "none" or not options.verify_tls):
            raise OptionError("password", "is sent over verified TLS only: set tls, and verify_tls")
        if (options.sender is None) != (options.recipient is None):
            raise OptionError("recipient", "must be set beside sender, or neither")
        for name in ("sender", "recipient"):
            address = getattr(options, name)
            if address is not None and not _ADDRESS.fullmatch(address):
                raise OptionError(name, "must be a mail address")
        tls_context(ca=options.ca, verify=options.verify_tls)

    def hosts(self, options: SmtpOptions) -> tuple[tuple[str, int], ...]:
        return ((options.host, options.port),)

    async def run(self, options: SmtpOptions, context: Context) -> Finding:
        if not context.deep:
            return await reach(context, options.host, options.port)
        loop = asyncio.get_running_loop()
        began = loop.time()
        with _failures(options):
            async with _greeted(options, context) as client:
                greeting_ms = (loop.time() - began) * 1000
                words = await _converse(options, context, client)
        return Finding(
            output=f"Takes mail: {', '.join(words)}",
            observed={"greeting": Observed(greeting_ms, "ms")},
        )


class _Client(aiosmtplib.SMTP):
    """Cuts its connection: a farewell by TLS would wait for a server that may never answer."""

    def close(self) -> None:
        if self.transport is not None:
            cast("asyncio.WriteTransport", self.transport).abort()
        super().close()


@contextlib.asynccontextmanager
async def _greeted(options: SmtpOptions, context: Context) -> AsyncIterator[aiosmtplib.SMTP]:
    """A client whose server has greeted it; its connection is cut with the block."""
    context.doing("waiting for the connection")
    opened = await context.addresses.open_socket(options.host, options.port)
    client = _Client(
        hostname=bare_host(options.host),
        sock=opened,
        use_tls=options.tls == "implicit",
        start_tls=False,
        tls_context=tls_context(ca=options.ca, verify=options.verify_tls),
        local_hostname=_own_name(opened),
        # The caller's deadline is the only one.
        timeout=None,
    )
    try:
        context.doing("waiting for the greeting")
        await client.connect()
        yield client
    finally:
        client.close()
        opened.close()


def _own_name(opened: socket.socket) -> str:
    """The address of our side as EHLO writes it: a name would have to be looked up."""
    host = opened.getsockname()[0]
    return f"[IPv6:{host}]" if ":" in host else f"[{host}]"


async def _converse(options: SmtpOptions, context: Context, client: aiosmtplib.SMTP) -> list[str]:
    """What the server did, each in a word or two."""
    context.doing("waiting for the answer to EHLO")
    await client.ehlo()
    done = ["EHLO"]
    if options.tls == "starttls":
        context.doing("waiting for STARTTLS")
        await client.starttls()
        await client.ehlo()
        done.append("STARTTLS")
    if options.username is not None and options.password is not None:
        context.doing("waiting for the login")
        await client.login(options.username, options.password)
        done.append("login")
    if options.sender is not None and options.recipient is not None:
        context.doing("waiting for the envelope to be taken")
        await client.mail(options.sender)
        await client.rcpt(options.recipient)
        await client.rset()
        done.append("recipient")
    else:
        context.doing("waiting for the answer to NOOP")
        await client.noop()
        done.append("NOOP")
    # All that was asked is known; how the server says farewell does not matter.
    with contextlib.suppress(aiosmtplib.SMTPException):
        context.doing("waiting for the answer to QUIT")
        await client.quit()
    return done


@contextlib.contextmanager
def _failures(options: SmtpOptions) -> Iterator[None]:
    where = place(options.host, options.port)
    secrets = secret_parts(options.password)
    with network_failures(where):
        try:
            yield
        except aiosmtplib.SMTPException as error:
            # What the system or OpenSSL said is more precise than what was made of it.
            cause = error.__cause__
            if isinstance(cause, OSError) and not isinstance(cause, aiosmtplib.SMTPException):
                raise cause from None
            raise Failed(without(_words(where, error), *secrets)) from None


def _words(where: str, error: aiosmtplib.SMTPException) -> str:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return f"{where} refused the recipient"
    if isinstance(error, aiosmtplib.SMTPResponseException):
        step = _STEPS.get(type(error), "gave an unexpected answer")
        return f"{where} {step}: {error.code} {one_line(error.message, 120)}"
    if isinstance(error, aiosmtplib.SMTPTimeoutError):
        return f"{where} did not answer in time"
    if isinstance(error, aiosmtplib.SMTPServerDisconnected | aiosmtplib.SMTPConnectError):
        return f"{where} closed the connection"
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return f"{where} does not offer what was asked: {one_line(str(error), 120)}"
    return f"{where} does not speak SMTP: {one_line(str(error), 120)}"


_STEPS: Final[dict[type[aiosmtplib.SMTPException], str]] = {
    aiosmtplib.SMTPConnectResponseError: "greeted with a refusal",
    aiosmtplib.SMTPHeloError: "refused EHLO",
    aiosmtplib.SMTPAuthenticationError: "refused the login",
    aiosmtplib.SMTPSenderRefused: "refused the sender",
    aiosmtplib.SMTPRecipientRefused: "refused the recipient",
}
