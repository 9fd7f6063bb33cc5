from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.runtime.valkey import OwnValkey


@pytest.fixture
def valkey() -> Iterator[OwnValkey]:
    """A Valkey that this test may do anything to."""
    engine = OwnValkey()
    try:
        yield engine
    finally:
        engine.close()
