"""An empty site whose public page reads the store anew."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from resilience_site.core import partitions
from resilience_site.core.bootstrap import bootstrap
from resilience_site.core.choices import Scope
from resilience_site.pages import status
from tests.emptying import empty_partitions

TOKENS = {Scope.INGEST: "i" * 40, Scope.OPERATE: "o" * 40}


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def empty_site(transactional_db: None) -> None:
    """What a first start leaves: roles, keys, nothing received."""
    empty_partitions()
    partitions.forget_known()
    bootstrap(admin_password="not-used-here", tokens=TOKENS)
    status.forget()
