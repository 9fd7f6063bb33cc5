"""E-mail: text and HTML in one message, by the site's mail server or one of the channel's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Final

from alerting.channels.base import Envelope, Kind, Outcome, kind
from alerting.channels.email.composing import mail_of
from alerting.channels.email.smtp import Server, login_try, mail_send, server_of
from alerting.choices import AttemptOutcome
from health.checks.addresses import Addresses
from health.checks.options import OptionError, require_host
from health.checks.tlscontext import tls_context
from resilience_site.config import config

_ADDRESS: Final = re.compile(r"[^\s<>@,;\x00-\x1f\x7f]{1,64}@[^\s<>@,;\x00-\x1f\x7f]{1,253}")
_MOST_RECIPIENTS: Final = 50


@dataclass(frozen=True)
class EmailOptions:
    """Options of e-mail.

    `to` are the addresses, each of which sees the others. `sender` and `smtp_url`
    (`smtp://user:password@host:587`, `smtps://…`) take the place of RESILIENCE_MAIL_FROM and
    RESILIENCE_SMTP_URL. `ca` (PEM) is trusted in place of the system's authorities.
    """

    to: tuple[str, ...]
    sender: str | None = None
    smtp_url: str | None = None
    ca: str | None = None


@kind("email", "E-mail")
class EmailKind(Kind[EmailOptions]):
    Options = EmailOptions
    url_secrets = frozenset({"smtp_url"})
    asked_by = "a login"
    unasked = "its mail server is used without a login, and all else that asks it is a mail"

    def validate(self, options: EmailOptions) -> None:
        if not 0 < len(options.to) <= _MOST_RECIPIENTS:
            raise OptionError("to", f"must name 1 to {_MOST_RECIPIENTS} addresses")
        for each in options.to:
            _require_address("to", each)
        if options.sender is not None:
            _require_address("sender", parseaddr(options.sender)[1])
            if re.search(r"[\x00-\x1f\x7f]", options.sender):
                raise OptionError("sender", "must be a mail address on one line")
        if options.smtp_url is not None:
            require_host("smtp_url", server_of("smtp_url", options.smtp_url).host)
        elif not config.resilience_smtp_url:
            raise OptionError(
                "smtp_url", "is required here: the variable RESILIENCE_SMTP_URL is not set"
            )
        tls_context(ca=options.ca)

    def destinations(self, options: EmailOptions) -> tuple[tuple[str, str, int], ...]:
        if options.smtp_url is None:
            # Whoever runs the site named that server, wherever it is.
            return ()
        server = server_of("smtp_url", options.smtp_url)
        return ((server.scheme, server.host, server.port),)

    async def prove(self, options: EmailOptions, addresses: Addresses) -> Outcome | None:
        server, allowed = _server(options, addresses)
        if not server.username:
            return None
        return await login_try(server=server, addresses=allowed, ca=options.ca)

    async def send(
        self, options: EmailOptions, envelope: Envelope, addresses: Addresses
    ) -> Outcome:
        server, allowed = _server(options, addresses)
        sender = options.sender or config.resilience_mail_from
        mail = mail_of(envelope, sender=sender, to=options.to)
        shown = _shown(mail)
        try:
            return await mail_send(
                mail, server=server, sender=parseaddr(sender)[1], to=options.to,
                addresses=allowed, ca=options.ca, shown=shown,
            )  # fmt: skip
        except ValueError as error:
            # An address that cannot be sent to: no other attempt would make it better.
            return Outcome(AttemptOutcome.PERMANENT, shown, error=f"It cannot be sent: {error}")


def _server(options: EmailOptions, addresses: Addresses) -> tuple[Server, Addresses]:
    """The server, and what may be called for it: that of the site's own setting may be private."""
    if options.smtp_url is not None:
        return server_of("smtp_url", options.smtp_url), addresses
    return (
        server_of("RESILIENCE_SMTP_URL", config.resilience_smtp_url),
        Addresses(allow_private=True),
    )


def _require_address(option: str, address: str) -> None:
    if not _ADDRESS.fullmatch(address):
        raise OptionError(option, f"must be a mail address, which {address[:100]!r} is not")


def _shown(mail: EmailMessage) -> dict[str, str]:
    plain = mail.get_body(("plain",))
    return {
        "from": str(mail["From"]),
        "to": str(mail["To"]),
        "subject": str(mail["Subject"]),
        "message_id": str(mail["Message-ID"]),
        "body": plain.get_content() if plain is not None else "",
    }
