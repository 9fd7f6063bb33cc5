"""What waits to be sent: bounded, the oldest dropped first, and what matters outlives the rest."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from breakers.runtime.telemetry_names import LASTING

MIB = 1 << 20
# Bytes of a span or log record without its texts, as measured; a record may hold its span.
_BASE = 4000
_ERROR = 17  # the least severity number that is an error


class Kept(NamedTuple):
    """A record that waits: its place in the order, what it takes, and since when it waits."""

    place: int
    bytes: int
    since: float
    record: Any


class Backlog:
    """Records of one signal in the order in which they came.

    `rooms` says how many bytes of each kind are kept, and `kind` of which kind a record is: what is
    beyond a room pushes out the oldest of its own kind alone.
    """

    def __init__(self, rooms: Mapping[str, int], kind: Callable[[Any], str]) -> None:
        self._rooms = {name: _Room(limit) for name, limit in rooms.items()}
        self._kind = kind
        self._next = 0

    def __len__(self) -> int:
        return sum(len(room.kept) for room in self._rooms.values())

    def add(self, records: Iterable[Any], now: float) -> int:
        """Keep the records behind all others; how many were dropped for that."""
        dropped = 0
        for record in records:
            kept = Kept(self._next, weight(record), now, record)
            self._next += 1
            room = self._rooms[self._kind(record)]
            if kept.bytes > room.limit:
                dropped += 1  # else all others would have to go for it
                continue
            room.kept.append(kept)
            room.bytes += kept.bytes
            dropped += room.trim()
        return dropped

    def take(self, most: int, most_bytes: int) -> list[Kept]:
        """The oldest records, at most so many, but one where there are any."""
        taken: list[Kept] = []
        spent = 0
        while len(taken) < most:
            waiting = [room for room in self._rooms.values() if room.kept]
            if not waiting:
                break
            oldest = min(waiting, key=lambda room: room.kept[0].place)
            spent += oldest.kept[0].bytes
            if taken and spent > most_bytes:
                break
            taken.append(oldest.pop())
        return taken

    def put_back(self, taken: Sequence[Kept]) -> int:
        """Keep before all others what was taken; how many were dropped, as newer ones came."""
        for kept in reversed(taken):
            room = self._rooms[self._kind(kept.record)]
            room.kept.appendleft(kept)
            room.bytes += kept.bytes
        return sum(room.trim() for room in self._rooms.values())

    def drop_before(self, time: float) -> int:
        """Drop what has waited since before `time`; how many that were."""
        dropped = 0
        for room in self._rooms.values():
            while room.kept and room.kept[0].since < time:
                room.pop()
                dropped += 1
        return dropped


class _Room:
    """The records of one kind."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self.kept: deque[Kept] = deque()

    def pop(self) -> Kept:
        kept = self.kept.popleft()
        self.bytes -= kept.bytes
        return kept

    def trim(self) -> int:
        dropped = 0
        while self.bytes > self.limit:
            self.pop()
            dropped += 1
        return dropped


def weight(record: Any) -> int:
    """About how many bytes of memory a span or log record takes."""
    inner = getattr(record, "log_record", record)
    events = getattr(record, "events", ())
    texts = _texts(getattr(inner, "body", None)) + _texts(inner.attributes)
    return _BASE + texts + sum(_texts(event.attributes) for event in events)


def _texts(value: Any) -> int:
    if isinstance(value, str | bytes):
        return sys.getsizeof(value)
    if isinstance(value, Mapping):
        return sum(_texts(each) for each in value.values())
    if isinstance(value, Sequence):
        return sum(_texts(each) for each in value)
    return 0


def kind_of_span(span: Any) -> str:
    """Whether a span carries an error."""
    failed = any(event.name == "exception" for event in span.events)
    return "errors" if failed or not span.status.is_ok else "others"


def kind_of_log(record: Any) -> str:
    """Whether a log record is an event that people read long afterwards, or an error."""
    inner = record.log_record
    if inner.event_name in LASTING:
        return "events"
    severity = getattr(inner.severity_number, "value", None) or 0
    return "errors" if severity >= _ERROR else "others"


def backlog_of(signal: str) -> Backlog:
    """What is kept of spans or log records: 8 MiB of each."""
    if signal == "traces":
        return Backlog({"errors": 4 * MIB, "others": 4 * MIB}, kind_of_span)
    return Backlog({"events": 3 * MIB, "errors": 2 * MIB, "others": 3 * MIB}, kind_of_log)
