"""Errors as the correlator knows them, and what it answers.

Every answer says its `source`: "site" where the site was asked and answered, "local" where it comes
from what this process tracked alone; `why` tells what kept the site out of it.
"""

from __future__ import annotations

import re
import sys
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from breakers.runtime.announcements import message_of

Source = Literal["local", "site"]
LONGEST_TEXT = 500
_MOST_CAUSES = 50
_MARK = "_resilience_error_id"
_VARIABLE_PARTS = re.compile(
    r"0x[0-9a-fA-F]+|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|'[^']*'|\"[^\"]*\"|\d+"
)


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """An error as it was seen.

    `causes` are the types of its chained exceptions, nearest first; `caused_by` the ids of those
    among them (or of the same exception, further in) that were tracked as well. `dependency` names
    what was called when it happened.
    """

    type: str
    message: str
    occurred_at: datetime
    correlation_id: str = ""
    service: str = ""
    operation: str = ""
    causes: tuple[str, ...] = ()
    context: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    trace_id: str = ""
    span_id: str = ""
    dependency: str = ""
    caused_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CorrelatedErrors:
    """Errors that belong together, oldest first.

    `by` says why: trace_id, correlation_id, cause (one was raised because of the other), dependency
    (near in time, and one calls what the other is of) or time. `confidence` is 1 for the first
    three; for the others it is how unlikely they were so near by chance.
    """

    by: str
    key: str
    events: tuple[ErrorEvent, ...]
    confidence: float = 1.0
    known_root: ErrorEvent | None = None

    @property
    def root_cause(self) -> ErrorEvent:
        """What the site says; else an error that was not raised because of another one: of what
        the others call, where there is such a one, then the oldest."""
        if self.known_root is not None:
            return self.known_root
        first = [each for each in self.events if not each.causes and not each.caused_by]
        called = {each.dependency for each in self.events if each.dependency}
        beneath = [each for each in first if each.service in called]
        return (beneath or first or list(self.events))[0]


@dataclass(frozen=True, slots=True)
class CorrelationResult:
    """Groups of related errors, largest first, and those that stand alone."""

    groups: tuple[CorrelatedErrors, ...]
    alone: tuple[ErrorEvent, ...]
    source: Source = "local"
    why: str = ""


@dataclass(frozen=True, slots=True)
class Precedence:
    """That errors of the pattern `pattern_id` come before those of another; see the site's
    relationship map."""

    pattern_id: str
    confidence: float
    lift: float
    lag_seconds: float


@dataclass(frozen=True, slots=True)
class ErrorPattern:
    """Errors of one type whose messages differ in numbers, ids and quoted parts only.

    `count` is that of the window asked for. What follows `operations` only the site knows.
    """

    type: str
    template: str
    count: int
    first_seen: datetime
    last_seen: datetime
    operations: tuple[str, ...]
    id: str = ""
    service: str = ""
    state: str = ""
    preceded_by: tuple[Precedence, ...] = ()
    source: Source = "local"
    why: str = ""


@dataclass(frozen=True, slots=True)
class ImpactReport:
    """What went wrong together with one error, and whom it touched.

    Without the site: what this process tracked. `users`, `tiers` and what follows only the site
    knows; None where it cannot tell either. `error_budget_spent` and `share_of_traffic` are shares
    of 1, `blast_radius` the services that depend on those that failed.
    """

    error: ErrorEvent
    related: tuple[ErrorEvent, ...]
    services: tuple[str, ...]
    operations: tuple[str, ...]
    requests: int
    users: int | None = None
    tiers: tuple[str, ...] = ()
    share_of_traffic: float | None = None
    error_budget_spent: float | None = None
    blast_radius: tuple[str, ...] = ()
    served_degraded: int | None = None
    source: Source = "local"
    why: str = ""


def event_of(
    error: BaseException, correlation_id: str, context: Mapping[str, Any], at: datetime
) -> ErrorEvent:
    """The error as plain text: neither its frames nor its objects are kept.

    The exception is marked with the event's id, so that one that is raised because of it finds it.
    """
    chained = _chained(error)
    marks = dict.fromkeys(mark for each in (error, *chained) if (mark := _mark_of(each)))
    trace_id, span_id = _span()
    event = ErrorEvent(
        type=type(error).__name__,
        message=message_of(error)[:LONGEST_TEXT],
        occurred_at=at,
        correlation_id=correlation_id,
        service=str(context.get("service", "")),
        operation=str(context.get("operation", "")),
        causes=tuple(type(each).__name__ for each in chained),
        context={str(name): str(value)[:LONGEST_TEXT] for name, value in context.items()},
        trace_id=str(context.get("trace_id", "")) or trace_id,
        span_id=str(context.get("span_id", "")) or span_id,
        dependency=str(context.get("dependency", "")),
        caused_by=tuple(marks),
    )
    # Past any __setattr__ of the exception's own.
    error.__dict__[_MARK] = event.id
    return event


def template_of(message: str) -> str:
    """The message with numbers, ids and quoted parts replaced by `*`."""
    return _VARIABLE_PARTS.sub("*", message)


def _mark_of(error: BaseException) -> str:
    return str(error.__dict__.get(_MARK, ""))


def _chained(error: BaseException) -> list[BaseException]:
    """The exceptions that led to this one, nearest first: causes, contexts, parts of groups."""
    found: list[BaseException] = []
    seen = {id(error)}
    waiting = deque([error])
    while waiting and len(found) < _MOST_CAUSES:
        each = waiting.popleft()
        parts = getattr(each, "exceptions", ()) if _is_group(each) else ()
        for cause in (each.__cause__ or each.__context__, *parts):
            if cause is not None and id(cause) not in seen:
                seen.add(id(cause))
                found.append(cause)
                waiting.append(cause)
    return found[:_MOST_CAUSES]


def _is_group(error: BaseException) -> bool:
    return isinstance(error, BaseExceptionGroup)


def _span() -> tuple[str, str]:
    """The ids of the span that is open here; empty in a program that does not trace."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return "", ""
    held = trace.get_current_span().get_span_context()
    if not held.is_valid:
        return "", ""
    return f"{held.trace_id:032x}", f"{held.span_id:016x}"
