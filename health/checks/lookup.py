"""Looks names up beside the event loop, so that a slow name server holds up only its own names.

The loop's own threads are few, and a lookup cannot be cancelled: a handful of names whose server
is silent would keep every other check from its addresses. Here there are many threads, and one
lookup of a name serves all who ask for it meanwhile.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_THREADS: Final = ThreadPoolExecutor(max_workers=64, thread_name_prefix="lookup")
_lock: Final = threading.Lock()
_under_way: Final[dict[str, Future[list[IPAddress]]]] = {}


async def addresses_of(name: str) -> list[IPAddress]:
    """The addresses of `name` in the resolver's order; raises `OSError` where it has none."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[IPAddress]] = loop.create_future()
    with _lock:
        lookup = _under_way.get(name)
        if lookup is None:
            lookup = _under_way[name] = _THREADS.submit(_look_up, name)
    lookup.add_done_callback(lambda done: _hand_over(loop, answer, done))
    # A waiter that is cancelled leaves the lookup to the others.
    return await answer


def _look_up(name: str) -> list[IPAddress]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except UnicodeError:
        # The encoding of international names refuses what cannot be one.
        raise socket.gaierror(socket.EAI_NONAME, "Not the name of a host") from None
    finally:
        with _lock:
            _under_way.pop(name, None)
    return list(dict.fromkeys(ipaddress.ip_address(each[4][0]) for each in found))


def _hand_over(
    loop: asyncio.AbstractEventLoop,
    answer: asyncio.Future[list[IPAddress]],
    done: Future[list[IPAddress]],
) -> None:
    def tell() -> None:
        if answer.done():
            return
        error = done.exception()
        if error is None:
            answer.set_result(done.result())
        else:
            answer.set_exception(error)

    # Nobody waits in a loop that was closed meanwhile.
    if not loop.is_closed():
        loop.call_soon_threadsafe(tell)
