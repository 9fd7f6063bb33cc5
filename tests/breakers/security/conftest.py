"""An empty store, a breaker to steer, and people and keys who try."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from breakers.domain.keys import breaker_key
from breakers.models import Breaker, ControlDocument, Instance
from health.models import Service
from resilience_site.core.choices import Scope
from tests.analytics.store.conftest import store as empty_store
from tests.breakers.api.conftest import Api


@pytest.fixture(autouse=True)
def emptied(empty_store: None) -> None:
    """The store, empty and known to nobody."""


@pytest.fixture
def operator_key(transactional_db: None) -> Api:
    return Api(Scope.OPERATE)


@pytest.fixture
def planner(transactional_db: None) -> Breaker:
    """A breaker of the service planner, which has a control document."""
    now = datetime.now(UTC)
    Service.objects.create(name="planner", first_seen=now, last_seen=now)
    ControlDocument.objects.create(service="planner", changed_at=now)
    Instance.objects.create(service="planner", instance="planner-1", first_seen=now, last_seen=now)
    return Breaker.objects.create(
        service="planner", name="graph", instance="planner-1", key=breaker_key("planner", "graph"),
        state="closed", since=now, first_seen=now, last_seen=now,
    )  # fmt: skip


__all__ = ["empty_store"]
