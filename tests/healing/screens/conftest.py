from __future__ import annotations

import pytest

from resilience_site.core import partitions
from tests.emptying import empty_partitions
from tests.healing.engine.conftest import world
from tests.healing.engine.scenes import stage

__all__ = ["stage", "world"]


@pytest.fixture(autouse=True)
def fresh(db: None) -> None:
    """What another test made in a transaction of its own is gone."""
    empty_partitions()
    partitions.forget_known()
