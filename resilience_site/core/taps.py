"""Taps: what an app wants of the telemetry that another one receives.

The receiver knows nothing of who listens; it hands over what it has just stored, inside the
transaction that stores it, so that an item is counted once, however often it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from resilience_site.core.journal import Entry


class EventSeen(NamedTuple):
    """A log record with an event name, new to the store."""

    service: str
    instance: str
    version: str
    name: str
    at_ns: int
    attributes: Mapping[str, Any]
    trace_id: str


class PointSeen(NamedTuple):
    """A metric point, new to the store.

    `value` is that of a gauge, or of a sum as sent. `increase` is what a monotonic sum, or the
    count of a histogram, grew by; `seconds` what the sum of a histogram grew by. None: not known.
    `start_ns` is when its running total began, 0 where it does not say.
    """

    service: str
    instance: str
    version: str
    name: str
    at_ns: int
    start_ns: int
    attributes: Mapping[str, Any]
    value: float | None
    increase: float | None
    seconds: float | None


class Tap(NamedTuple):
    """Who gets the events and points whose names begin with `prefix`.

    Its functions run inside the transaction that stores them, last; what they write they write in
    the order of keys, since other writers do the same. They return journal entries, never raise
    for what they cannot use, and let the store's own errors through.
    """

    prefix: str
    events: Callable[[Sequence[EventSeen], datetime], list[Entry]]
    points: Callable[[Sequence[PointSeen], datetime], list[Entry]]
    needs: Callable[[Sequence[int], datetime], None]
    """Makes the partitions for items of these times (ns); runs before the transaction."""


_taps: list[Tap] = []


def register(tap: Tap) -> None:
    """Add a tap; called from `AppConfig.ready`, before anything is received."""
    _taps.append(tap)


def wanted(name: str) -> bool:
    """Whether anybody listens to items of this name."""
    return any(name.startswith(tap.prefix) for tap in _taps)


def prepare(times: Sequence[int], received_at: datetime) -> None:
    """Make what the taps need for items of these times."""
    if times:
        for tap in _taps:
            tap.needs(times, received_at)


def deliver_events(events: Sequence[EventSeen], received_at: datetime) -> list[Entry]:
    """Hand events over; what the journal is to be told."""
    entries: list[Entry] = []
    for tap in _taps:
        own = [event for event in events if event.name.startswith(tap.prefix)]
        if own:
            entries += tap.events(own, received_at)
    return entries


def deliver_points(points: Sequence[PointSeen], received_at: datetime) -> list[Entry]:
    """Hand metric points over; what the journal is to be told."""
    entries: list[Entry] = []
    for tap in _taps:
        own = [point for point in points if point.name.startswith(tap.prefix)]
        if own:
            entries += tap.points(own, received_at)
    return entries
