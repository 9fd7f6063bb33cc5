"""Is it me? Whether this machine has a network, asked when checks fail.

A target counts as evidence only once it has answered this process: a firewall that drops every
question would otherwise hide real outages. Refusing a connection is an answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import psutil

from health.checks.addresses import literal_address

CACHED_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 2.0
_RESOLV_CONF: Final = Path("/etc/resolv.conf")
_LOOPBACK_NAMES: Final = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})

Address = tuple[str, int]


class Connectivity:
    """Remembers what has answered, and asks again at most every two seconds."""

    def __init__(
        self, targets: Sequence[Address], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._targets = list(targets)
        self._clock = clock
        self._answered: set[Address] = set()
        self._known_until = float("-inf")
        self._online = True
        self._asking: asyncio.Task[bool] | None = None

    def proved(self) -> None:
        """A check beyond this machine has just got an answer."""
        self._online, self._known_until = True, self._clock() + CACHED_SECONDS

    async def online(self) -> bool:
        """Whether this machine reaches anything beyond itself; one question serves all who ask."""
        if self._clock() < self._known_until:
            return self._online
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> bool:
        self._online = has_interface() and await self._reaches_any()
        self._known_until = self._clock() + CACHED_SECONDS
        return self._online

    async def _reaches_any(self) -> bool:
        answers = await asyncio.gather(*(_answers(*each) for each in self._targets))
        now = {each for each, yes in zip(self._targets, answers, strict=True) if yes}
        self._answered |= now
        return bool(now) or not self._answered


async def _answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return True
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def has_interface() -> bool:
    """Whether any network interface but loopback is up and has an address."""
    stats, addresses = psutil.net_if_stats(), psutil.net_if_addrs()
    for name, state in stats.items():
        if not state.isup or "loopback" in state.flags.split(","):
            continue
        if any(each.address and literal_address(each.address) for each in addresses.get(name, ())):
            return True
    return False


def is_local(hosts: Sequence[Address]) -> bool:
    """Whether a check that calls `hosts` stays on this machine, where the network does not matter."""
    return all(_is_loopback(host) for host, _ in hosts)


def _is_loopback(host: str) -> bool:
    address = literal_address(host)
    if address is not None:
        return address.is_loopback
    return host.startswith("/") or host.lower().rstrip(".") in _LOOPBACK_NAMES


def configured_targets(names: Sequence[str]) -> list[Address]:
    """`host:port` texts as addresses; this machine's name servers where there are none."""
    if names:
        return [_address(each) for each in names]
    return [(server, 53) for server in _name_servers() if not _is_loopback(server)]


def _address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise ValueError(f"{text!r} is not host:port")
    return host.strip("[]"), int(port)


def _name_servers() -> list[str]:
    try:
        lines = _RESOLV_CONF.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    words = (line.split() for line in lines)
    return [each[1] for each in words if len(each) >= 2 and each[0] == "nameserver"]
