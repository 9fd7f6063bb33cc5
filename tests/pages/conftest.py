"""A site with an hour of traffic, and people of each role who look at it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from resilience_site.core.bootstrap import bootstrap
from resilience_site.core.choices import Scope
from tests.analytics.store.conftest import forget_all
from tests.emptying import empty_partitions
from tests.pages import scenes


@pytest.fixture
def empty_site(transactional_db: None) -> None:
    """What a first start leaves: roles, keys, nothing received."""
    empty_partitions()
    forget_all()
    bootstrap(admin_password="not-used-here", tokens={Scope.INGEST: "i" * 40})


@pytest.fixture
def busy_site(empty_site: None) -> list[scenes.Call]:
    """An hour of calls, oldest first; the failing ones spread from Graph to the agent."""
    now = datetime.now(UTC)
    calls = list(scenes.hour(now, calls_a_minute=6))
    scenes.store(calls, now)
    return calls
