"""A mail server with TLS and a login, for tests of those alone."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = "ops", "pass-word-1"


@dataclass
class SecureServer:
    """What it has taken, and who has logged in; `authority` (PEM) signed its certificate."""

    authority: str
    port: int = 0
    mails: list[bytes] = field(default_factory=list)
    logins: list[bool] = field(default_factory=list)

    def url(self, scheme: str, password: str = PASSWORD) -> str:
        return f"{scheme}://{USER}:{password}@127.0.0.1:{self.port}"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(envelope.content)
        return "250 taken"

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        good = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        self.logins.append(good)
        return AuthResult(success=good, handled=False)


@contextlib.contextmanager
def running_server(scheme: str) -> Iterator[SecureServer]:
    """`smtp`: TLS by STARTTLS, which it requires; `smtps`: from the first byte."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    found = SecureServer(authority.cert_pem.bytes().decode())
    loop = asyncio.new_event_loop()

    def session() -> SMTP:
        by_command = {"tls_context": tls, "require_starttls": True} if scheme == "smtp" else {}
        return SMTP(
            found, loop=loop, hostname="mail.test", authenticator=found.login,
            # From the first byte on, aiosmtpd does not know that there is TLS.
            auth_require_tls=scheme == "smtp", **by_command,
        )  # fmt: skip

    implicit = tls if scheme == "smtps" else None
    server = loop.run_until_complete(loop.create_server(session, "127.0.0.1", 0, ssl=implicit))
    found.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
