from __future__ import annotations

from collections.abc import Iterator

import pytest

from breakers.runtime.testing import FakeClock
from tests.runtime.valkey import OwnValkey


@pytest.fixture
def valkey() -> Iterator[OwnValkey]:
    """A Valkey that this test may do anything to."""
    engine = OwnValkey()
    try:
        yield engine
    finally:
        engine.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
