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
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aiohappyeyeballs import AddrInfoType, start_connection

from health.checks import lookup
from health.checks.lookup import IPAddress

# Cloud metadata services that do not live at a link-local address.
_METADATA: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure
        "192.0.0.192",  # Oracle Cloud
        "fd00:ec2::/32",  # AWS
        "fd20:ce::254",  # Google Cloud
        "fd00:42::42",  # Scaleway
    )
)
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
# Prefixes of IPv6 that carry an IPv4 address in their last 32 bits: of the translators of
# RFC 6052 and RFC 8215, and the deprecated "compatible" ones.
_CARRIERS: Final = tuple(
    ipaddress.ip_network(each) for each in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")
)
# Only from here come addresses of single hosts in the public internet by IPv6.
_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
# Seconds after which the next address of a name is tried beside the first (RFC 8305).
_NEXT_ADDRESS: Final = 0.25


class Forbidden(Exception):
    """The address may not be called; the message says which and why."""


def judge(address: IPAddress, *, allow_private: bool) -> str:
    """Why `address` may not be called, or an empty text where it may.

    Link-local and metadata addresses never; loopback and private ones only by setting. An address
    that carries another one within is judged by that too.
    """
    plain = _without_zone(address)
    if any(plain in network for network in _METADATA):
        return f"{plain} is a cloud metadata service, which no check may call"
    if plain.is_link_local:
        return f"{plain} is link-local, where cloud metadata lives; no check may call it"
    if plain.is_unspecified or plain.is_multicast or plain == _BROADCAST:
        return f"{plain} is not the address of one host"
    carried = tuple(_carried(plain))
    for inner in carried:
        reason = judge(inner, allow_private=allow_private)
        if reason:
            return f"{plain} leads to an address that is refused: {reason}"
    if not carried and not _public(plain) and not allow_private:
        return (
            f"{plain} is a private or loopback address; "
            "RESILIENCE_ALLOW_PRIVATE_TARGETS allows those"
        )
    return ""


_BROADCAST: Final = ipaddress.IPv4Address("255.255.255.255")


def _public(address: IPAddress) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global


def _carried(address: IPAddress) -> Iterator[ipaddress.IPv4Address]:
    """The IPv4 addresses within an address of IPv6, by which it may reach them."""
    if not isinstance(address, ipaddress.IPv6Address) or address.is_loopback:
        return
    if any(address in network for network in _CARRIERS):
        yield ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    for inner in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())):
        if inner is not None:
            yield inner


def _without_zone(address: IPAddress) -> IPAddress:
    # With its zone (`%eth0`) an address is equal to no other, and in no network.
    return ipaddress.IPv6Address(int(address)) if address.version == 6 else address


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
            return [str(_without_zone(literal))]
        found = await lookup.addresses_of(host)
        for address in found:
            reason = judge(address, allow_private=self.allow_private)
            if reason:
                raise Forbidden(f"{host}: {reason}")
        return [str(_without_zone(address)) for address in found]

    def refusal(self, host: str) -> str:
        """Why `host` may not be called, as far as that is known without asking a name server."""
        if host.rstrip(".").lower() in _METADATA_NAMES:
            return f"{host} is a cloud metadata service, which no check may call"
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
