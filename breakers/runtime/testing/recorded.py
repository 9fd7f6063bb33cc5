"""The events of the library, in a list."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from breakers.runtime import events
from breakers.runtime.events import Event


@contextmanager
def recorded_events() -> Iterator[list[Event]]:
    """Collects every event of the process that happens inside."""
    found: list[Event] = []
    stop = events.subscribe(found.append)
    try:
        yield found
    finally:
        stop()
