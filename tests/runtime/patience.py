"""Waiting for what other threads and processes do, and the log lines of a test's own parts."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

# For what never comes: how fast things are is measured elsewhere.
PATIENCE = 60.0


def until(holds: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What `holds` returns once that is true. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.002)
    return found


def lines(caplog: pytest.LogCaptureFixture, about: str, level: int = logging.WARNING) -> list[str]:
    """What was logged from `level` on that names `about`: threads of former tests log, too."""
    records = [each for each in caplog.records if each.levelno >= level]
    return [each.getMessage() for each in records if about in each.getMessage()]


def own_records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What this thread has logged."""
    return [each for each in caplog.records if each.thread == threading.get_ident()]
