"""Sending: OTLP exporters that are quiet, that say once when nothing arrives, and that can move."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

EXPORT_TIMEOUT = 5.0  # seconds for one batch, its retries included
# Batches of a signal that did not arrive and are sent again as soon as anything does, whatever its
# signal; the oldest are dropped first.
MAX_KEPT = 20
_LATER = ("401", "403", "408", "425", "429")
# Events tell what happened once; of traces there are many, and the next metrics say all again.
_KEPT_SIGNALS = ("logs",)
_EXPORTER_LOGGERS = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "urllib3.connectionpool",
)
_exporting: ContextVar[bool] = ContextVar("exporting", default=False)


@dataclass(frozen=True)
class Target:
    """Where to report, and with which key."""

    url: str
    key: str = field(repr=False)


class Exporter:
    """An OTLP exporter whose outcomes are watched, and which can be pointed elsewhere."""

    def __init__(
        self, kind: Callable[..., Any], signal: str, success: Any, target: Target, watch: Watch
    ) -> None:
        self._kind = kind
        self._signal = signal
        self._success = success
        self.prepare: Callable[[Any], Any] = lambda batch: batch
        self._kept: deque[Any] = deque(maxlen=MAX_KEPT if signal in _KEPT_SIGNALS else 0)
        # What was kept is sent from the threads of other signals, too: one batch at a time.
        self._sending = threading.Lock()
        self.point_at(target, watch)
        # What a metric reader asks of its exporter.
        self._preferred_temporality = getattr(self._exporter, "_preferred_temporality", None)
        self._preferred_aggregation = getattr(self._exporter, "_preferred_aggregation", None)

    def point_at(self, target: Target, watch: Watch) -> None:
        self._watch = watch
        watch.on_arrival(self._signal, self.send_kept)
        # Of this signal's own last request: those of others may end at the same moment.
        self._reason = ""
        self._exporter: Any = self._kind(
            endpoint=f"{target.url}/v1/{self._signal}",
            headers={"Authorization": f"Bearer {target.key}"},
            timeout=EXPORT_TIMEOUT,
            session=_session(self._note),
        )

    def _note(self, reason: str) -> None:
        self._reason = reason

    def export(self, batch: Any, **options: Any) -> Any:
        exporter = self._exporter
        if exporter is None:
            return self._success
        prepared = self.prepare(batch)
        with self._sending:
            result = self._send(exporter, prepared, options)
            if result is not self._success and _may_arrive_later(self._reason):
                self._kept.append(prepared)
        if result is self._success:
            self._watch.arrived()
        return result

    def send_kept(self) -> None:
        """What did not arrive while the site was away, oldest first, until it is away again."""
        # Whoever sends now comes here afterwards, if that arrives.
        if not self._kept or not self._sending.acquire(blocking=False):
            return
        try:
            while self._kept and (exporter := self._exporter) is not None:
                if self._send(exporter, self._kept[0], {}) is not self._success:
                    if _may_arrive_later(self._reason):
                        return
                    logger.debug("A batch of %s was refused for good", self._signal)
                self._kept.popleft()
        finally:
            self._sending.release()

    def _send(self, exporter: Any, batch: Any, options: dict[str, Any]) -> Any:
        with self._watch.quiet():
            result = exporter.export(batch, **options)
        self._watch.note(result is self._success, self._reason)
        return result

    def force_flush(self, *_: Any, **__: Any) -> bool:
        return True

    def shutdown(self, **_: Any) -> None:
        exporter, self._exporter = self._exporter, None
        if exporter is not None:
            with self._watch.quiet():
                exporter.shutdown()


class Watch:
    """Says once that telemetry stopped arriving, and once that it arrives again."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._failing = False
        self._on_arrival: dict[str, Callable[[], None]] = {}

    def on_arrival(self, signal: str, act: Callable[[], None]) -> None:
        """Have `act` called whenever a batch of any signal has arrived."""
        self._on_arrival[signal] = act

    def arrived(self) -> None:
        """A batch has arrived: what was kept may do so, too."""
        for act in self._on_arrival.values():
            act()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """The exporters' own lines, several per batch, are held back inside."""
        token = _exporting.set(True)
        try:
            yield
        finally:
            _exporting.reset(token)

    def note(self, arrived: bool, reason: str) -> None:
        """A request ended: whether it arrived, and what it ended with."""
        with self._lock:
            changed = self._failing == arrived
            self._failing = not arrived
        if changed and arrived:
            logger.info("Telemetry reaches %s again", self._url)
        elif changed:
            logger.warning(
                "Telemetry does not reach %s (%s); the newest is kept and sent when it does",
                self._url,
                reason or "no answer",
            )


def _may_arrive_later(reason: str) -> bool:
    """Whether what a request ended with says nothing against the batch itself."""
    status = reason.partition(" ")[0]
    return not status.isdigit() or status.startswith("5") or status in _LATER


def hold_back_exporters() -> None:
    """Keep the exporters' own lines, several per failed batch, out of the program's log."""
    for name in _EXPORTER_LOGGERS:
        logging.getLogger(name).addFilter(_outside_exports)


def _outside_exports(record: logging.LogRecord) -> bool:
    return not _exporting.get()


def _session(note: Callable[[str], None]) -> requests.Session:
    """A session that tells what each request ended with."""
    import requests

    class Session(requests.Session):
        def request(self, *args: Any, **kwargs: Any) -> requests.Response:
            try:
                response = super().request(*args, **kwargs)
            except Exception as error:
                note(type(error).__name__)
                raise
            note(f"{response.status_code} {response.reason}")
            return response

    session = Session()
    # Without an auth of its own, requests would put a password of ~/.netrc in place of the key.
    session.auth = lambda request: request
    return session
