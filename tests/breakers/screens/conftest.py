"""People of each role on a site whose breakers are in trouble."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.breakers import scenes
from tests.breakers.scenes import Scene


@pytest.fixture
def graph(db: None) -> Scene:
    """The planner's breaker for Graph, closed in three instances."""
    scenes.clear()
    scene = Scene(*scenes.GRAPH)
    scenes.store([scene], datetime.now(UTC))
    return scene


@pytest.fixture
def incident(db: None) -> list[Scene]:
    """Two dozen breakers; Graph is open, people have stepped in, one service fell silent."""
    scenes.clear()
    return scenes.incident(datetime.now(UTC))
