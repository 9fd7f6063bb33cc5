"""The fleet of `scenes`, and people of each role who look at it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from resilience_site.core import partitions
from resilience_site.core.bootstrap import bootstrap
from resilience_site.core.choices import Scope
from resilience_site.pages import status
from tests.breakers.steering import scenes
from tests.emptying import empty_partitions


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def empty_site(transactional_db: None) -> None:
    """What a first start leaves: roles, keys, nothing received."""
    empty_partitions()
    partitions.forget_known()
    bootstrap(admin_password="not-used-here", tokens={Scope.INGEST: "i" * 40})
    status.forget()


@pytest.fixture
def fleet(empty_site: None, now: datetime) -> None:
    """Services with instances, and nothing decided."""
    scenes.fleet(now)


@pytest.fixture
def busy_fleet(fleet: None, now: datetime) -> None:
    """The fleet after half an hour of trouble, with toggles set and one service degraded."""
    scenes.traffic(now)
    scenes.decisions(now)
