from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection

from tests.healing.engine.scenes import stage
from tests.health.world import World

__all__ = ["stage"]


@pytest.fixture
def world(db: None) -> World:
    """A service whose check fails, beside one that is well."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM core_journalentry")
    made = World(datetime(2026, 3, 2, 12, 0, tzinfo=UTC))
    made.check("api", interval=5, service="shop", failures_to_down=2, successes_to_up=2)
    made.check("cellar", interval=5, service="cellar", failures_to_down=2)
    made.down.add("api")
    made.run(20)
    return made
