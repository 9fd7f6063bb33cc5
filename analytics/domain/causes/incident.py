"""What a ranking of causes reads: an incident window, a normal one, and what is known around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Call(NamedTuple):
    """A span; `parent_id` is "" at the root of its trace."""

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    operation: str
    start_ns: int
    end_ns: int
    failed: bool

    @property
    def duration_ns(self) -> int:
        """0 where the clock went backwards meanwhile."""
        return max(0, self.end_ns - self.start_ns)


class Line(NamedTuple):
    """A log record; `event` is what its kind of message has in common, see `events.event_of`."""

    service: str
    severe: bool
    trace_id: str
    span_id: str
    event: str
    records: int = 1


Points = Sequence[tuple[float, float]]
"""Seconds since the epoch and value, in the order of time, without NaN."""


@dataclass(frozen=True)
class Window:
    """What was observed in a stretch of time; `series` by service and metric, `failures` (stored
    errors) by service and what failed, all of them in `seconds`.
    """

    calls: Sequence[Call] = ()
    lines: Sequence[Line] = ()
    series: Mapping[tuple[str, str], Points] = field(default_factory=dict)
    failures: Mapping[tuple[str, str], int] = field(default_factory=dict)
    seconds: float = 0.0


class Symptom(NamedTuple):
    """Where the incident was noticed; `at` in seconds since the epoch, None where unknown."""

    service: str
    metric: str
    at: float | None


CALLERS_BREAKER = "callers_breaker"


class Change(NamedTuple):
    """A change of state of a service in the incident: what may have caused it, in words.

    `kind` is one of `release`, `config`, `restart`, `health`, `breaker`, and `callers_breaker` of a
    service that tells nothing of itself; `at` in seconds since the epoch.
    """

    service: str
    kind: str
    at: float
    text: str
    link: str = ""


@dataclass(frozen=True)
class Incident:
    """Both windows; `edges` are (caller, callee) that are known beyond the traces."""

    window: Window
    normal: Window
    edges: frozenset[tuple[str, str]] = frozenset()
    symptom: Symptom | None = None
    changes: Sequence[Change] = ()


class Evidence(NamedTuple):
    """One reason to suspect a service, in words, with the figure now and in the normal window.

    `trace_id` names a trace that shows it, where one does.
    """

    kind: str
    text: str
    value: float
    normal: float | None
    link: str = ""
    trace_id: str = ""


class Finding(NamedTuple):
    """How far one kind of evidence speaks against a service; strength ≥ 0 in the kind's unit."""

    service: str
    strength: float
    evidence: Evidence


class Suspect(NamedTuple):
    """A service and why it may be the cause; scores lie in 0..1, the first reason weighs most."""

    service: str
    score: float
    evidence: list[Evidence]
