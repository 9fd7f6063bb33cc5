"""Which addresses this site may call: never cloud metadata, private ones by setting alone."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

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
# Prefixes of IPv6 that carry an IPv4 address in their last 32 bits: of the translators of
# RFC 6052 and RFC 8215, and the deprecated "compatible" ones.
_CARRIERS: Final = tuple(
    ipaddress.ip_network(each) for each in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")
)
# Only from here come addresses of single hosts in the public internet by IPv6.
_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")


def judge(address: IPAddress, *, allow_private: bool) -> str:
    """Why `address` may not be called, or an empty text where it may.

    Link-local and metadata addresses never; loopback and private ones only by setting. An address
    that carries another one within is judged by that too.
    """
    plain = without_zone(address)
    if any(plain in network for network in _METADATA):
        return f"{plain} is a cloud metadata service, which this site never calls"
    if plain.is_link_local:
        return f"{plain} is link-local, where cloud metadata lives, which this site never calls"
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


def without_zone(address: IPAddress) -> IPAddress:
    """`address` without its zone."""
    # With its zone (`%eth0`) an address is equal to no other, and in no network.
    return ipaddress.IPv6Address(int(address)) if address.version == 6 else address
