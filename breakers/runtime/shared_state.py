"""One verdict for all replicas of a service, over Redis or Valkey.

    shared = share(resilience.breakers, redis.Redis.from_url(url), namespace="planner")

Each replica counts its own calls. When so many of them as `quorum` says have opened a breaker, it
opens everywhere; half-open probes are leased, so that the whole fleet places no more of them than
one breaker would. Two threads do all input and output: a call only ever looks at memory. While
Redis does not answer, each replica decides for itself.

An operator's `reset` of one replica is that one's alone: overrides for all come from the site. The
first call after the open time asks for a lease and is rejected; once that is there, within
milliseconds, the next one is the probe.
"""

from __future__ import annotations

import importlib
import logging
import os
import queue
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from breakers.runtime import checks
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import BreakerEvent, CircuitState
from breakers.runtime.redis_cache import quick_client
from breakers.runtime.registry import BreakerRegistry
from breakers.runtime.shared_scripts import LEASE, READ, SETTLE, VOTE

logger = logging.getLogger(__name__)

SHARED = "shared"
_KEEP_MS = 24 * 3600 * 1000
_MAX_WORK = 1000
_STOP_SECONDS = 2.0

Work = Callable[[], None]


class SharedStatus(NamedTuple):
    """How sharing stands: whether Redis answers, why it did not last, and the epoch by breaker."""

    connected: bool
    last_error: str
    epochs: dict[str, int]


class _Lease(NamedTuple):
    """A probe of all replicas' share, until the clock shows `ends`."""

    member: str
    ends: float


class _Probes:
    """Hands out the probes of one breaker that are leased from all replicas' share."""

    def __init__(self, lane: SharedState, name: str) -> None:
        self._lane = lane
        self._name = name
        self._ready: deque[_Lease] = deque()
        self._placed: deque[_Lease | None] = deque()
        self._asked = False
        self._failure_told = False

    def take(self) -> bool:
        if not self._lane.governs(self._name):
            self._placed.append(None)
            return True
        while True:
            try:
                lease = self._ready.popleft()
            except IndexError:
                break
            if time.monotonic() < lease.ends:
                self._placed.append(lease)
                return True
        if not self._asked:
            self._asked = True
            self._lane.later(self._ask)
        return False

    def done(self, success: bool | None) -> None:
        # Which of this generation's leases ends does not matter: they are all alike.
        try:
            lease = self._placed.popleft()
        except IndexError:
            return
        if lease is not None:
            self._failure_told = self._failure_told or success is False
            self._settle(lease, {True: "ok", False: "failed", None: "unused"}[success])

    def end(self, failed: bool) -> None:
        """The generation is over: what it still holds is not the next one's."""
        placed = [lease for lease in self._placed if lease is not None]
        self._placed.clear()
        if failed and placed and not self._failure_told:
            self._settle(placed[0], "failed")
        self._failure_told = False
        while self._ready:
            self._settle(self._ready.popleft(), "unused")

    def _settle(self, lease: _Lease, outcome: str) -> None:
        self._lane.later(lambda: self._lane.settle(self._name, lease.member, outcome))

    def _ask(self) -> None:
        try:
            lease = self._lane.lease(self._name)
            if lease is not None:
                self._ready.append(lease)
        finally:
            self._asked = False


class SharedState:
    """Shares breakers until `close`; made by `share`."""

    def __init__(
        self,
        breakers: BreakerRegistry | Iterable[CircuitBreaker],
        client: Any,
        *,
        namespace: str,
        quorum: int = 1,
        instance: str = "",
        poll: float = 1.0,
        timeout: float = 0.25,
    ) -> None:
        if not isinstance(namespace, str) or not namespace:
            checks.refuse("namespace", namespace, "a text that is not empty")
        checks.count("quorum", quorum)
        checks.seconds("poll", poll)
        checks.seconds("timeout", timeout)
        self._client = quick_client(client, timeout)
        self._redis_error = importlib.import_module("redis").RedisError
        self._namespace = namespace
        self._quorum = quorum
        self._instance = instance or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._poll = poll
        self._lock = threading.Lock()
        self._breakers: dict[str, CircuitBreaker] = {}
        self._probes: dict[str, _Probes] = {}
        self._epochs: dict[str, int] = {}
        self._removers: list[Callable[[], None]] = []
        self._work: queue.Queue[Work | None] = queue.Queue(_MAX_WORK)
        self._connected = False
        self._last_error = ""
        self._closed = threading.Event()
        if isinstance(breakers, BreakerRegistry):
            self._removers.append(breakers.on_made(self.add))
        else:
            for breaker in breakers:
                self.add(breaker)
        self._threads = [
            threading.Thread(target=target, name=f"resilience-{name}", daemon=True)
            for name, target in (("lane", self._run), ("listener", self._listen))
        ]
        for thread in self._threads:
            thread.start()

    # --- For its owner

    def add(self, breaker: CircuitBreaker) -> None:
        """Share one more breaker; it takes over what the others have agreed on."""
        with self._lock:
            if self._closed.is_set() or breaker.name in self._breakers:
                return
            self._breakers[breaker.name] = breaker
            self._removers.append(breaker.on_event(self._changed))
            probes = self._probes[breaker.name] = _Probes(self, breaker.name)
            breaker.limit_probes(probes)
        self.later(lambda: self._read(breaker.name))

    def status(self) -> SharedStatus:
        """How it stands."""
        return SharedStatus(self._connected, self._last_error, dict(self._epochs))

    def close(self) -> None:
        """Decide alone again; no thread is left."""
        self._closed.set()
        for remove in self._removers:
            remove()
        for breaker in self._breakers.values():
            breaker.limit_probes(None)
        self.later(None)
        for thread in self._threads:
            thread.join(_STOP_SECONDS)
        self._client.close()

    # --- On the callers' threads: memory only

    def governs(self, name: str) -> bool:
        """Whether the breaker's probes are for all replicas together to place."""
        return self._connected and self._epochs.get(name, 0) > 0

    def later(self, work: Work | None) -> None:
        """Have the lane do something; the oldest is dropped where it cannot keep up."""
        while True:
            try:
                self._work.put_nowait(work)
                return
            except queue.Full:
                try:
                    self._work.get_nowait()
                except queue.Empty:
                    continue

    def _changed(self, event: BreakerEvent) -> None:
        opened = event.to_state is CircuitState.OPEN
        if event.from_state is CircuitState.HALF_OPEN:
            self._probes[event.name].end(opened and event.reason != SHARED)
        elif opened and event.from_state is CircuitState.CLOSED and event.reason != SHARED:
            self.later(lambda: self._vote(event.name))

    # --- On the lane's thread

    def _run(self) -> None:
        next_read = 0.0
        while not self._closed.is_set():
            now = time.monotonic()
            if now >= next_read:
                next_read = now + self._poll
                self._do(self._read_all)
            try:
                work = self._work.get(timeout=max(0.0, next_read - time.monotonic()))
            except queue.Empty:
                continue
            if work is None:
                return
            self._do(work)

    def _do(self, work: Work) -> None:
        try:
            work()
        except (self._redis_error, OSError) as error:
            self._note(f"{type(error).__name__}: {error}")
        except Exception:
            logger.exception("Sharing the state of circuit breakers failed")
        else:
            self._note("")

    def _note(self, error: str) -> None:
        was, self._connected = self._connected, not error
        if error and (was or not self._last_error):
            logger.warning("Circuit breakers decide alone: Redis does not answer (%s)", error)
        elif not error and not was and self._last_error:
            logger.info("Circuit breakers are shared again")
        self._last_error = error
        if not error and not was:
            self.later(self._read_all)

    def _call(self, script: str, name: str, *arguments: object) -> Any:
        keys = [f"{self._namespace}:breaker:{{{name}}}{part}" for part in ("", ":votes", ":leases")]
        return self._client.eval(script, 3, *keys, self._channel, name, _KEEP_MS, *arguments)

    @property
    def _channel(self) -> str:
        return f"{self._namespace}:breakers"

    def _vote(self, name: str) -> None:
        breaker = self._breakers[name]
        left = breaker.snapshot().retry_after
        if left:
            milliseconds = max(1, int(left * 1000))
            answer = self._call(VOTE, name, self._instance, milliseconds, self._quorum)
            self._adopt(name, answer)

    def lease(self, name: str) -> _Lease | None:
        """A probe of all replicas' share, or None where there is none."""
        policy = self._breakers[name].policy
        wait = policy.max_wait_duration_in_half_open_state or policy.timeout
        member = f"{self._instance}/{uuid.uuid4().hex[:12]}"
        ends = time.monotonic() + wait
        permitted = policy.permitted_calls_in_half_open_state
        granted = self._call(LEASE, name, member, int(wait * 1000), permitted)
        return _Lease(member, ends) if granted else None

    def settle(self, name: str, member: str, outcome: str) -> None:
        """How a leased probe ended."""
        policy = self._breakers[name].policy
        permitted = policy.permitted_calls_in_half_open_state
        open_ms = max(1, int(policy.timeout * 1000))
        self._adopt(name, self._call(SETTLE, name, member, open_ms, permitted, outcome))

    def _read_all(self) -> None:
        for name in list(self._breakers):
            self._read(name)

    def _read(self, name: str) -> None:
        self._adopt(name, self._call(READ, name))

    def _adopt(self, name: str, answer: tuple[int, str, int]) -> None:
        """Follow what all replicas have agreed on since this one last heard."""
        epoch, state, left = answer
        known = self._epochs.get(name, 0)
        self._epochs[name] = epoch
        if epoch == known:
            return
        breaker = self._breakers[name]
        if state == "open":
            breaker.adopt_open(SHARED, max(0, left) / 1000)
        elif state == "closed":
            breaker.adopt_closed(SHARED)

    # --- On the listener's thread

    def _listen(self) -> None:
        while not self._closed.is_set():
            listener = self._client.pubsub(ignore_subscribe_messages=True)
            try:
                listener.subscribe(self._channel)
                # What was published before is not heard, so all is read once.
                self.later(self._read_all)
                while not self._closed.is_set():
                    message = listener.get_message(timeout=self._poll / 4)
                    if message is not None:
                        self._heard(str(message["data"]))
            except (self._redis_error, OSError):
                self._closed.wait(self._poll)
            finally:
                listener.close()

    def _heard(self, name: str) -> None:
        if name in self._breakers:
            self.later(lambda: self._read(name))


def share(
    breakers: BreakerRegistry | Iterable[CircuitBreaker],
    client: Any,
    *,
    namespace: str,
    quorum: int = 1,
    instance: str = "",
    poll: float = 1.0,
    timeout: float = 0.25,
) -> SharedState:
    """Share breakers with all replicas that use the same Redis and `namespace`.

    A registry's breakers by name are shared, those made later included. `client` is one of
    redis-py's; connections like its own are made, with `timeout` seconds for each step and without
    retries. What is missed of what others publish is read after `poll` seconds. Raises ConfigError
    for arguments that cannot work, and nothing else: a Redis that is down is only logged.
    """
    return SharedState(
        breakers,
        client,
        namespace=namespace,
        quorum=quorum,
        instance=instance,
        poll=poll,
        timeout=timeout,
    )
