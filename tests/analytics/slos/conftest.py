"""Tests of objectives begin with an empty store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine

from tests.analytics.store.conftest import store

__all__ = ["store"]


@pytest.fixture
def still() -> Iterator[datetime]:
    """Now, for as long as the test takes: figures go by whole minutes, and none may begin amid it."""
    now = datetime.now(UTC)
    with time_machine.travel(now, tick=False):
        yield now
