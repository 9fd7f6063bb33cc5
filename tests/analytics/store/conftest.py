"""A clean store for each test: the partitioned tables too, which Django's own flush leaves."""

from __future__ import annotations

import pytest

from analytics.services import edges, ingest, ingest_logs, metric_series
from resilience_site.core import partitions
from tests.emptying import empty_partitions


def forget_all() -> None:
    """What a fresh process knows: nothing."""
    ingest.memory.__init__()  # type: ignore[misc]
    edges.memory.__init__()  # type: ignore[misc]
    ingest_logs.log_memory.__init__()  # type: ignore[misc]
    metric_series.memory.__init__()  # type: ignore[misc]
    partitions.forget_known()


@pytest.fixture
def store(transactional_db: None) -> None:
    """The empty store, written to by a process that has just started."""
    empty_partitions()
    forget_all()
