"""The live protocol, without I/O: what a page asks for, and which frame it gets next.

A page opens `/ws/live/?topics=errors,patterns&since=CURSOR` and receives JSON frames:

    {"type": "hello", "cursor": N}                          at once; the cursor it stands at
    {"type": "hints", "cursor": N, "items": [{"id", "topic", "key", "state"}, …]}
    {"type": "tick", "cursor": N, "at": "…Z"}               every five seconds, while
                                                            the journal can be read
    {"type": "reset", "cursor": N, "reason": "…"}           reload everything, then go on from N

While Redis does not answer, `hello` and `tick` say `"late": true`: hints come within two seconds
instead of at once. A tick is sent as soon as that begins, and as soon as it is over.
A page that reconnects with the last cursor it saw, in whichever frame, misses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import parse_qs

import orjson

FRAME_GAP_SECONDS: Final = 0.25
TICK_SECONDS: Final = 5.0
MAX_FRAME_BYTES: Final = 32 * 1024
MAX_PENDING_KEYS: Final = 500
_ENVELOPE_BYTES: Final = 128
# A journal id: fewer digits than would leave the database's 64 bits.
_CURSOR: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


class ProtocolError(Exception):
    """The page asked for something that does not exist."""


class Hint(NamedTuple):
    """Something changed: its journal id, topic, key, and new state if it has one."""

    id: int
    topic: str
    key: str
    state: str


@dataclass(frozen=True)
class Subscription:
    """What a page wants to hear; `since` is None for one that starts at the present."""

    topics: frozenset[str]
    since: int | None


def parse_subscription(query: str, known: Collection[str]) -> Subscription:
    """The subscription in a query string. Raises `ProtocolError` with one sentence."""
    try:
        fields = parse_qs(query, keep_blank_values=True, max_num_fields=10)
    except ValueError:
        raise ProtocolError("Too many parameters.") from None
    topics = frozenset(filter(None, ",".join(fields.get("topics", [])).split(",")))
    if not topics:
        raise ProtocolError("Name at least one topic.")
    if not topics <= set(known):
        raise ProtocolError(f"Known topics are {', '.join(sorted(known))}.")
    since = fields.get("since", [""])[-1]
    if since and not (_CURSOR.fullmatch(since)):
        raise ProtocolError("since must be a cursor.")
    return Subscription(topics, int(since) if since else None)


def hello(cursor: int, *, late: bool = False) -> str:
    return _frame({"type": "hello", "cursor": cursor, **_late(late)})


def _late(late: bool) -> dict[str, bool]:
    return {"late": True} if late else {}


def _frame(document: dict[str, object]) -> str:
    return orjson.dumps(document).decode()


class Outbox:
    """What one page has yet to be told: the latest hint of each key, and when to send.

    Bounded whatever happens: past `MAX_PENDING_KEYS` all hints give way to one reset. Frames keep
    a gap, but the first after a silence leaves at once.
    """

    def __init__(self, now: float) -> None:
        self._pending: dict[tuple[str, str], Hint] = {}
        self._seen = 0
        self._reset: str | None = None
        self._started = False
        self._frame_from = now
        self._tick_from = now + TICK_SECONDS

    @property
    def cursor(self) -> int:
        """Everything up to here has been sent: the cursor to resume from."""
        first = next(iter(self._pending.values()), None)
        return self._seen if first is None else first.id - 1

    def start(self, upto: int, replayed: Iterable[Hint]) -> None:
        """Begin with what a replay of the journal up to `upto` found.

        Hints offered since the page was registered are kept back until now, so that none falls
        between the replay and the present, and those that the replay holds too are dropped.
        """
        held, self._pending = self._pending, {}
        for hint in replayed:
            self._put(hint)
        for hint in held.values():
            if hint.id > upto:
                self._put(hint)
        self._seen = max(self._seen, upto)
        self._started = True

    def offer(self, hint: Hint) -> None:
        """Take one hint; ids must rise."""
        if not self._started or hint.id > self._seen:
            self._put(hint)

    def advance(self, cursor: int) -> None:
        """The journal has been offered up to `cursor`."""
        self._seen = max(self._seen, cursor)

    def reset(self, reason: str) -> None:
        """Tell the page to reload everything instead of what is pending."""
        self._pending.clear()
        self._reset = reason

    def tick_soon(self) -> None:
        """Let the next frame be a tick."""
        self._tick_from = self._frame_from

    def due_in(self, now: float) -> float:
        """Seconds until `take` has a frame, unless something is offered before."""
        if self._pending or self._reset is not None:
            return max(0.0, self._frame_from - now)
        return max(0.0, self._tick_from - now, self._frame_from - now)

    def take(
        self, now: float, clock: datetime, *, ticking: bool = True, late: bool = False
    ) -> str | None:
        """The frame to send at monotonic time `now`, None when none is due.

        A tick says that nothing else is new; pass `ticking=False` while nobody can know that, and
        `late=True` while it is known late.
        """
        if now < self._frame_from:
            return None
        frame = self._next(now, clock, ticking, late)
        if frame is not None:
            self._frame_from = now + FRAME_GAP_SECONDS
        return frame

    def _next(self, now: float, clock: datetime, ticking: bool, late: bool) -> str | None:
        if ticking and self._reset is None and now >= self._tick_from:
            # Before any hints: under steady load there would never be room for a tick.
            self._tick_from = now + TICK_SECONDS
            at = clock.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            return _frame({"type": "tick", "cursor": self.cursor, "at": at, **_late(late)})
        if self._reset is None and self._pending:
            items = self._take_items()
            if items:
                return f'{{"type":"hints","cursor":{self.cursor},"items":[{",".join(items)}]}}'
            self.reset("oversized")
        if self._reset is not None:
            reason, self._reset = self._reset, None
            return _frame({"type": "reset", "cursor": self._seen, "reason": reason})
        return None

    def _take_items(self) -> list[str]:
        """The oldest pending hints that fit into one frame, removed and encoded."""
        items: list[str] = []
        room = MAX_FRAME_BYTES - _ENVELOPE_BYTES
        for key, hint in list(self._pending.items()):
            item = orjson.dumps(hint._asdict())
            room -= len(item) + 1
            if room < 0:
                break
            items.append(item.decode())
            del self._pending[key]
        return items

    def _put(self, hint: Hint) -> None:
        self._seen = max(self._seen, hint.id)
        if self._reset is not None:
            # The reload will show it.
            return
        key = (hint.topic, hint.key)
        # Taken out first: the order of the dict is the order of ids.
        self._pending.pop(key, None)
        self._pending[key] = hint
        if len(self._pending) > MAX_PENDING_KEYS:
            self.reset("overflow")
