"""Waiting for what other threads and processes do, where nothing announces it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

# Seconds for what never comes: how fast things are is measured elsewhere.
PATIENCE = 60.0


def until(holds: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What `holds` returns once that is true. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)
    return found
