"""The site's own telemetry: what it reports, and that reporting does not feed itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.db import connection, connections
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from resilience_site import otel
from resilience_site.config import config


@pytest.fixture(scope="module")
def _provider() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


@pytest.fixture
def finished(_provider: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    with config.override(distributed_tracing_enabled=True):
        _provider.clear()
        yield _provider


async def reply(scope: Any, receive: Any, send: Any) -> None:
    logging.getLogger("tests.reply").warning("handled")
    with trace.get_tracer("tests").start_as_current_span("work"):
        await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def get(path: str, method: str = "GET", headers: Any = ()) -> None:
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": list(headers),
        "scheme": "http",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 1),
        "http_version": "1.1",
    }
    request = ApplicationCommunicator(otel.observed(reply), scope)
    await request.send_input({"type": "http.request", "body": b""})
    await request.wait(60)


async def test_a_request_is_a_span_named_by_its_route(finished: InMemorySpanExporter) -> None:
    await get("/admin/login/")
    [server] = [s for s in finished.get_finished_spans() if s.kind is trace.SpanKind.SERVER]
    assert server.name == "GET /admin/login/"
    assert server.attributes is not None
    assert server.attributes["http.route"] == "/admin/login/"


async def test_an_unknown_path_does_not_become_an_operation(
    finished: InMemorySpanExporter,
) -> None:
    await get("/no/such/4711")
    [server] = [s for s in finished.get_finished_spans() if s.kind is trace.SpanKind.SERVER]
    assert server.name == "GET"


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        ("/v1/traces", "POST", ()),
        ("/v1/logs", "POST", ()),
        ("/v1/metrics", "POST", ()),
        ("/livez", "GET", ()),
        ("/readyz", "GET", ()),
        ("/healthz", "GET", ()),
        ("/metrics", "GET", ()),
        ("/static/css/site.css", "GET", ()),
        ("/errors/", "GET", [(b"hx-request", b"true")]),
        ("/figures/rate", "GET", [(b"x-live-pull", b"1")]),
        ("/", "HEAD", ()),
    ],
)
async def test_telemetry_probes_and_live_pulls_leave_no_request_span(
    finished: InMemorySpanExporter, path: str, method: str, headers: Any
) -> None:
    await get(path, method, headers)
    assert [s for s in finished.get_finished_spans() if s.kind is trace.SpanKind.SERVER] == []


async def test_nothing_is_observed_when_tracing_is_off(finished: InMemorySpanExporter) -> None:
    with config.override(distributed_tracing_enabled=False):
        assert otel.observed(reply) is reply
        otel.setup("web")
    await get("/v1/traces", "POST")
    assert otel._connections == []


@pytest.mark.django_db
def test_a_query_is_a_span_of_the_request_that_made_it(finished: InMemorySpanExporter) -> None:
    otel._trace_queries(connection)
    try:
        with trace.get_tracer("tests").start_as_current_span("request"), connection.cursor() as c:
            c.execute("SELECT %s::text", ["secret value"])
        [query, request] = finished.get_finished_spans()
        assert query.attributes is not None
        assert query.attributes["db.query.text"] == "SELECT %s::text"
        assert query.attributes["db.system.name"] == "postgresql"
        assert query.parent is not None
        assert query.parent.span_id == request.context.span_id
        assert "secret value" not in str(query.to_json())
    finally:
        connections["default"].execute_wrappers.remove(otel._query_span)


@pytest.mark.django_db
def test_a_query_outside_of_any_request_is_no_span(finished: InMemorySpanExporter) -> None:
    otel._trace_queries(connection)
    otel._trace_queries(connection)
    try:
        assert connection.execute_wrappers.count(otel._query_span) == 1
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        assert finished.get_finished_spans() == ()
    finally:
        connection.execute_wrappers.remove(otel._query_span)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("site.example", "http://site.example:8000"),
    ],
)
def test_own_url(host: str, url: str) -> None:
    with config.override(host=host, port=8000):
        assert otel.own_url() == url
