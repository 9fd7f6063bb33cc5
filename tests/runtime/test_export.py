"""What did not arrive is sent again, whatever became of other signals meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from breakers.runtime.export import Exporter, Target, Watch

TARGET = Target("http://127.0.0.1:1", key="k")


class Wire:
    """Exporters of OpenTelemetry whose requests end as they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.arrived: list[tuple[str, str]] = []
        self.status: dict[str, int | None] = {"logs": 200, "traces": 200}
        self.meanwhile: Callable[[], object] = lambda: None
        monkeypatch.setattr(requests.Session, "request", self._request)

    def exporter(self, signal: str, watch: Watch) -> Exporter:
        return Exporter(self._kind, signal, True, TARGET, watch)

    def _kind(self, *, endpoint: str, session: requests.Session, **_: Any) -> Any:
        wire, signal = self, endpoint.rpartition("/")[2]

        class Kind:
            def export(self, batch: str) -> bool:
                try:
                    answer = session.post(endpoint, data=batch)
                except requests.ConnectionError:
                    wire.meanwhile()
                    return False
                if answer.ok:
                    wire.arrived.append((signal, batch))
                return answer.ok

        return Kind()

    def _request(self, method: str, url: str, *_: Any, **__: Any) -> requests.Response:
        status = self.status[url.rpartition("/")[2]]
        if status is None:
            raise requests.ConnectionError
        answer = requests.Response()
        answer.status_code, answer.reason = status, "as told"
        return answer


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire(monkeypatch)


def test_events_are_kept_though_traces_arrive_at_the_moment_at_which_they_do_not(
    wire: Wire,
) -> None:
    watch = Watch(TARGET.url)
    logs, traces = wire.exporter("logs", watch), wire.exporter("traces", watch)
    wire.status["logs"] = None
    wire.meanwhile = lambda: traces.export("a trace")
    logs.export("forced open")
    wire.status["logs"] = 200
    logs.export("closed")
    assert wire.arrived == [("traces", "a trace"), ("logs", "closed"), ("logs", "forced open")]


def test_events_that_are_kept_are_sent_as_soon_as_anything_arrives(wire: Wire) -> None:
    watch = Watch(TARGET.url)
    logs, traces = wire.exporter("logs", watch), wire.exporter("traces", watch)
    wire.status["logs"] = None
    logs.export("forced open")
    logs.export("closed")
    wire.status["logs"] = 200
    # No other event happens for hours.
    traces.export("a trace")
    assert wire.arrived == [("traces", "a trace"), ("logs", "forced open"), ("logs", "closed")]
    traces.export("another")
    assert len(wire.arrived) == 4


def test_events_that_are_refused_are_not_sent_again_though_others_may_be_later(
    wire: Wire,
) -> None:
    watch = Watch(TARGET.url)
    logs, traces = wire.exporter("logs", watch), wire.exporter("traces", watch)
    wire.status.update(logs=400, traces=None)
    traces.export("a trace")
    logs.export("rubbish")
    wire.status["logs"] = 200
    logs.export("closed")
    assert wire.arrived == [("logs", "closed")]
