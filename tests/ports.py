"""Ports for servers that bind them only later, or after a restart once more."""

from __future__ import annotations

import os
import random
import socket
from itertools import count
from typing import Final

# Below what systems give to outgoing calls and to whoever asks for any port, so that none of those
# takes one before its server does; each test process has a share of its own.
_FIRST: Final = 20_000
_SHARE: Final = 3_000
_SHARES: Final = 4

_process = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", ""))) or "0")
# Where other runs of the tests go on beside this one, they begin elsewhere.
_numbers = count(random.randrange(_SHARE))


def free_port() -> int:
    """A port of 127.0.0.1 at which nobody listens, each time another one."""
    for number in _numbers:
        port = _FIRST + _process % _SHARES * _SHARE + number % _SHARE
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("numbers do not end")
