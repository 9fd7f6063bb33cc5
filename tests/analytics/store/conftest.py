"""A clean store for each test: the partitioned tables too, which Django's own flush leaves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from analytics.services import edges, folds, ingest, ingest_logs, metric_series
from resilience_site.config import config
from resilience_site.core import partitions
from tests.analytics.store import telemetry
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


@pytest.fixture
def soon_after() -> Iterator[None]:
    """The clock of whoever looks is that of the telemetry, however long ago it was made."""
    with time_machine.travel(telemetry.NOW + timedelta(minutes=5), tick=True):
        yield


@pytest.fixture
def present_again(store: None) -> Iterator[None]:
    """For tests that drop partitions of the present: a web process of the session remembers that
    there are those, and makes them no more."""
    yield
    partitions.forget_known()
    partitions.ensure_ahead(datetime.now(UTC))


@pytest.fixture
def small(store: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A service may have three of each, and nobody was told of any that has its fill."""
    monkeypatch.setattr(folds, "_said", {})
    with ExitStack() as limits:
        for what in ("operations", "peers", "log_templates", "metric_streams"):
            limits.enter_context(config.override(**{f"resilience_max_{what}": 3}))
        yield
