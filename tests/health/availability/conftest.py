"""A clean store for each test: the partitioned tables too, which Django's own flush leaves."""

from __future__ import annotations

import pytest

from resilience_site.core import partitions
from tests.emptying import empty_partitions


@pytest.fixture
def store(transactional_db: None) -> None:
    empty_partitions()
    partitions.forget_known()
