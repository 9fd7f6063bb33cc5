from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import breakers.runtime as resilience
from breakers.runtime import export
from tests.patience import PATIENCE, until
from tests.runtime.own_lines import lines
from tests.runtime.sink import Sink, attributes


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The site's answers are awaited, however busy the machine is."""
    monkeypatch.setattr(export, "EXPORT_TIMEOUT", PATIENCE)


@pytest.fixture
def nowhere() -> Iterator[str]:
    """A site that is down: nobody listens at its port, and nobody else gets it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def connect(url: str, **changes: object) -> resilience.Connection:
    options = {
        "key": "k" * 20, "service": "planner", "register": False, "control": False, **changes
    }  # fmt: skip
    return resilience.connect(url, **options)  # type: ignore[arg-type]


def test_spans_arrive_with_key_and_resource(sink: Sink) -> None:
    connection = connect(sink.url + "/", environment="prod", version="1.2.3", instance="planner-1")
    with connection.tracer_provider.get_tracer("test").start_as_current_span("list_tasks"):
        pass
    assert connection.shutdown(PATIENCE)
    [(_, headers, message)] = sink.of("/v1/traces")
    assert headers["authorization"] == "Bearer " + "k" * 20
    assert headers["content-type"] == "application/x-protobuf"
    resource = attributes(message.resource_spans[0].resource.attributes)
    assert resource["service.name"] == "planner"
    assert resource["service.instance.id"] == "planner-1"
    assert resource["deployment.environment.name"] == "prod"
    assert resource["service.version"] == "1.2.3"
    assert [span.name for span in sink.spans()] == ["list_tasks"]


def test_metrics_arrive(sink: Sink) -> None:
    connection = connect(sink.url)
    connection.meter_provider.get_meter("test").create_counter("resilience.test").add(3)
    assert connection.flush(PATIENCE)
    assert sink.of("/v1/metrics")
    connection.shutdown()


def test_a_logged_exception_becomes_an_exception_record_of_its_trace(sink: Sink) -> None:
    log = logging.getLogger("tests.planner")
    connection = connect(sink.url, log_level=logging.WARNING)
    with connection.tracer_provider.get_tracer("test").start_as_current_span("sync") as span:
        try:
            raise ConnectionError("graph refused")
        except ConnectionError:
            log.exception("Sync failed for %s", "plan-1", extra={"correlation.id": "c-7"})
        log.info("below the level")
    assert connection.shutdown(PATIENCE)
    assert not any("below" in each for each in logged(sink))
    [record] = [each for each in sink.logs() if "Sync failed" in each.body.string_value]
    values = attributes(record.attributes)
    assert record.body.string_value == "Sync failed for plan-1"
    assert record.severity_number == 17
    assert record.trace_id == span.get_span_context().trace_id.to_bytes(16, "big")
    assert values["exception.type"] == "ConnectionError"
    assert values["exception.message"] == "graph refused"
    assert "in test_a_logged_exception" in values["exception.stacktrace"]
    assert values["correlation.id"] == "c-7"


def test_shutdown_detaches_the_log_handler(sink: Sink) -> None:
    before = list(logging.getLogger().handlers)
    connection = connect(sink.url, log_level=logging.WARNING)
    assert logging.getLogger().handlers != before
    connection.shutdown(PATIENCE)
    assert logging.getLogger().handlers == before


def test_a_site_that_is_down_costs_one_warning_and_no_time(
    nowhere: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "EXPORT_TIMEOUT", 0.3)
    connection = connect(nowhere, log_level=logging.WARNING)
    tracer = connection.tracer_provider.get_tracer("test")
    started = time.monotonic()
    for _ in range(3):
        for _ in range(1000):
            tracer.start_span("call").end()
        connection.flush(PATIENCE)
    # A try of 0.3 s at each call would take fifteen minutes.
    assert time.monotonic() - started < PATIENCE
    away, full = lines(caplog, nowhere)
    assert "does not reach" in away
    assert "than is kept" in full
    assert not [r for r in caplog.records if r.name.startswith("opentelemetry.exporter")]
    started = time.monotonic()
    connection.shutdown(0.5)
    assert time.monotonic() - started < 30


def logged(sink: Sink) -> list[str]:
    return [record.body.string_value for record in sink.logs()]


def test_a_wrong_key_is_said_once(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    sink.status = 401
    connection = connect(sink.url)
    for _ in range(3):
        connection.tracer_provider.get_tracer("test").start_span("call").end()
        assert connection.flush(PATIENCE)
    [said] = lines(caplog, sink.url)
    assert "401" in said
    connection.shutdown(1)


def test_a_site_that_never_answers_delays_neither_calls_nor_exit(sink: Sink) -> None:
    sink.hold.clear()
    connection = connect(sink.url)
    tracer = connection.tracer_provider.get_tracer("test")
    started = time.monotonic()
    for _ in range(3000):
        tracer.start_span("call").end()
    # Waiting for the site even once would take longer.
    assert time.monotonic() - started < PATIENCE / 2
    started = time.monotonic()
    assert not connection.shutdown(0.3)
    assert time.monotonic() - started < PATIENCE / 2
    sink.hold.set()
    until(lambda: sink.of("/v1/traces"))


def test_a_password_in_netrc_does_not_replace_the_key(
    sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    connection = connect(sink.url)
    connection.tracer_provider.get_tracer("test").start_span("call").end()
    assert connection.shutdown(PATIENCE)
    assert sink.of("/v1/traces")[0][1]["authorization"].startswith("Bearer ")


@pytest.mark.parametrize(
    ("url", "changes", "named"),
    [
        ("ftp://site", {}, "url"),
        ("127.0.0.1:8000", {}, "url"),
        ("http://site", {"key": " "}, "key"),
        ("http://site", {"key": "a\r\nX: y"}, "key"),
        ("http://site", {"service": ""}, "service"),
    ],
)
def test_arguments_that_cannot_work_are_named(
    url: str, changes: dict[str, object], named: str
) -> None:
    with pytest.raises(resilience.ConfigError, match=named):
        connect(url, **changes)


def test_the_key_is_not_in_the_representation(sink: Sink) -> None:
    connection = connect(sink.url, key="secret-of-the-site")
    assert "secret-of-the-site" not in repr(vars(connection))
    connection.shutdown(1)
