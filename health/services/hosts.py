"""The hosts of a target, judged when the check is saved: no check may be aimed at what it must not
call. Names are judged again at each run, as their addresses may change."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Collection
from typing import Final

from health.checks.addresses import Addresses, IPAddress, judge, literal_address
from health.checks.base import CheckKind
from resilience_site.config import config
from resilience_site.core.problems import Invalid

# What a person who saves a check waits for name servers, in seconds.
PATIENCE: Final = 2.0


def hosts_judge(kind: CheckKind[object], options: object) -> None:
    """Refuse hosts that no check may call. Raises `Invalid` with the reason.

    A name that cannot be resolved now is accepted: it may come to be, and is judged at each run.
    """
    allow_private = config.resilience_allow_private_targets
    names = []
    addresses_allowed = Addresses(allow_private=allow_private)
    for host, _ in kind.hosts(options):
        _refuse(addresses_allowed.refusal(host))
        if literal_address(host) is None:
            names.append(host)
    for name, addresses in _resolved(dict.fromkeys(names)).items():
        for address in addresses:
            reason = judge(address, allow_private=allow_private)
            _refuse(reason and f"{name}: {reason}")


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
