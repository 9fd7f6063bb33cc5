"""Which addresses a check may call, and the way there: resolved once, judged, then pinned.

A name is resolved by `Addresses.resolve`, every address that comes back is judged, and the
connection is made to a judged address, never to the name: a second answer of the name server
cannot lead elsewhere (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from typing import Final

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# Cloud metadata services that do not live at a link-local address.
_METADATA: Final = frozenset(
    ipaddress.ip_address(each)
    for each in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
)
# Prefixes of IPv6 that carry an IPv4 address in their last 32 bits.
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class Forbidden(Exception):
    """The address may not be called; the message says which and why."""


def judge(address: IPAddress, *, allow_private: bool) -> str:
    """Why `address` may not be called, or an empty text where it may.

    Link-local and metadata addresses never; loopback and private ones only by setting.
    """
    inner = _embedded(address)
    if inner is not None:
        return judge(inner, allow_private=allow_private)
    if address in _METADATA:
        return f"{address} is a cloud metadata service, which no check may call"
    if address.is_link_local:
        return f"{address} is link-local, where cloud metadata lives; no check may call it"
    if address.is_unspecified or address.is_multicast:
        return f"{address} is not the address of one host"
    if not address.is_global and not allow_private:
        return (
            f"{address} is a private or loopback address; "
            "RESILIENCE_ALLOW_PRIVATE_TARGETS allows those"
        )
    return ""


def _embedded(address: IPAddress) -> ipaddress.IPv4Address | None:
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


@dataclass(frozen=True)
class Addresses:
    """Resolves names to addresses that may be called."""

    allow_private: bool = False

    async def resolve(self, host: str, port: int) -> list[str]:
        """The judged addresses of `host`, in the resolver's order.

        Raises `Forbidden` where one of them may not be called (a name that answers with both is
        not trusted), and `OSError` where the name is not known.
        """
        literal = literal_address(host)
        if literal is not None:
            found = [literal]
        else:
            loop = asyncio.get_running_loop()
            answers = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(ipaddress.ip_address(each[4][0]) for each in answers))
        for address in found:
            reason = judge(address, allow_private=self.allow_private)
            if reason:
                raise Forbidden(reason if literal is not None else f"{host}: {reason}")
        return [str(address) for address in found]

    async def connect(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A plain TCP connection to the first judged address that accepts one."""
        error: OSError | None = None
        for address in await self.resolve(host, port):
            try:
                return await asyncio.open_connection(address, port)
            except OSError as caught:
                error = caught
        raise error or OSError(f"{host} has no address")


def literal_address(host: str) -> IPAddress | None:
    """The address that `host` is, in any spelling that a resolver takes (`127.1`, `0x7f.1`,
    `[::1]`, `fe80::1%eth0`), or None where it is a name."""
    text = host.strip("[]").partition("%")[0]
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text))
    except OSError:
        return None
