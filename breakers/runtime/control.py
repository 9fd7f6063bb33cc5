"""The way down: the site's control document, fetched by long polls from a thread of its own.

Each poll names the version that is applied, which is how the site knows. The site answers when
there is another one. With the site down, slow or lying, the last document stays in force: what it
says of expiries is kept by this process alone.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

from breakers.runtime.backoff import backoff
from breakers.runtime.classification import parse_retry_after
from breakers.runtime.control_link import Answer, Link
from breakers.runtime.control_status import ControlStatus, Status
from breakers.runtime.export import Target

logger = logging.getLogger(__name__)

PATH = "/api/v1/control"
_ETAG = re.compile(r'(?:W/)?"(\d{1,18})"')
_LONGEST_RETRY_AFTER = 300.0
# A site that answers at once, again and again, must not make this process spin.
_LEAST_INTERVAL = 0.05
_TOO_SOON = 1.0
_RETRIED = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Pace:
    """Times of the polls, in seconds: how long the site may wait, and how long to stay away."""

    wait: float = 25.0
    margin: float = 15.0  # beyond `wait`, until an answer has come whole
    shortest: float = 0.5
    longest: float = 15.0
    refused: float = 30.0
    patience: float = 5.0  # an outage that is over sooner, like a restart, is not worth a line


class _Unusable(ValueError):
    """An answer that is no control document."""


class _Served(NamedTuple):
    version: int
    document: Mapping[str, Any]


class ControlPoller:
    """Polls the site at `target` for the document of one instance, and has `apply` work by it."""

    def __init__(
        self,
        target: Target,
        *,
        service: str,
        instance: str,
        apply: Callable[[Mapping[str, Any]], None],
        pace: Pace | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._target = target
        self._apply = apply
        self._pace = pace or Pace()
        self._chance = chance
        self._who = {"service": service, "instance": instance, "started": process_started()}
        self._link = Link(target.url)
        self._stop = threading.Event()
        self._process = os.getpid()
        self._version: int | None = None
        self._status = ControlStatus("connecting", None, datetime.now(UTC))
        self._told: set[str] = set()
        self._failures = self._too_soon = 0
        self._probing = False
        self._failing_since = 0.0
        self._thread = threading.Thread(target=self._run, name="resilience-control", daemon=True)
        self._thread.start()

    @property
    def status(self) -> ControlStatus:
        return self._status

    @property
    def alive(self) -> bool:
        """Whether it polls; false in a child after a fork."""
        return self._thread.is_alive()

    def stop(self, timeout: float = 2.0) -> bool:
        """End, also while a poll waits; false where that took longer than `timeout` seconds."""
        self._stop.set()
        if self._process != os.getpid():
            return True  # the thread is the parent's, and so is the socket
        self._link.close()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)
        self._note("off")
        return not self._thread.is_alive()

    # --- On the thread of the poller

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                pause = self._poll(began)
            except Exception as error:
                logger.exception("The control document could not be polled for")
                pause = self._failed("unreachable", _described(error))
            earliest = began + _LEAST_INTERVAL - time.monotonic()
            self._stop.wait(max(pause, earliest, 0.0))
        self._link.drop()

    def _poll(self, began: float) -> float:
        """One poll; how many seconds to stay away after it."""
        try:
            answer = self._ask()
        except (OSError, http.client.HTTPException, ValueError) as error:
            if self._stop.is_set():
                return 0.0
            return self._failed("unreachable", _described(error))
        if answer.status == 200:
            return self._take(answer, began)
        if answer.status == 304 and self._version is not None:
            return self._is_current(self._version, began)
        why = f"{answer.status} {answer.reason}".strip()
        refused = 400 <= answer.status < 500 and answer.status not in _RETRIED
        return self._failed("refused" if refused else "unreachable", why, _retry_after(answer))

    def _ask(self) -> Answer:
        headers = {"Authorization": f"Bearer {self._target.key}", "Accept": "application/json"}
        if self._version is not None:
            headers["If-None-Match"] = f'"{self._version}"'
        # After a failure the site is asked to answer at once, to know that it is back.
        wait = 0.0 if self._probing else self._pace.wait
        path = f"{PATH}?{urlencode({**self._who, 'wait': f'{wait:g}'})}"
        with _untraced():
            return self._link.get(path, headers, wait + self._pace.margin)

    def _take(self, answer: Answer, began: float) -> float:
        try:
            served = _served(answer)
        except _Unusable as error:
            return self._failed("unreachable", f"the answer is no control document: {error}")
        try:
            self._apply(served.document)
        except Exception as error:
            why = f"version {served.version} cannot be applied: {_described(error)}"
            if "apply" not in self._told:
                logger.exception("The control document of %s: %s", self._target.url, why)
            self._told |= {"apply", "unreachable"}
            return self._failed("unreachable", why)
        return self._is_current(served.version, began)

    def _is_current(self, version: int, began: float) -> float:
        known, self._version = self._version, version
        if self._told:
            logger.info("The control document of %s arrives again", self._target.url)
        self._told.clear()
        self._note("current")
        probed, self._probing = self._probing, False
        if probed and version == known:
            return 0.0  # whether it stays well is for the next poll to say, which waits
        self._failures = 0
        too_soon = min(_TOO_SOON, self._pace.wait / 2)
        if version != known or time.monotonic() - began >= too_soon:
            self._too_soon = 0
            return 0.0
        # One such answer is that of a site which is being shut down.
        self._too_soon += 1
        return self._backoff(self._too_soon - 1) if self._too_soon > 1 else 0.0

    def _failed(
        self, status: Literal["unreachable", "refused"], why: str, retry_after: float = 0.0
    ) -> float:
        now = time.monotonic()
        if self._status.status not in ("unreachable", "refused"):
            self._failing_since = now
        lasts = now - self._failing_since >= self._pace.patience
        if status not in self._told and (lasts or status == "refused"):
            self._told.add(status)
            what = "refuses" if status == "refused" else "cannot be reached for"
            known = self._version is not None
            held = f"version {self._version} stays in force" if known else "there was none yet"
            logger.warning("%s %s the control document (%s); %s", self._target.url, what, why, held)
        self._note(status, why)
        self._failures += 1
        self._probing = True
        pause = self._backoff(self._failures)
        if status == "refused":
            pause = self._pace.refused * (0.75 + 0.5 * self._chance())
        return max(pause, retry_after + pause if retry_after else 0.0)

    def _backoff(self, attempt: int) -> float:
        return backoff(attempt, self._pace.shortest, self._pace.longest, chance=self._chance)

    def _note(self, status: Status, error: str = "") -> None:
        if self._stop.is_set():
            status, error = "off", ""
        before = self._status
        since = before.since if before.status == status else datetime.now(UTC)
        self._status = ControlStatus(status, self._version, since, error)


def process_started() -> int:
    """When this process began to report, as Unix time; another one in a child after a fork."""
    pid, at = _started.get("process", (0, 0))
    if pid != os.getpid():
        pid, at = _started["process"] = (os.getpid(), int(time.time()))
    return at


_started: dict[str, tuple[int, int]] = {}


@contextmanager
def _untraced() -> Iterator[None]:
    """No instrumentation makes spans of what happens inside; polls are nobody's calls."""
    from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value

    token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        yield
    finally:
        detach(token)


def _served(answer: Answer) -> _Served:
    """The document and its version; the ETag says which one it is."""
    try:
        document = json.loads(answer.body.decode(), parse_constant=_refuse)
        # Halves of surrogate pairs can be escaped in JSON, but neither logged nor reported.
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise _Unusable(_described(error)) from None
    if not isinstance(document, dict):
        raise _Unusable(f"it is of type {type(document).__name__}")
    etag = _ETAG.fullmatch(answer.headers.get("etag", "").strip())
    version = int(etag[1]) if etag else document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version < 10**18:
        raise _Unusable("it names no version")
    return _Served(version, document)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _retry_after(answer: Answer) -> float:
    wait = parse_retry_after(answer.headers.get("retry-after", ""), time.time())
    return min(wait or 0.0, _LONGEST_RETRY_AFTER)


def _described(error: BaseException) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
