"""A company's checks, and people of each role who look at them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from health.models import Check
from resilience_site.core import partitions
from resilience_site.core.bootstrap import bootstrap
from resilience_site.core.choices import Scope
from tests.health.screens import scenes


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def empty_site(db: None) -> Iterator[None]:
    """What a first start leaves: roles, keys, no checks."""
    partitions.forget_known()
    bootstrap(admin_password="not-used-here", tokens={Scope.OPERATE: "o" * 40})
    yield
    # What was made in the test's transaction is gone with it.
    partitions.forget_known()


@pytest.fixture
def incident(empty_site: None, now: datetime) -> dict[str, Check]:
    """The database died, and much with it."""
    return scenes.incident(now)
