"""Is it me? Whether this machine has a network, asked when checks fail.

Targets that somebody named are to be believed. Those that were only guessed count as evidence once
they have answered this process: a firewall that drops every question would otherwise hide real
outages. They are therefore asked before anything fails. Refusing a connection is an answer.
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
# Between two tries to learn whether guessed targets answer at all.
LEARN_SECONDS: Final = 60.0
_RESOLV_CONF: Final = Path("/etc/resolv.conf")
_LOOPBACK_NAMES: Final = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})

Address = tuple[str, int]


class Connectivity:
    """Remembers what has answered, and asks again at most every two seconds.

    `trusted` targets were named by somebody; without any, only this machine's interfaces tell.
    """

    def __init__(
        self,
        targets: Sequence[Address],
        *,
        trusted: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._targets = list(targets)
        self._clock = clock
        self._known = trusted
        self._learn_after = float("-inf")
        self._learning: asyncio.Task[bool] | None = None
        self._known_until = float("-inf")
        self._online = True
        self._asking: asyncio.Task[bool] | None = None

    def learn(self) -> None:
        """See to it that it is known whether the targets answer while all is well."""
        if self._known or not self._targets or self._clock() < self._learn_after:
            return
        self._learn_after = self._clock() + LEARN_SECONDS
        self._learning = asyncio.create_task(self._any_answers())

    def proved(self) -> None:
        """A check beyond this machine has just got an answer."""
        self._online, self._known_until = True, self._clock() + CACHED_SECONDS
        self.learn()

    async def online(self) -> bool:
        """Whether this machine reaches anything beyond itself; one question serves all who ask."""
        if self._clock() < self._known_until:
            return self._online
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> bool:
        self._online = has_interface() and (await self._any_answers() or not self._known)
        self._known_until = self._clock() + CACHED_SECONDS
        return self._online

    async def _any_answers(self) -> bool:
        answered = any(await asyncio.gather(*(_answers(*each) for each in self._targets)))
        self._known = self._known or answered
        return answered


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


def connectivity(named: Sequence[Address]) -> Connectivity:
    """By the targets that somebody named, or else by this machine's name servers."""
    if named:
        return Connectivity(named, trusted=True)
    return Connectivity([(each, 53) for each in _name_servers() if not _is_loopback(each)])


def _name_servers() -> list[str]:
    try:
        lines = _RESOLV_CONF.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    words = (line.split() for line in lines)
    return [each[1] for each in words if len(each) >= 2 and each[0] == "nameserver"]
