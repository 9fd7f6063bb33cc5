"""The connection to the site: telemetry up, and the site's control document down.

Traces, logs and metrics of this process are sent by OTLP over HTTP, as follows; the control
document is fetched by `control`.

Everything is sent from background threads out of bounded queues, oldest dropped first. A site
that is down, slow or refuses the key costs the caller nothing: one warning when telemetry stops
arriving, one line when it arrives again. Meanwhile spans and log records are kept (`backlog`).
"""

from __future__ import annotations

import atexit
import logging
import os
import socket
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from breakers.runtime import site_reader
from breakers.runtime.control_status import ControlStatus
from breakers.runtime.export import EXPORT_TIMEOUT, Target
from breakers.runtime.pipeline import Identity, Pipeline, build
from breakers.runtime.variables import ConfigError

if TYPE_CHECKING:
    from breakers.runtime.control import ControlPoller
    from breakers.runtime.resilience import Resilience
    from breakers.runtime.telemetry import Telemetry

logger = logging.getLogger(__name__)


class Connection:
    """An open way to the site. `tracer_provider` and its siblings serve manual instrumentation."""

    def __init__(self, pipeline: Pipeline, target: Target) -> None:
        self.url = target.url
        self.service = pipeline.identity.service
        self.instance = pipeline.identity.instance
        self.tracer_provider = pipeline.tracer_provider
        self.logger_provider = pipeline.logger_provider
        self.meter_provider = pipeline.meter_provider
        self._pipeline = pipeline
        self._target = target
        self._handlers: list[tuple[logging.Logger, logging.Handler]] = []
        self._telemetry: Telemetry | None = None
        self._poller: ControlPoller | None = None
        self._made = datetime.now(UTC)
        self._reader: site_reader.SiteReader | None = None
        self._closed = False

    def log_to(self, handler: logging.Handler, *loggers: logging.Logger) -> None:
        """Attach a handler for as long as the connection is open."""
        for each in loggers:
            each.addHandler(handler)
            self._handlers.append((each, handler))

    def report(self, resilience: Resilience, *, record_outcomes: bool = True) -> None:
        """Report what its breakers, retries and bulkheads do for as long as the connection is open."""
        from breakers.runtime.telemetry import Telemetry

        self._telemetry = Telemetry(self, resilience, record_outcomes=record_outcomes)
        self._pipeline.exporters[-1].prepare = self._telemetry.add_calls

    @property
    def control(self) -> ControlStatus:
        """Whether the site's control document is fetched, and by which version this works."""
        if self._poller is None:
            return ControlStatus("off", None, self._made)
        return self._poller.status

    def steer(self, resilience: Resilience, *, on: bool = True) -> None:
        """Work by the site's control document for as long as the connection is open; or no more."""
        from breakers.runtime.control import ControlPoller

        # In a child after a fork the poller is the parent's.
        if self._poller is not None and not (on and self._poller.alive):
            self._poller.stop()
            self._poller = None
        if on and self._poller is None:
            self._poller = ControlPoller(
                self._target,
                service=self.service,
                instance=self.instance,
                apply=resilience.apply,
            )

    def ask_with(self, key: str) -> None:
        """Let this process ask the site, with a key of the scope read, while the connection is open."""
        self._reader = site_reader.SiteReader(self.url, key, service=self.service)
        site_reader.use(self._reader)

    def flush(self, timeout: float = EXPORT_TIMEOUT) -> bool:
        """Send what is queued; false when that took longer than `timeout` seconds."""
        if self._telemetry is not None:
            self._telemetry.flush()
        return self._pipeline.flush(timeout)

    @property
    def dropped(self) -> int:
        """Spans and log records that were dropped, as more waited to be sent than is kept."""
        return sum(each.dropped for each in self._pipeline.keeping)

    def shutdown(self, timeout: float = 2.0) -> bool:
        """Send what is queued for at most `timeout` seconds and stop; a second call does nothing.

        What the process's default providers are given afterwards is dropped.
        """
        with _lock:
            if self._closed:
                return True
            self._closed = True
            if _state.connection is self:
                _state.connection = None
        atexit.unregister(self.shutdown)
        site_reader.forget(self._reader)
        if self._poller is not None:
            began = time.monotonic()
            self._poller.stop(timeout)
            timeout = max(0.0, timeout - (time.monotonic() - began))
        if self._telemetry is not None:
            self._telemetry.stop()
        for owner, handler in self._handlers:
            owner.removeHandler(handler)
        if self._pipeline.registered:
            # The default providers cannot be replaced, so their threads stay for a later connection.
            in_time = self._pipeline.flush(timeout)
            for exporter in self._pipeline.exporters:
                exporter.close()
        else:
            in_time = self._pipeline.shutdown(timeout)
        if left := sum(each.waiting for each in self._pipeline.keeping):
            logger.warning("%d records of telemetry have not reached %s", left, self.url)
        return in_time


class _State:
    connection: Connection | None = None
    pipeline: Pipeline | None = None


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
    metric_interval: float = 5.0,
    control: bool = True,
    record_outcomes: bool = True,
    read_key: str = "",
) -> Connection:
    """Report this process's telemetry to the site at `url` as `service`, and let the site steer it.

    `key` is an API key with scope ingest. `instance` tells the processes of one service apart
    (default: host and process id). `log_level`, for example `logging.WARNING`, also reports log
    records from that level on, `logger.exception` as an exception with its stack trace; configure
    logging first, since `logging.basicConfig` does nothing once a handler is there.

    The providers become the process's defaults unless `register` is false; where a program has
    set up OpenTelemetry already, its tracer and logger providers are kept and also report here.
    A second call with the same arguments returns the same connection. One with another `url` or
    `key` moves the connection there; who reports cannot change in a process. In a program that
    forks, connect in each child. `metric_interval` is in seconds.

    Unless `control` is false, a thread fetches the site's control document (overrides of breakers,
    toggles, degraded modes, commands) and works by it; `Connection.control` tells how that stands.
    With the site gone the last document stays in force, and ends where it said so.

    Unless `record_outcomes` is false, how each call through a breaker by name ended is told as well
    (when, after how long, and whether it failed), so that the site can replay it.

    `read_key`, a key with scope read, lets the process ask the site what it knows of errors, as
    `ErrorCorrelator` does; without it `key` is tried, which may read only with a wider scope.

    Raises ConfigError for arguments that cannot work, and nothing else: an unreachable site is
    only logged.
    """
    target = Target(url=_checked_url(url), key=_checked("key", key))
    identity = Identity(
        service=_checked("service", service),
        environment=environment,
        version=version,
        instance=instance or f"{socket.gethostname()}-{os.getpid()}",
    )
    with _lock:
        connection = _registered(identity, target, metric_interval) if register else None
        if connection is None:
            pipeline = build(identity, target, metric_interval, register=False)
            connection = Connection(pipeline, target)
        from breakers.runtime.process import default

        if connection._telemetry is None:
            connection.report(default(), record_outcomes=record_outcomes)
        connection.steer(default(), on=control)
        connection.ask_with(read_key.strip() or target.key)
        if log_level is not None and not connection._handlers:
            connection.log_to(_handler(connection, log_level), logging.getLogger())
    # Bounded, so that a dead site does not delay the exit of the program.
    atexit.unregister(connection.shutdown)
    atexit.register(connection.shutdown)
    return connection


def _registered(identity: Identity, target: Target, metric_interval: float) -> Connection:
    if _state.pipeline is not None and _state.pipeline.identity != identity:
        raise ConfigError(
            f"connect() was called as {_state.pipeline.identity}, and cannot change to {identity}: "
            "a process reports as one service."
        )
    previous = _state.connection
    if previous is not None and previous._target == target:
        return previous
    if previous is not None:
        previous.shutdown()
    if _state.pipeline is None:
        _state.pipeline = build(identity, target, metric_interval, register=True)
    else:
        _state.pipeline.point_at(target)
    _state.connection = Connection(_state.pipeline, target)
    return _state.connection


def _checked(name: str, value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ConfigError(f"connect() needs a {name}: one line of text that is not empty.")
    return value.strip()


def _checked_url(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or not _has_usable_port(parts):
        raise ConfigError(
            f"The url of connect() is {url!r}, but must begin with http:// or https://."
        )
    return url.strip().rstrip("/")


def _has_usable_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _handler(connection: Connection, level: int) -> logging.Handler:
    from breakers.runtime.loghandler import OtlpHandler

    return OtlpHandler(connection.logger_provider, level)
