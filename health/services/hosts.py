"""The hosts of a target, judged when the check is saved: no check may be aimed at what it must not
call. Names are judged again at each run, as their addresses may change."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Collection, Iterable
from typing import Any, Final

from health.checks.addresses import Addresses, IPAddress, judge, literal_address
from health.checks.base import CheckKind
from resilience_site.config import config
from resilience_site.core.problems import Invalid

# What a person who saves a check waits for name servers, in seconds.
PATIENCE: Final = 2.0


class HostJudge:
    """Judges the hosts of targets; asks name servers once for each name."""

    def __init__(self) -> None:
        self._found: dict[str, list[IPAddress]] = {}

    def __call__(self, kind: CheckKind[Any], options: Any) -> None:
        """Refuse hosts that no check may call. Raises `Invalid` with the reason.

        A name that cannot be resolved now is accepted: it may come to be, and is judged at each
        run.
        """
        self.require(host for host, _ in kind.hosts(options))

    def require(self, hosts: Iterable[str]) -> None:
        """Refuse hosts that may not be called, as for a check. Raises `Invalid`."""
        allow_private = config.resilience_allow_private_targets
        allowed = Addresses(allow_private=allow_private)
        names = []
        for host in dict.fromkeys(hosts):
            _refuse(allowed.refusal(host))
            if literal_address(host) is None:
                names.append(host)
        unasked = [name for name in names if name not in self._found]
        self._found |= {name: [] for name in unasked} | _resolved(unasked)
        for name in names:
            for address in self._found[name]:
                reason = judge(address, allow_private=allow_private)
                _refuse(reason and f"{name}: {reason}")


def hosts_judge(kind: CheckKind[Any], options: Any) -> None:
    """Judge one target, as `HostJudge` does."""
    HostJudge()(kind, options)


def _refuse(reason: str) -> None:
    if reason:
        raise Invalid.field("target", f"{reason}.")


def _resolved(names: Collection[str]) -> dict[str, list[IPAddress]]:
    """The addresses of those names that resolve in time.

    In threads that nobody waits for longer: the system's resolver cannot be told to stop.
    """
    found: dict[str, list[IPAddress]] = {}

    def resolve(name: str) -> None:
        try:
            answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found[name] = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in answers]

    threads = [threading.Thread(target=resolve, args=(name,), daemon=True) for name in names]
    end = time.monotonic() + PATIENCE
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    # A thread that is late must not change what is being judged.
    return dict(found)
