"""What the library's parts say of themselves while they work: transitions, retries, rejections.

Parts call `emit`; telemetry, the testing kit and programs `subscribe`. Without a subscriber an
event costs one comparison. The names and attributes are those of the table in `telemetry`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

logger = logging.getLogger(__name__)

Attributes = Mapping[str, str | bool | int | float]


class Event(NamedTuple):
    """Something that happened, e.g. `resilience.retry.attempt`."""

    name: str
    attributes: Attributes


_listeners: tuple[Callable[[Event], object], ...] = ()
_lock = threading.Lock()


def subscribe(callback: Callable[[Event], object]) -> Callable[[], None]:
    """Have `callback` called with each event; returns what ends that.

    It runs on the thread that the event happens on and must not block. What it raises is logged
    and goes no further.
    """
    global _listeners
    with _lock:
        _listeners = (*_listeners, callback)

    def remove() -> None:
        global _listeners
        with _lock:
            _listeners = tuple(each for each in _listeners if each is not callback)

    return remove


def emit(name: str, attributes: Attributes) -> None:
    """Tell every subscriber; never raises."""
    listeners = _listeners
    if not listeners:
        return
    event = Event(name, attributes)
    for listener in listeners:
        try:
            listener(event)
        except Exception:
            logger.exception("A subscriber failed on the event %s", name)
