"""Looking at the worker's own machine beside the event loop.

A file system whose server is gone does not answer, and a thread that waits for it cannot be
ended. So each thing is looked at by one thread at a time: who asks meanwhile waits for the same
answer, and a thing that never answers costs one thread, however often it is asked for.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

T = TypeVar("T")

_lock: Final = threading.Lock()
_under_way: Final[dict[str, Future[Any]]] = {}


async def look(name: str, at: Callable[[], T]) -> T:
    """What `at` returns; runs that ask for the same `name` at once share one call."""
    with _lock:
        answer = _under_way.get(name)
        if answer is None:
            answer = _under_way[name] = Future()
            # From here on, whoever is cancelled leaves the look to the others.
            answer.set_running_or_notify_cancel()
            # A daemon: the worker must be able to end while a look never does.
            threading.Thread(
                target=_look, args=(name, at, answer), name=f"look-{name}", daemon=True
            ).start()
    return await asyncio.wrap_future(answer)


def _look(name: str, at: Callable[[], T], answer: Future[T]) -> None:
    try:
        found = at()
    except Exception as error:
        _done(name)
        answer.set_exception(error)
    else:
        _done(name)
        answer.set_result(found)


def _done(name: str) -> None:
    with _lock:
        del _under_way[name]
