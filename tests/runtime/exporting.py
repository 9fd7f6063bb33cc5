"""A connection whose exporters the test works by hand, on a clock of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

import breakers.runtime as runtime
from breakers.runtime import Resilience
from breakers.runtime.export import KeepingExporter
from breakers.runtime.loghandler import OtlpHandler
from breakers.runtime.testing import FakeClock
from breakers.runtime.watch import Watch
from tests.patience import PATIENCE
from tests.runtime.sink import Sink

LOG = logging.getLogger("tests.export")


@pytest.fixture
def connection(
    sink: Sink, resilience: Resilience, monkeypatch: pytest.MonkeyPatch
) -> Iterator[runtime.Connection]:
    """A connection whose metrics are sent when it is flushed, and whose spans soon."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    made = runtime.connect(
        sink.url, key="k" * 20, service="planner", register=False, control=False,
        metric_interval=3600,
    )  # fmt: skip
    # Not what threads of other tests have to say.
    made.log_to(
        OtlpHandler(made.logger_provider, logging.WARNING),
        LOG,
        logging.getLogger("breakers.runtime.watch"),
    )
    yield made
    sink.status, sink.away, sink.largest = 200, False, None
    made.shutdown(PATIENCE)


class ByHand:
    """The exporter of logs without its thread, on a clock that the test sets."""

    def __init__(self, connection: runtime.Connection) -> None:
        self.clock = FakeClock()
        self._processor = connection._pipeline.processors[1]
        self.exporter: Any = connection._pipeline.exporters[1]
        self.watch = Watch(connection.url, clock=self.clock, chance=lambda: 1.0)
        self.exporter.point_at(connection._target, self.watch)

    def log(self, *texts: str) -> None:
        for text in texts:
            LOG.warning(text)
        self._processor.force_flush()


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeepingExporter, "_ensure_thread", lambda self: None)


@pytest.fixture
def by_hand(no_threads: None, connection: runtime.Connection) -> ByHand:
    return ByHand(connection)


def own(sink: Sink) -> list[str]:
    """What this module has logged, as it arrived."""
    return [
        record.body.string_value
        for _, _, message in sink.of("/v1/logs")
        for resource in message.resource_logs
        for scope in resource.scope_logs
        if scope.scope.name == LOG.name
        for record in scope.log_records
    ]
