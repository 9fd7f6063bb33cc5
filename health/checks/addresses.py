"""Which addresses a check may call, and the way there: resolved once, judged, then pinned.

A name is resolved by `Addresses.resolve`, every address that comes back is judged, and the
connection is made to a judged address, never to the name: a second answer of the name server
cannot lead elsewhere (DNS rebinding).

`Forbidden` is a fault of the check's settings, not of its target: kinds let it pass, and the run
is an internal error with its text.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from aiohappyeyeballs import AddrInfoType, start_connection

from health.checks import lookup
from health.checks.lookup import IPAddress
from resilience_site.core.judging import judge, without_zone

# Names of those that a proxy or a hosts file may lead anywhere.
_METADATA_NAMES: Final = frozenset(
    {
        "metadata.google.internal",
        "metadata.goog",
        "instance-data",
        "instance-data.ec2.internal",
        "metadata.tencentyun.com",
    }
)
# Seconds after which the next address of a name is tried beside the first (RFC 8305).
_NEXT_ADDRESS: Final = 0.25


class Forbidden(Exception):
    """The address may not be called; the message says which and why."""


@dataclass(frozen=True)
class Addresses:
    """Resolves names to addresses that may be called."""

    allow_private: bool = False

    async def resolve(self, host: str, port: int) -> list[str]:
        """The judged addresses of `host`, in the resolver's order.

        Raises `Forbidden` where one of them may not be called (a name that answers with both is
        not trusted), and `OSError` where the name is not known.
        """
        refused = self.refusal(host)
        if refused:
            raise Forbidden(refused)
        literal = literal_address(host)
        if literal is not None:
            return [str(without_zone(literal))]
        found = await lookup.addresses_of(host)
        for address in found:
            reason = judge(address, allow_private=self.allow_private)
            if reason:
                raise Forbidden(f"{host}: {reason}")
        return [str(without_zone(address)) for address in found]

    def refusal(self, host: str) -> str:
        """Why `host` may not be called, as far as that is known without asking a name server."""
        if host.rstrip(".").lower() in _METADATA_NAMES:
            return f"{host} is a cloud metadata service, which this site never calls"
        literal = literal_address(host)
        return judge(literal, allow_private=self.allow_private) if literal is not None else ""

    async def open_socket(self, host: str, port: int) -> socket.socket:
        """A socket connected to a judged address of `host`; the caller closes it.

        Where there are several, the next one is tried before the first has given up.
        """
        ways = [_way(address, port) for address in await self.resolve(host, port)]
        return await start_connection(ways, happy_eyeballs_delay=_NEXT_ADDRESS)

    async def connect(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a judged address, with TLS where a context is given.

        The certificate must be for `server_name`, or `host` where that is not given.
        """
        opened = await self.open_socket(host, port)
        try:
            return await asyncio.open_connection(
                sock=opened,
                ssl=tls,
                server_hostname=bare_host(server_name or host) if tls is not None else None,
            )
        except BaseException:
            opened.close()
            raise


def bare_host(host: str) -> str:
    """`host` as certificates name it: without brackets, zone, or the dot of the root."""
    return host.strip("[]").partition("%")[0].removesuffix(".")


def _way(address: str, port: int) -> AddrInfoType:
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))


def literal_address(host: str) -> IPAddress | None:
    """The address that `host` is, in any spelling that a resolver takes (`127.1`, `0x7f.1`,
    `[::1]`, `fe80::1%eth0`), or None where it is a name."""
    text = bare_host(host)
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text))
    except OSError:
        return None
