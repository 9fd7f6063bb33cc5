"""Keeps what happens to a breaker until it is collected, so that it can be replayed exactly."""

from __future__ import annotations

import math
import sys
import threading
import time
import uuid
from array import array
from dataclasses import replace
from typing import Any

from breakers.runtime.batches import MARKS, Batch, Columns, Mark
from breakers.runtime.call_meter import CallMeter, CallsOfOutcome
from breakers.runtime.checkpoint import take_locked
from breakers.runtime.circuit_breaker import CircuitBreaker

MAX_KEPT = 20_000
"""Entries that one breaker keeps between two collections."""
_FIELDS = 4
_FULL = MAX_KEPT * _FIELDS

Told = tuple[int, tuple[Any, ...]]


class Recorder:
    """Counts the calls of a breaker, and keeps each of them with all else that decides its course.

    A call costs one addition to a list; histograms are made of it when they are read. What comes
    when the list is full is counted, but not kept, and the next batch says how much that was.
    """

    __slots__ = (
        "_beyond", "_breaker", "_collecting", "_counted", "_counts", "_dropped", "_entries",
        "_marks", "_number", "_policy", "_rejected", "_run", "_since", "_start",
    )  # fmt: skip

    def __init__(self, breaker: CircuitBreaker) -> None:
        """Record `breaker` from now on, as its meter."""
        self._breaker = breaker
        self._collecting = threading.Lock()
        self._counts, self._beyond = CallMeter(), CallMeter()
        # One flat list: it takes less time than a list of tuples, and no work of the collector.
        self._entries: list[Any] = []
        self._marks: list[Told] = []
        self._counted = self._dropped = self._number = 0
        self._run = uuid.uuid4().hex
        with breaker._lock:
            self._since = breaker._clock()
            self._start = take_locked(breaker)
            self._policy = breaker.policy
            self._rejected = breaker.not_permitted_calls
            breaker.meter(self)

    # --- Under the breaker's lock

    def record(self, outcome: int, duration: float, now: float, era: int) -> None:
        """One call took `duration` seconds."""
        entries = self._entries
        if len(entries) < _FULL:
            entries += (now, duration, outcome, era)
        else:
            self._dropped += 1
            self._beyond.record(outcome, duration, now, era)

    def note(self, what: int, now: float, *details: Any) -> None:
        """Something else happened that decides the course."""
        if len(self._entries) >= _FULL:
            self._dropped += 1
            return
        self._entries += (now, 0.0, what, 0)
        if what in MARKS:
            self._marks.append((what, details))

    # --- On the collector's thread

    def read(self) -> list[CallsOfOutcome]:
        """The calls so far, as `CallMeter.read` gives them."""
        with self._collecting:
            self._count(self._entries)
            return self._counts.read(self._beyond)

    def collect(self) -> Batch | None:
        """What happened since the last collection; None where nothing did."""
        with self._collecting:
            told = self._taken()
            if told is None:
                return None
            batch, entries, marks = told
            self._count(entries)
            self._counted = 0
            return replace(batch, columns=_columns(entries, marks))

    def _taken(self) -> tuple[Batch, list[Any], list[Told]] | None:
        """What is kept, and begin anew: whatever becomes of it, the next batch is whole."""
        breaker = self._breaker
        with breaker._lock:
            rejected = breaker.not_permitted_calls
            if not self._entries and not self._dropped and rejected == self._rejected:
                return None
            now = breaker._clock()
            batch = Batch(
                breaker.name, self._run, self._number, self._since, now, 0.0, self._policy,
                self._start, (self._rejected, rejected), self._dropped, Columns(),
            )  # fmt: skip
            entries, self._entries = self._entries, []
            marks, self._marks = self._marks, []
            self._number += 1
            self._since, self._policy, self._rejected = now, breaker.policy, rejected
            self._start, self._dropped = take_locked(breaker), 0
        return replace(batch, offset=time.time() - now), entries, marks

    def _count(self, entries: list[Any]) -> None:
        """Add the calls that are not counted yet to the histogram."""
        begin, self._counted = self._counted, len(entries)
        fresh = entries[begin : self._counted]
        self._counts.count(zip(fresh[2::_FIELDS], fresh[1::_FIELDS], strict=True))


def _columns(entries: list[Any], marks: list[Told]) -> Columns:
    durations = array("d", entries[1::_FIELDS])
    if not all(map(math.isfinite, durations)):
        # What callers give as a duration may be anything that can be compared with a threshold.
        largest = sys.float_info.max
        durations = array(
            "d", (0.0 if d != d else max(-largest, min(largest, d)) for d in durations)
        )
    made: list[Mark] = [MARKS[what](*details) for what, details in marks]
    return Columns(
        array("d", entries[0::_FIELDS]),
        durations,
        bytes(entries[2::_FIELDS]),
        array("q", entries[3::_FIELDS]),
        tuple(made),
    )
