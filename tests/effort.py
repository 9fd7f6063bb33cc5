"""What work costs, told in a way that is the same on a slow machine and beside busy neighbours."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def growth(small: Callable[[], object], large: Callable[[], object]) -> float:
    """How many times the CPU time of `small` `large` takes; the best of three each.

    For four times the input: about 4 where the work is linear, about 16 where it is quadratic.
    """
    return _best(large) / _best(small)


def _best(work: Callable[[], object]) -> float:
    spent = []
    for _ in range(3):
        # What lies on the heap of a long run is no part of the work.
        gc.collect()
        gc.disable()
        try:
            began = time.thread_time()
            work()
            spent.append(time.thread_time() - began)
        finally:
            gc.enable()
    return min(spent)
