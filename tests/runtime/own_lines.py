"""The log lines of a test's own parts."""

from __future__ import annotations

import logging
import threading

import pytest


def lines(caplog: pytest.LogCaptureFixture, about: str, level: int = logging.WARNING) -> list[str]:
    """What was logged from `level` on that names `about`: threads of former tests log, too."""
    records = [each for each in caplog.records if each.levelno >= level]
    return [each.getMessage() for each in records if about in each.getMessage()]


def own_records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What this thread has logged."""
    return [each for each in caplog.records if each.thread == threading.get_ident()]
