"""The site observes itself: its requests, tasks, queries and errors, as service `resilience-site`.

They are sent to the site's own OTLP paths with its own ingest key. Receiving telemetry makes no
telemetry: requests to the OTLP paths, what they query and log, probes, and the refreshes of live
pages that such telemetry causes are left out, or one span would call forth the next for ever.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings
from django.db.backends.signals import connection_created
from django.urls import Resolver404, resolve
from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

import breakers.runtime as resilience
from breakers.runtime.loghandler import OtlpHandler
from resilience_site.config import config

SERVICE = "resilience-site"
SILENT_PATHS = (
    "/v1/traces",
    "/v1/logs",
    "/v1/metrics",
    "/api/v1/control",
    "/livez",
    "/readyz",
    "/healthz",
    "/metrics",
)
# The address of a heartbeat holds its secret.
SILENT_PREFIXES = ("/static/", "/healthz/", "/api/v1/health/push/")
# A live page pulls its fragments and figures whenever something arrived, and asks with HEAD whether
# the site is back.
PULL_HEADERS = (b"hx-request", b"x-live-pull")
# Errors of the receiving side are in its own counters; as telemetry they would come back.
SILENT_LOGGERS = ("analytics.ingest", "analytics.services")
MAX_QUERY_LENGTH = 2000

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]

_tracer = trace.get_tracer("resilience_site.queries")
_connections: list[resilience.Connection] = []


def setup(role: str) -> None:
    """Start to observe this process, a `web`, `worker` or `beat` one.

    Call it once the process is the one that works, since threads do not survive a fork. Does
    nothing when DISTRIBUTED_TRACING_ENABLED is false. The standard `OTEL_*` variables apply, such
    as `OTEL_TRACES_SAMPLER` for sampling.
    """
    if _connections or not config.distributed_tracing_enabled:
        return
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    # First: what the client asks this site for at once makes connections, too.
    connection_created.connect(_trace_queries, dispatch_uid="resilience_site.otel")
    connection = resilience.connect(
        own_url(),
        key=config.resilience_ingest_key,
        service=SERVICE,
        instance=f"{role}-{socket.gethostname()}-{os.getpid()}",
        metric_interval=60,
        # Each report goes through the breaker before the store, and would be the next one's news.
        record_outcomes=False,
    )
    _connections.append(connection)
    connection.log_to(_log_handler(connection), *_top_loggers())
    CeleryInstrumentor().instrument(meter_provider=NoOpMeterProvider())


def shutdown() -> None:
    """Send what is left, for a process that ends without running its exit handlers."""
    while _connections:
        _connections.pop().shutdown()


def own_url() -> str:
    """Where this site is reached from its own host."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)  # noqa: S104
    return f"http://[{host}]:{config.port}" if ":" in host else f"http://{host}:{config.port}"


# --- Requests --------------------------------------------------------------------------------


def observed(application: Application) -> Application:
    """The ASGI application with a span for each request that is not about telemetry itself.

    WebSockets live for hours and are left alone.
    """
    if not config.distributed_tracing_enabled:
        return application
    traced = OpenTelemetryMiddleware(
        application,
        default_span_details=_span_details,
        meter_provider=NoOpMeterProvider(),
        exclude_spans=["receive", "send"],
    )

    async def observe(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
        elif is_silent(scope):
            with suppress_instrumentation():
                await application(scope, receive, send)
        else:
            await traced(scope, receive, send)

    return observe


def is_silent(scope: Scope) -> bool:
    """Whether a request may leave no telemetry, because telemetry or a probe caused it."""
    path: str = scope["path"]
    if path.rstrip("/") in SILENT_PATHS or path.startswith(SILENT_PREFIXES):
        return True
    if scope["method"] == "HEAD":
        return True
    return scope["method"] == "GET" and any(name in PULL_HEADERS for name, _ in scope["headers"])


def _span_details(scope: Scope) -> tuple[str, dict[str, Any]]:
    # Named by its route: a path holds ids, and each would be an operation of its own.
    try:
        route = f"/{resolve(scope['path'], settings.ROOT_URLCONF).route}"
    except Resolver404:
        return scope["method"], {}
    return f"{scope['method']} {route}", {"http.route": route}


# --- Queries ---------------------------------------------------------------------------------


def _trace_queries(connection: Any, **_: Any) -> None:
    if _query_span not in connection.execute_wrappers:
        connection.execute_wrappers.append(_query_span)


def _query_span(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context_: dict[str, Any]
) -> Any:
    # A query outside of any traced request or task explains nothing.
    if not trace.get_current_span().is_recording():
        return execute(sql, params, many, context_)
    text = sql if isinstance(sql, str) else str(sql)
    verb = text.lstrip("( \n").split(None, 1)[0].upper() if text.strip() else "QUERY"
    attributes = {
        "db.system.name": "postgresql",
        "db.namespace": str(context_["connection"].settings_dict["NAME"]),
        "db.operation.name": verb,
        "db.query.text": text[:MAX_QUERY_LENGTH],
    }
    with _tracer.start_as_current_span(
        verb, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False
    ) as span:
        try:
            return execute(sql, params, many, context_)
        except Exception as error:
            _describe_failure(span, error)
            raise


def _describe_failure(span: Span, error: Exception) -> None:
    # The exception is reported where it is handled; here it would be a second error event.
    cause = error.__cause__
    span.set_attribute("error.type", type(error).__qualname__)
    if state := getattr(cause, "sqlstate", None):
        span.set_attribute("db.response.status_code", state)
    span.set_status(Status(StatusCode.ERROR, str(error).partition("\n")[0]))


# --- Logs ------------------------------------------------------------------------------------


def _top_loggers() -> list[logging.Logger]:
    # By its own settings uvicorn keeps its records to itself.
    uvicorn = logging.getLogger("uvicorn")
    return [logging.getLogger()] if uvicorn.propagate else [logging.getLogger(), uvicorn]


def _log_handler(connection: resilience.Connection) -> logging.Handler:
    handler = OtlpHandler(connection.logger_provider, logging.WARNING)
    handler.addFilter(lambda record: not record.name.startswith(SILENT_LOGGERS))
    return handler
