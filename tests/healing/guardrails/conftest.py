"""The fleet of which a service is to be healed."""

from __future__ import annotations

import pytest

from tests.healing.guardrails.scenes import well
from tests.health.world import World


@pytest.fixture
def world() -> World:
    """Ten services, all well; nine of them are not the planner."""
    made = World()
    made.check("planner http", service="planner")
    for n in range(9):
        made.check(f"other {n}", service=f"other-{n}")
    well(made)
    return made
