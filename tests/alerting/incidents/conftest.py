"""An empty site whose partitions nobody remembers, and callers of its API."""

from __future__ import annotations

import pytest

from resilience_site.core import partitions
from resilience_site.core.choices import Scope
from tests.health.api.conftest import Api


@pytest.fixture(autouse=True)
def fresh(db: None) -> None:
    """What another test made in a transaction of its own is gone."""
    partitions.forget_known()


@pytest.fixture
def operate() -> Api:
    return Api(Scope.OPERATE)


@pytest.fixture
def read() -> Api:
    return Api(Scope.READ)
