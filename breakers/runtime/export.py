"""Sending: OTLP exporters that are quiet, that keep what does not arrive, and that can move."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from breakers.runtime.backlog import Kept, backlog_of
from breakers.runtime.classification import parse_retry_after
from breakers.runtime.watch import WRONG_KEY, Outcome, Watch

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

EXPORT_TIMEOUT = 5.0  # seconds for one batch, its retries included
MAX_BATCH = 512  # records of one request, fewer where the site finds them too large
MAX_BATCH_BYTES = 4 << 20  # of memory; on the wire they take less
# Seconds for which what waits is kept though the site refuses the key: it may come to accept it.
REFUSED_KEY_KEPT = 600.0


@dataclass(frozen=True)
class Target:
    """Where to report, and with which key."""

    url: str
    key: str = field(repr=False)


class Exporter:
    """An OTLP exporter whose outcomes are watched, and which can be pointed elsewhere.

    Of metrics nothing is kept: they are running totals, so that the next ones say all again.
    """

    def __init__(
        self, kind: Callable[..., Any], signal: str, success: Any, target: Target, watch: Watch
    ) -> None:
        self._kind = kind
        self._signal = signal
        self._success = success
        self.prepare: Callable[[Any], Any] = lambda batch: batch
        self.point_at(target, watch)
        # What a metric reader asks of its exporter.
        self._preferred_temporality = getattr(self._exporter, "_preferred_temporality", None)
        self._preferred_aggregation = getattr(self._exporter, "_preferred_aggregation", None)

    def point_at(self, target: Target, watch: Watch) -> None:
        self._watch = watch
        # Of this signal's own last request: those of others may end at the same moment.
        self._last = Outcome(False)
        self._exporter: Any = self._kind(
            endpoint=f"{target.url}/v1/{self._signal}",
            headers={"Authorization": f"Bearer {target.key}"},
            timeout=EXPORT_TIMEOUT,
            session=_session(self._note),
        )

    def _note(self, reason: str, retry_after: float = 0.0) -> None:
        self._last = Outcome(False, reason, retry_after)

    def export(self, batch: Any, **options: Any) -> Any:
        exporter = self._exporter
        if exporter is None or not self._watch.is_due():
            return self._success
        outcome = self._send(exporter, self.prepare(batch), options)
        if not (outcome.arrived or outcome.may_arrive_later):
            self._watch.refused(self._signal, outcome.reason)
        return self._success

    def _send(self, exporter: Any, batch: Any, options: dict[str, Any]) -> Outcome:
        began = self._watch.now()
        self._last = Outcome(False)
        result = None
        try:
            with self._watch.quiet():
                result = exporter.export(batch, **options)
        except Exception:
            logger.debug("A batch of %s could not be sent", self._signal, exc_info=True)
        outcome = self._last._replace(arrived=result is self._success)
        self._watch.note(outcome, began)
        return outcome

    def force_flush(self, *_: Any, **__: Any) -> bool:
        return True

    def hurry(self) -> None:
        """Let the site be asked at once: somebody waits for it."""
        self._watch.hurry()

    def send_now(self) -> None:
        """Nothing waits here."""

    def shutdown(self, **_: Any) -> None:
        """Send what waits and end; whoever waits for this sets the time."""
        self.send_now()
        self.close()

    def close(self) -> None:
        """Send no more until it is pointed anywhere again."""
        exporter, self._exporter = self._exporter, None
        if exporter is not None:
            with self._watch.quiet():
                exporter.shutdown()


class KeepingExporter(Exporter):
    """One that keeps spans or log records until they arrive, and sends them from its own thread.

    So neither OpenTelemetry's queue runs over while a request waits for its answer, nor is
    anything lost that the backlog has room for. Everything goes through the backlog, in order.
    """

    def __init__(self, *args: Any) -> None:
        self._wake = threading.Event()
        super().__init__(*args)
        self._most = MAX_BATCH
        self._begin_anew()
        if hasattr(os, "register_at_fork"):
            again = weakref.WeakMethod(self._begin_anew)
            os.register_at_fork(after_in_child=lambda: (begin := again()) and begin())

    def _begin_anew(self) -> None:
        """Also in a child after a fork: what waited is its parent's to send."""
        self._kept = backlog_of(self._signal)
        self.dropped = self._in_flight = 0
        self._sending = threading.Lock()
        self._lock = threading.Lock()  # of the backlog; never held while something is sent
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._watch.on_arrival(self._signal, self._wake.set)

    @property
    def waiting(self) -> int:
        """Records that have not arrived."""
        return len(self._kept) + self._in_flight

    def point_at(self, target: Target, watch: Watch) -> None:
        super().point_at(target, watch)
        watch.on_arrival(self._signal, self._wake.set)

    def export(self, batch: Sequence[Any], **options: Any) -> Any:
        if self._exporter is not None:
            with self._lock:
                dropped = self._kept.add(batch, self._watch.now())
                self._ensure_thread()
            self._count(dropped)
            self._wake.set()
        return self._success

    def send_now(self) -> None:
        """Send what waits, also while the site is left alone."""
        self._send_waiting(lambda: True)

    def send_due(self) -> None:
        """Send what waits, if it is time."""
        self._send_waiting(self._watch.is_due)

    def close(self) -> None:
        super().close()
        self._thread = None
        self._wake.set()

    def _ensure_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            name = f"resilience-{self._signal}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            # At the very end of a program no thread begins; what waits is sent by `shutdown`.
            with suppress(RuntimeError):
                self._thread.start()

    # --- On the thread of the exporter, or of whoever cannot wait

    def _run(self) -> None:
        while self._thread is threading.current_thread():
            self._wake.wait(self._watch.pause() if self._kept else None)
            self._wake.clear()
            self.send_due()

    def _send_waiting(self, is_due: Callable[[], bool]) -> None:
        """Oldest first, until nothing waits or the site is away."""
        with self._sending:
            while (exporter := self._exporter) is not None and is_due():
                taken = self._take()
                if not taken or not self._sent(exporter, taken):
                    return

    def _sent(self, exporter: Any, taken: list[Kept]) -> bool:
        """Send one batch; false where the next one would fare no better."""
        outcome = self._send(exporter, [kept.record for kept in taken], {})
        if outcome.arrived:
            # Back to whole batches by and by: it may have been for one large record.
            self._most = min(MAX_BATCH, self._most + self._most // 4 + 1)
        elif exporter is not self._exporter:
            # Closed meanwhile, or pointed elsewhere: that says nothing of these records.
            self._put_back(taken)
            return False
        elif outcome.may_arrive_later:
            self._put_back(taken)
            if outcome.status in WRONG_KEY:
                self._give_up(self._watch.now() - REFUSED_KEY_KEPT)
            return False
        elif outcome.may_arrive_in_parts and len(taken) > 1:
            self._most = len(taken) // 2
            self._put_back(taken)
        else:
            with self._lock:
                self.dropped += len(taken)
            self._watch.refused(self._signal, outcome.reason)
        self._in_flight = 0
        return True

    def _take(self) -> list[Kept]:
        with self._lock:
            taken = self._kept.take(self._most, MAX_BATCH_BYTES)
            self._in_flight = len(taken)
        return taken

    def _put_back(self, taken: list[Kept]) -> None:
        with self._lock:
            dropped = self._kept.put_back(taken)
            self._in_flight = 0
        self._count(dropped)
        if threading.current_thread() is not self._thread:
            # It may have found nothing meanwhile, and wait for ever.
            self._wake.set()

    def _give_up(self, before: float) -> None:
        with self._lock:
            dropped = self._kept.drop_before(before)
        self._count(dropped)

    def _count(self, dropped: int) -> None:
        if dropped:
            with self._lock:
                self.dropped += dropped
            self._watch.dropped(dropped)


class Unreachable(Exception):
    """No answer came; not an error that OpenTelemetry's exporters try again after."""


def _session(note: Callable[[str, float], None]) -> requests.Session:
    """A session that tells what each request ended with."""
    import requests

    class Session(requests.Session):
        def request(self, *args: Any, **kwargs: Any) -> requests.Response:
            try:
                response = self._request_twice(*args, **kwargs)
            except Exception as error:
                note(type(error).__name__, 0.0)
                # When to come back is for the watch to say, which knows of all signals.
                raise Unreachable from error
            asked = parse_retry_after(response.headers.get("Retry-After", ""), time.time())
            note(f"{response.status_code} {response.reason}", asked or 0.0)
            return response

        def _request_twice(self, *args: Any, **kwargs: Any) -> requests.Response:
            try:
                return super().request(*args, **kwargs)
            except requests.Timeout:
                raise
            except requests.ConnectionError:
                # Perhaps only a connection that the site had closed while it was idle.
                return super().request(*args, **kwargs)

    session = Session()
    # Without an auth of its own, requests would put a password of ~/.netrc in place of the key.
    session.auth = lambda request: request
    return session
