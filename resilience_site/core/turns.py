"""Work of which a process does no more than so much at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

P = ParamSpec("P")


def at_most(most: int) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Do nothing where `most` threads of this process are at it already: a pass that is slow keeps no
    more threads from what else is to be done. For what comes round again by itself."""

    def limited(work: Callable[P, None]) -> Callable[P, None]:
        turns = threading.BoundedSemaphore(most)

        @wraps(work)
        def turn(*args: P.args, **kwargs: P.kwargs) -> None:
            if turns.acquire(blocking=False):
                try:
                    work(*args, **kwargs)
                finally:
                    turns.release()

        return turn

    return limited
