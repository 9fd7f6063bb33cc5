from __future__ import annotations

from collections.abc import Iterator

import pytest

from breakers.runtime import ClientVariables, Resilience, export
from breakers.runtime.testing import FakeClock
from tests.patience import PATIENCE
from tests.runtime.sink import Sink
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
def sink() -> Iterator[Sink]:
    with Sink().listening() as sink:
        yield sink


@pytest.fixture
def resilience(monkeypatch: pytest.MonkeyPatch) -> Resilience:
    made = Resilience(ClientVariables({}), sleep=lambda seconds: None)
    monkeypatch.setattr("breakers.runtime.process._default", made)
    # The site's answers are awaited, however busy the machine is.
    monkeypatch.setattr(export, "EXPORT_TIMEOUT", PATIENCE)
    return made


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
