from __future__ import annotations

from tests.healing.engine.conftest import world
from tests.healing.engine.scenes import stage
from tests.health.api.conftest import operator, viewer

__all__ = ["operator", "viewer", "stage", "world"]
