"""Errors that belong together, in this process and, once it is connected, in all services.

    correlator = ErrorCorrelator()
    await correlator.track_error_chain(correlation_id, error, {"operation": "list_tasks"})
    patterns = await correlator.analyze_error_patterns(timedelta(minutes=15))

It remembers what this process tracked, in a bounded memory, and needs no site. Once connected with
a key that may read, it asks the site as well; each answer says its source, and why it is local.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from breakers.runtime import checks, site_answers, site_reader
from breakers.runtime.error_events import (
    CorrelatedErrors,
    CorrelationResult,
    ErrorEvent,
    ErrorPattern,
    ImpactReport,
    Precedence,
    event_of,
    template_of,
)
from breakers.runtime.error_groups import grouped
from breakers.runtime.site_reader import SiteReader, SiteSilent
from breakers.runtime.variables import ClientVariables

__all__ = [
    "CorrelatedErrors",
    "CorrelationResult",
    "ErrorCorrelator",
    "ErrorEvent",
    "ErrorPattern",
    "ImpactReport",
    "Precedence",
    "event_of",
    "template_of",
]

logger = logging.getLogger(__name__)

CAPACITY = 10_000
OFF = "ERROR_CORRELATION_ENABLED is false"
ALONE = "this process is not connected to a site"
UNKNOWN = "the site does not know these errors (yet)"


class ErrorCorrelator:
    """Remembers the last `capacity` errors and says which of them belong together.

    `window` is how far apart errors may be that only time joins, and those of one correlation id
    from the next (default: ERROR_CORRELATION_WINDOW_MINUTES). `site` gives what the site is asked
    through; None answers by this process alone.
    """

    def __init__(
        self,
        *,
        capacity: int = CAPACITY,
        window: timedelta | None = None,
        variables: ClientVariables | None = None,
        site: Callable[[], SiteReader | None] = site_reader.current,
        now: Callable[[], float] = time.time,
    ) -> None:
        checks.count("capacity", capacity)
        if window is not None:
            checks.seconds("window", window.total_seconds())
        self._events: deque[ErrorEvent] = deque(maxlen=capacity)
        self._variables = variables or ClientVariables()
        self._given_window = window
        self._site = site
        self._now = now
        self._lock = threading.Lock()
        self._told = ""

    async def track_error_chain(
        self, correlation_id: str, error: BaseException, context: Mapping[str, Any]
    ) -> None:
        """Remember that `error` happened on the way of `correlation_id`.

        Of the context, `service`, `operation`, `dependency` (what was called) and `trace_id` mean
        what they say; the trace of an open span is taken by itself.
        """
        if not self._variables.error_correlation_enabled:
            return
        event = event_of(error, correlation_id, context, self._time())
        reader = self._site()
        if not event.service and reader is not None:
            event = replace(event, service=reader.service)
        with self._lock:
            self._events.append(event)

    async def correlate_errors(self, error_events: Sequence[ErrorEvent]) -> CorrelationResult:
        """Which of these errors belong together.

        Those of one trace, of one correlation id, or raised because of each other do; of the rest,
        those near in time that concern one dependency, or came within a second of each other, each
        with how sure that is. The site adds the errors of other services, and the root cause.
        """
        if not self._variables.error_correlation_enabled:
            return CorrelationResult((), tuple(error_events), why=OFF)
        groups, alone = grouped(error_events, self._window)
        local = CorrelationResult(tuple(groups), tuple(alone))
        try:
            return await self._asked_about(local, self._reader())
        except SiteSilent as silence:
            return replace(local, why=self._told_once(silence))

    async def analyze_error_patterns(self, time_window: timedelta) -> list[ErrorPattern]:
        """The patterns of the errors of the last `time_window`, most frequent first: of all
        services, with what comes before them, where the site answers; else of this process."""
        local = self._patterns(self._time() - time_window)
        if not self._variables.error_correlation_enabled:
            return [replace(each, why=OFF) for each in local]
        by_type: dict[str, tuple[str, ...]] = {each.type: each.operations for each in local}
        try:
            reader = self._reader()
            return await site_answers.patterns(
                reader, self._time() - time_window, lambda kind: by_type.get(kind, ())
            )
        except SiteSilent as silence:
            why = self._told_once(silence)
            return [replace(each, why=why) for each in local]

    async def generate_error_impact_report(self, error_id: str) -> ImpactReport:
        """What went wrong with the error of this id, here or at the site, and whom it touched.

        Raises KeyError when neither this process remembers it nor the site knows it.
        """
        local = self._impact(error_id)
        try:
            reader = self._reader()
            found = await site_answers.stored(reader, local.error) if local else None
            if local is None or found is not None:
                return await site_answers.impact(reader, found.id if found else error_id, local)
            return replace(local, why=UNKNOWN)
        except SiteSilent as silence:
            why = self._told_once(silence)
        if local is None:
            raise KeyError(f"no error with the id {error_id!r} is remembered; {why}")
        return replace(local, why=why)

    def events(self) -> list[ErrorEvent]:
        """What is remembered, oldest first."""
        with self._lock:
            return list(self._events)

    # --- By the site

    def _reader(self) -> SiteReader:
        if not self._variables.error_correlation_enabled:
            raise SiteSilent(OFF)
        reader = self._site()
        if reader is None:
            raise SiteSilent(ALONE)
        return reader

    async def _asked_about(self, local: CorrelationResult, reader: SiteReader) -> CorrelationResult:
        alone = [
            CorrelatedErrors("trace_id" if each.trace_id else "correlation_id", key, (each,))
            for each in local.alone
            if (key := each.trace_id or each.correlation_id)
        ]
        asked = [each for each in local.groups if each.by in ("trace_id", "correlation_id")]
        asked += alone
        found = await site_answers.chains(reader, list(dict.fromkeys(e.key for e in asked)))
        if not found:
            return replace(local, why=UNKNOWN)
        wider = [
            site_answers.widened(each, found[each.key]) if each.key in found else each
            for each in (*local.groups, *alone)
        ]
        groups = sorted(
            (each for each in wider if len(each.events) > 1), key=lambda each: -len(each.events)
        )
        in_groups = {event.id for group in groups for event in group.events}
        rest = tuple(event for event in local.alone if event.id not in in_groups)
        return CorrelationResult(tuple(groups), rest, source="site")

    def _told_once(self, silence: SiteSilent) -> str:
        """Say in the log what keeps the site out of the answers, once until it is something else."""
        why = str(silence)
        if why not in (self._told, OFF, ALONE):
            self._told = why
            logger.warning("Errors are correlated by this process alone: %s", why)
        return why

    # --- By this process

    @property
    def _window(self) -> timedelta:
        if self._given_window is not None:
            return self._given_window
        return timedelta(minutes=self._variables.error_correlation_window_minutes)

    def _patterns(self, since: datetime) -> list[ErrorPattern]:
        found: dict[tuple[str, str], list[ErrorEvent]] = {}
        for event in self.events():
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

    def _impact(self, error_id: str) -> ImpactReport | None:
        events = self.events()
        error = next((event for event in events if event.id == error_id), None)
        if error is None:
            return None
        groups, _ = grouped(events, self._window)
        near = {e.id for group in groups if error in group.events for e in group.events}
        related = tuple(
            event
            for event in events
            if event is not error and (event.id in near or _alike(event, error, self._window))
        )
        both = (error, *related)
        return ImpactReport(
            error=error,
            related=related,
            services=_ranked(event.service for event in both),
            operations=_ranked(event.operation for event in both),
            requests=len({e.trace_id or e.correlation_id or e.id for e in both}),
        )

    def _time(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)


def _alike(one: ErrorEvent, other: ErrorEvent, window: timedelta) -> bool:
    return (
        one.type == other.type
        and template_of(one.message) == template_of(other.message)
        and abs(one.occurred_at - other.occurred_at) <= window
    )


def _ranked(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name, _ in Counter(name for name in names if name).most_common())
