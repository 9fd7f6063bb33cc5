"""Errors of one process that belong together: by correlation id, by cause, by time.

    correlator = ErrorCorrelator()
    await correlator.track_error_chain(correlation_id, error, {"operation": "list_tasks"})
    patterns = await correlator.analyze_error_patterns(timedelta(minutes=15))

It knows what this process tracked, in a bounded memory, and needs no site.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from breakers.runtime import checks
from breakers.runtime.announcements import message_of

CAPACITY = 10_000
WINDOW = timedelta(minutes=15)
_LONGEST = 500
_VARIABLE_PARTS = re.compile(
    r"0x[0-9a-fA-F]+|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|'[^']*'|\"[^\"]*\"|\d+"
)


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """An error as it was seen; `causes` are the types of its chained exceptions, nearest first."""

    type: str
    message: str
    occurred_at: datetime
    correlation_id: str = ""
    service: str = ""
    operation: str = ""
    causes: tuple[str, ...] = ()
    context: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True, slots=True)
class CorrelatedErrors:
    """Errors that belong together, oldest first; `by` says why: correlation_id or time."""

    by: str
    key: str
    events: tuple[ErrorEvent, ...]

    @property
    def root_cause(self) -> ErrorEvent:
        """The oldest error that was not raised because of another one."""
        return next((event for event in self.events if not event.causes), self.events[0])


@dataclass(frozen=True, slots=True)
class CorrelationResult:
    """Groups of related errors, largest first, and those that stand alone."""

    groups: tuple[CorrelatedErrors, ...]
    alone: tuple[ErrorEvent, ...]


@dataclass(frozen=True, slots=True)
class ErrorPattern:
    """Errors of one type whose messages differ in numbers, ids and quoted parts only."""

    type: str
    template: str
    count: int
    first_seen: datetime
    last_seen: datetime
    operations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImpactReport:
    """What went wrong together with one error."""

    error: ErrorEvent
    related: tuple[ErrorEvent, ...]
    services: tuple[str, ...]
    operations: tuple[str, ...]
    requests: int


def event_of(
    error: BaseException, correlation_id: str, context: Mapping[str, Any], at: datetime
) -> ErrorEvent:
    """The error as plain text: neither its frames nor its objects are kept."""
    causes: list[str] = []
    seen = {id(error)}
    cause = error.__cause__ or error.__context__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        causes.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    return ErrorEvent(
        type=type(error).__name__,
        message=message_of(error)[:_LONGEST],
        occurred_at=at,
        correlation_id=correlation_id,
        service=str(context.get("service", "")),
        operation=str(context.get("operation", "")),
        causes=tuple(causes),
        context={str(name): str(value)[:_LONGEST] for name, value in context.items()},
    )


def template_of(message: str) -> str:
    """The message with numbers, ids and quoted parts replaced by `*`."""
    return _VARIABLE_PARTS.sub("*", message)


class ErrorCorrelator:
    """Remembers the last `capacity` errors and says which of them belong together."""

    def __init__(
        self,
        *,
        capacity: int = CAPACITY,
        window: timedelta = WINDOW,
        now: Callable[[], float] = time.time,
    ) -> None:
        checks.count("capacity", capacity)
        checks.seconds("window", window.total_seconds())
        self._events: deque[ErrorEvent] = deque(maxlen=capacity)
        self._window = window
        self._now = now
        self._lock = threading.Lock()

    async def track_error_chain(
        self, correlation_id: str, error: BaseException, context: Mapping[str, Any]
    ) -> None:
        """Remember that `error` happened on the way of `correlation_id`."""
        event = event_of(error, correlation_id, context, self._time())
        with self._lock:
            self._events.append(event)

    async def correlate_errors(self, error_events: Sequence[ErrorEvent]) -> CorrelationResult:
        """Which of these errors belong together.

        Those of one correlation id do; of the rest, those within a second of each other.
        """
        by_id: OrderedDict[str, list[ErrorEvent]] = OrderedDict()
        rest: list[ErrorEvent] = []
        for event in sorted(error_events, key=lambda each: each.occurred_at):
            if event.correlation_id:
                by_id.setdefault(event.correlation_id, []).append(event)
            else:
                rest.append(event)
        groups = [
            CorrelatedErrors("correlation_id", key, tuple(events))
            for key, events in by_id.items()
            if len(events) > 1
        ]
        alone = [events[0] for events in by_id.values() if len(events) == 1]
        for events in _within(rest, timedelta(seconds=1)):
            if len(events) > 1:
                key = events[0].occurred_at.isoformat()
                groups.append(CorrelatedErrors("time", key, tuple(events)))
            else:
                alone.extend(events)
        groups.sort(key=lambda group: -len(group.events))
        return CorrelationResult(tuple(groups), tuple(alone))

    async def analyze_error_patterns(self, time_window: timedelta) -> list[ErrorPattern]:
        """The patterns of the errors of the last `time_window`, most frequent first."""
        since = self._time() - time_window
        found: dict[tuple[str, str], list[ErrorEvent]] = {}
        for event in self._remembered():
            if event.occurred_at >= since:
                found.setdefault((event.type, template_of(event.message)), []).append(event)
        patterns = [
            ErrorPattern(
                type=kind,
                template=template,
                count=len(events),
                first_seen=events[0].occurred_at,
                last_seen=events[-1].occurred_at,
                operations=_ranked(event.operation for event in events),
            )
            for (kind, template), events in found.items()
        ]
        return sorted(patterns, key=lambda pattern: (-pattern.count, pattern.type))

    async def generate_error_impact_report(self, error_id: str) -> ImpactReport:
        """What went wrong with the error of this id; raises KeyError when it is not remembered."""
        events = self._remembered()
        error = next((event for event in events if event.id == error_id), None)
        if error is None:
            raise KeyError(f"no error with the id {error_id!r} is remembered")
        related = tuple(
            event
            for event in events
            if event is not error
            and (
                (error.correlation_id and event.correlation_id == error.correlation_id)
                or _alike(event, error, self._window)
            )
        )
        both = (error, *related)
        return ImpactReport(
            error=error,
            related=related,
            services=_ranked(event.service for event in both),
            operations=_ranked(event.operation for event in both),
            requests=len({event.correlation_id or event.id for event in both}),
        )

    def events(self) -> list[ErrorEvent]:
        """What is remembered, oldest first."""
        return self._remembered()

    def _remembered(self) -> list[ErrorEvent]:
        with self._lock:
            return list(self._events)

    def _time(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)


def _alike(one: ErrorEvent, other: ErrorEvent, window: timedelta) -> bool:
    return (
        one.type == other.type
        and template_of(one.message) == template_of(other.message)
        and abs(one.occurred_at - other.occurred_at) <= window
    )


def _within(events: Iterable[ErrorEvent], gap: timedelta) -> list[list[ErrorEvent]]:
    """Runs of events, each within `gap` of the one before."""
    runs: list[list[ErrorEvent]] = []
    for event in events:
        if runs and event.occurred_at - runs[-1][-1].occurred_at <= gap:
            runs[-1].append(event)
        else:
            runs.append([event])
    return runs


def _ranked(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name, _ in Counter(name for name in names if name).most_common())
