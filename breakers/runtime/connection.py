"""The way up: traces, logs and metrics of this process to the site, by OTLP over HTTP.

Everything is sent from background threads out of bounded queues, oldest dropped first. A site
that is down, slow or refuses the key costs the caller nothing but that telemetry: one warning
when it stops arriving, one line when it arrives again.
"""

from __future__ import annotations

import atexit
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from breakers.runtime.variables import ConfigError

if TYPE_CHECKING:
    import requests
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

logger = logging.getLogger(__name__)

EXPORT_TIMEOUT = 5.0  # seconds for one batch, its retries included
_EXPORTER_LOGGERS = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "urllib3.connectionpool",
)
_exporting: ContextVar[bool] = ContextVar("exporting", default=False)


@dataclass(frozen=True)
class _Target:
    """Who sends where: what makes two calls of `connect` the same."""

    url: str
    key: str = field(repr=False)
    service: str
    environment: str
    version: str
    instance: str


class Connection:
    """An open way to the site. `tracer_provider` and its siblings serve manual instrumentation."""

    def __init__(
        self,
        target: _Target,
        tracer_provider: TracerProvider,
        logger_provider: LoggerProvider,
        meter_provider: MeterProvider,
        processors: tuple[Any, ...],
    ) -> None:
        self.url = target.url
        self.service = target.service
        self.instance = target.instance
        self.tracer_provider = tracer_provider
        self.logger_provider = logger_provider
        self.meter_provider = meter_provider
        self._target = target
        self._processors = processors
        self._handlers: list[tuple[logging.Logger, logging.Handler]] = []
        self._closed = False

    def log_to(self, handler: logging.Handler, *loggers: logging.Logger) -> None:
        """Attach a handler for as long as the connection is open."""
        for each in loggers:
            each.addHandler(handler)
            self._handlers.append((each, handler))

    def flush(self, timeout: float = EXPORT_TIMEOUT) -> bool:
        """Send what is queued; false when that took longer than `timeout` seconds."""
        return _in_parallel([each.force_flush for each in self._processors], timeout)

    def shutdown(self, timeout: float = 2.0) -> bool:
        """Send what is queued for at most `timeout` seconds and stop; a second call does nothing."""
        if self._closed:
            return True
        self._closed = True
        atexit.unregister(self.shutdown)
        for owner, handler in self._handlers:
            owner.removeHandler(handler)
        with _lock:
            if _state.connection is self:
                _state.connection = None
        return _in_parallel([each.shutdown for each in self._processors], timeout)


class _State:
    connection: Connection | None = None


_state = _State()
_lock = threading.RLock()


def connect(
    url: str,
    *,
    key: str,
    service: str,
    environment: str = "",
    version: str = "",
    instance: str = "",
    log_level: int | None = None,
    register: bool = True,
    metric_interval: float = 15.0,
) -> Connection:
    """Report this process's telemetry to the site at `url` as `service`.

    `key` is an API key with scope ingest. `instance` tells the processes of one service apart
    (default: host and process id). `log_level`, for example `logging.WARNING`, also reports log
    records from that level on, `logger.exception` as an exception with its stack trace; configure
    logging first, since `logging.basicConfig` does nothing once a handler is there.

    The providers become the process's defaults unless `register` is false; where a program has
    set up OpenTelemetry already, its tracer and logger providers are kept and also report here.
    A second call with the same arguments returns the same connection, one with others replaces
    it. In a program that forks, connect in each child. `metric_interval` is in seconds.

    Raises ConfigError for arguments that cannot work, and nothing else: an unreachable site is
    only logged.
    """
    target = _Target(
        url=_checked_url(url),
        key=_checked("key", key),
        service=_checked("service", service),
        environment=environment,
        version=version,
        instance=instance or f"{socket.gethostname()}-{os.getpid()}",
    )
    with _lock:
        previous = _state.connection
        if previous is not None and previous._target == target:
            return previous
        if previous is not None and register:
            previous.shutdown()
        connection = _open(target, register, metric_interval)
        if log_level is not None:
            connection.log_to(_handler(connection, log_level), logging.getLogger())
        if register:
            _state.connection = connection
        # Bounded, so that a dead site does not delay the exit of the program.
        atexit.register(connection.shutdown)
        return connection


def _checked(name: str, value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ConfigError(f"connect() needs a {name}: one line of text that is not empty.")
    return value.strip()


def _checked_url(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"The url of connect() is {url!r}, but must begin with http:// or https://."
        )
    return url.strip().rstrip("/")


def _open(target: _Target, register: bool, metric_interval: float) -> Connection:
    # Imported here, so that `import breakers.runtime` stays fast.
    from opentelemetry import _logs, trace
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.metrics import set_meter_provider
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    attributes = {
        "service.name": target.service,
        "service.instance.id": target.instance,
        "deployment.environment.name": target.environment,
        "service.version": target.version,
    }
    resource = Resource.create({name: value for name, value in attributes.items() if value})
    watch = _Watch(target.url)
    for name in _EXPORTER_LOGGERS:
        logging.getLogger(name).addFilter(_outside_exports)

    def exporter(kind: Callable[..., Any], signal: str) -> Any:
        session = _session(watch)
        return _WatchedExporter(
            kind(
                endpoint=f"{target.url}/v1/{signal}",
                headers={"Authorization": f"Bearer {target.key}"},
                timeout=EXPORT_TIMEOUT,
                session=session,
            ),
            watch,
        )

    spans = BatchSpanProcessor(exporter(OTLPSpanExporter, "traces"))
    logs = BatchLogRecordProcessor(exporter(OTLPLogExporter, "logs"))
    metrics = PeriodicExportingMetricReader(
        exporter(OTLPMetricExporter, "metrics"), export_interval_millis=metric_interval * 1000
    )

    tracer_provider = trace.get_tracer_provider()
    if not (register and isinstance(tracer_provider, TracerProvider)):
        tracer_provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        if register:
            trace.set_tracer_provider(tracer_provider)
    tracer_provider.add_span_processor(spans)

    logger_provider = _logs.get_logger_provider()
    if not (register and isinstance(logger_provider, LoggerProvider)):
        logger_provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        if register:
            _logs.set_logger_provider(logger_provider)
    logger_provider.add_log_record_processor(logs)

    meter_provider = MeterProvider([metrics], resource=resource, shutdown_on_exit=False)
    if register:
        _set_first_meter_provider(meter_provider, set_meter_provider)

    return Connection(
        target, tracer_provider, logger_provider, meter_provider, (spans, logs, metrics)
    )


def _set_first_meter_provider(provider: Any, set_provider: Callable[[Any], None]) -> None:
    from opentelemetry.metrics import get_meter_provider
    from opentelemetry.sdk.metrics import MeterProvider

    # A reader cannot join an existing provider, and OpenTelemetry complains about a second one.
    if not isinstance(get_meter_provider(), MeterProvider):
        set_provider(provider)


def _session(watch: _Watch) -> requests.Session:
    import requests

    class Session(requests.Session):
        def request(self, *args: Any, **kwargs: Any) -> requests.Response:
            try:
                response = super().request(*args, **kwargs)
            except Exception as error:
                watch.reason = type(error).__name__
                raise
            watch.reason = f"{response.status_code} {response.reason}"
            return response

    session = Session()
    # Without an auth of its own, requests would put a password of ~/.netrc in place of the key.
    session.auth = lambda request: request
    return session


def _handler(connection: Connection, level: int) -> logging.Handler:
    from breakers.runtime.loghandler import OtlpHandler

    return OtlpHandler(connection.logger_provider, level)


def _outside_exports(record: logging.LogRecord) -> bool:
    return not _exporting.get()


class _Watch:
    """Says once that telemetry stopped arriving, and once that it arrives again."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._failing = False
        self.reason = ""

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """The exporters' own lines, several per batch, are held back inside."""
        token = _exporting.set(True)
        try:
            yield
        finally:
            _exporting.reset(token)

    def note(self, arrived: bool) -> None:
        with self._lock:
            changed = self._failing == arrived
            self._failing = not arrived
        if changed and arrived:
            logger.info("Telemetry reaches %s again", self._url)
        elif changed:
            logger.warning(
                "Telemetry does not reach %s (%s); the newest is kept and sent when it does",
                self._url,
                self.reason or "no answer",
            )


class _WatchedExporter:
    """An exporter whose outcomes are watched; everything else is the exporter's own."""

    def __init__(self, exporter: Any, watch: _Watch) -> None:
        self._exporter = exporter
        self._watch = watch

    def export(self, batch: Any, **options: Any) -> Any:
        with self._watch.quiet():
            result = self._exporter.export(batch, **options)
        self._watch.note(result.name == "SUCCESS")
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exporter, name)


def _in_parallel(steps: list[Callable[[], object]], timeout: float) -> bool:
    """Run the steps beside each other; whether all ended within `timeout` seconds."""
    threads = [threading.Thread(target=_quietly, args=(step,), daemon=True) for step in steps]
    deadline = time.monotonic() + timeout
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)


def _quietly(step: Callable[[], object]) -> None:
    try:
        step()
    except Exception:
        logger.debug("Telemetry could not be flushed", exc_info=True)
