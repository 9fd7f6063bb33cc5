"""Where isolation does not hold, and what is done about it.

| kind              | what it is                                                 | mitigation |
|-------------------|------------------------------------------------------------|------------|
| slot_overdue      | a call keeps its slot longer than `max_duration`           | reclaim    |
| leaked_worker     | a thread works for a caller that has left                  | reclaim    |
| all_overdue       | more than half of the slots are overdue at once            | isolate    |
| queue_saturation  | the queue is nine tenths full                              | shed       |
| tier_starvation   | a tier waits while another has more than its fair share    | shrink     |
| event_loop_lag    | the event loop comes late to everything                    | shrink     |
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from breakers.runtime import checks, events
from breakers.runtime.bulkhead import Bulkhead
from breakers.runtime.slots import BulkheadSnapshot
from breakers.runtime.thread_pool import ThreadPoolBulkhead

logger = logging.getLogger(__name__)

Kind = Literal[
    "slot_overdue", "leaked_worker", "all_overdue", "queue_saturation", "tier_starvation",
    "event_loop_lag",
]  # fmt: skip
Mitigation = Literal["reclaim", "shed", "shrink", "isolate", "none"]
MITIGATIONS: dict[Kind, Mitigation] = {
    "slot_overdue": "reclaim",
    "leaked_worker": "reclaim",
    "all_overdue": "isolate",
    "queue_saturation": "shed",
    "tier_starvation": "shrink",
    "event_loop_lag": "shrink",
}

_SATURATED = 0.9
_SHRINK = 0.75
_STARVED_AFTER = 0.8  # of the longest wait


@dataclass(frozen=True, slots=True)
class Breach:
    """A bulkhead that does not isolate; `mitigation` says what was or would be done."""

    kind: Kind
    name: str
    detail: str
    mitigation: Mitigation


def detect(bulkhead: Bulkhead, *, loop_lag: float = 0.0, max_lag: float = 0.5) -> Breach | None:
    """The gravest breach of this bulkhead now. `loop_lag` and `max_lag` are in seconds."""
    seen = bulkhead.snapshot()
    overdue = len(bulkhead.overdue())
    if overdue > 1 and overdue * 2 > seen.limit:
        return _breach("all_overdue", seen, f"{overdue} of {seen.limit} slots are overdue")
    leaked = bulkhead.leaked if isinstance(bulkhead, ThreadPoolBulkhead) else 0
    if overdue and leaked:
        return _breach("leaked_worker", seen, f"{leaked} threads work for callers that have left")
    if overdue:
        return _breach("slot_overdue", seen, f"a slot is held since {seen.longest_held:.1f} s")
    if loop_lag > max_lag:
        return _breach("event_loop_lag", seen, f"the event loop is {loop_lag:.2f} s late")
    if bulkhead.max_queue and seen.queued >= _SATURATED * bulkhead.max_queue:
        return _breach("queue_saturation", seen, f"{seen.queued} of {bulkhead.max_queue} wait")
    return _starvation(bulkhead, seen)


def mitigate(bulkhead: Bulkhead, breach: Breach) -> None:
    """Do what the breach calls for, and tell."""
    if breach.mitigation == "reclaim":
        for slot in bulkhead.overdue():
            slot.reclaim()
    elif breach.mitigation == "isolate":
        bulkhead.isolate(breach.detail)
    elif breach.mitigation == "shed":
        bulkhead.shed(max(1, bulkhead.snapshot().queued // 2))
    elif breach.mitigation == "shrink":
        bulkhead.shrink(_SHRINK)
    logger.warning("Bulkhead %r: %s (%s)", breach.name, breach.detail, breach.mitigation)
    events.emit(
        "resilience.bulkhead.breach",
        {
            "resilience.bulkhead.name": breach.name,
            "resilience.bulkhead.kind": breach.kind,
            "resilience.bulkhead.mitigation": breach.mitigation,
        },
    )


class BreachWatcher:
    """Looks for breaches every `interval` seconds, in a thread of its own.

    With a running event loop given, it also measures how late that comes to its work.
    """

    def __init__(
        self,
        bulkheads: Iterable[Bulkhead] | Callable[[], Iterable[Bulkhead]],
        *,
        interval: float = 1.0,
        loop: asyncio.AbstractEventLoop | None = None,
        max_lag: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        checks.seconds("interval", interval)
        checks.seconds("max_lag", max_lag)
        self._bulkheads = bulkheads if callable(bulkheads) else (lambda: bulkheads)
        self._interval = interval
        self._loop = loop
        self._max_lag = max_lag
        self._clock = clock
        self._asked: float | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> BreachWatcher:
        """Begin; a second call does nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="bulkhead-breaches", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """End, and wait for the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> list[Breach]:
        """Look once, and act; the breaches found."""
        lag = self._lag()
        found = []
        for bulkhead in list(self._bulkheads()):
            breach = detect(bulkhead, loop_lag=lag, max_lag=self._max_lag)
            if breach is not None:
                mitigate(bulkhead, breach)
                found.append(breach)
        return found

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self.look()
            except Exception:
                logger.exception("Looking for breaches of bulkheads failed")

    def _lag(self) -> float:
        """How long the event loop has owed an answer."""
        if self._loop is None or self._loop.is_closed():
            return 0.0
        if self._asked is not None:
            return self._clock() - self._asked
        self._asked = self._clock()

        def answer() -> None:
            self._asked = None

        try:
            self._loop.call_soon_threadsafe(answer)
        except RuntimeError:  # it was closed since
            self._asked = None
        return 0.0


def _breach(kind: Kind, seen: BulkheadSnapshot, detail: str) -> Breach:
    return Breach(kind, seen.name, detail, MITIGATIONS[kind])


def _starvation(bulkhead: Bulkhead, seen: BulkheadSnapshot) -> Breach | None:
    longest = bulkhead.max_wait
    if longest is None or seen.longest_wait < _STARVED_AFTER * longest or len(seen.tiers) < 2:
        return None
    fair = seen.limit / len(seen.tiers)
    for name, starving in seen.tiers.items():
        greedy = [each for each, tier in seen.tiers.items() if each != name and tier.active > fair]
        if starving.queued and not starving.active and greedy:
            return _breach(
                "tier_starvation", seen, f"tier {name!r} waits for slots that {greedy[0]!r} has"
            )
    return None
