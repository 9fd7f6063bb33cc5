"""Time lost between a caller and the called, and time that a service spent by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from analytics.domain.causes.incident import Evidence, Finding
from analytics.domain.causes.segments import Segment
from analytics.domain.causes.statistics import middle, spread

GAP = "call_gap"
SELF = "self_time"
_MS = 1e6
# Fewer calls than these have no median worth the name.
_CALLS = 3
# What a median may be off by without a meaning: a millisecond, or a tenth of itself.
_SLACK_MS = 1.0
_SLACK = 0.1

_Place = tuple[str, str]
# Milliseconds, and in which trace.
_Timed = tuple[float, str]


def call_gaps(window: Sequence[Segment], normal: Sequence[Segment]) -> list[Finding]:
    """How much longer callers waited than the called service worked: network, queue, connection.

    Strength is the growth of the median in its normal spread. A service that was not called
    normally is held to what is normal for all.
    """
    now, then = _by(window, _gap), _by(normal, _gap)
    overall = [each for values in then.values() for each in values]
    findings = []
    for place, values in now.items():
        usual = then.get(place, [])
        known = len(usual) >= _CALLS
        found = _grown(values, usual if known else overall)
        if found is not None:
            was = f"normally {found.then:.1f} ms" + ("" if known else " over all services")
            text = (
                f"callers waited {found.now:.1f} ms longer than it worked"
                f" (median of {len(values)} calls), {was}"
            )
            evidence = Evidence(
                GAP, text, round(found.now, 3), round(found.then, 3), trace_id=found.trace_id
            )
            findings.append(Finding(place[0], found.strength, evidence))
    return findings


def self_times(window: Sequence[Segment], normal: Sequence[Segment]) -> list[Finding]:
    """How much longer an operation worked itself, without what it called."""
    now, then = _by(window, _work), _by(normal, _work)
    findings = []
    for place, values in now.items():
        found = _grown(values, then.get(place, []))
        if found is not None:
            text = (
                f'"{place[1]}" itself took {found.now:.1f} ms (median of {len(values)} calls),'
                f" normally {found.then:.1f} ms"
            )
            evidence = Evidence(
                SELF, text, round(found.now, 3), round(found.then, 3), trace_id=found.trace_id
            )
            findings.append(Finding(place[0], found.strength, evidence))
    return findings


class _Grown(NamedTuple):
    """A median now and then, by how many normal spreads it grew, and the longest one's trace."""

    now: float
    then: float
    strength: float
    trace_id: str


def _grown(values: Sequence[_Timed], usual: Sequence[_Timed]) -> _Grown | None:
    if len(values) < _CALLS or len(usual) < _CALLS:
        return None
    normal = [each for each, _ in usual]
    now, then = middle([each for each, _ in values]), middle(normal)
    strength = (now - then) / (_SLACK_MS + _SLACK * then + spread(normal))
    return _Grown(now, then, strength, max(values)[1]) if strength > 0 else None


def _gap(segment: Segment) -> tuple[_Place, float] | None:
    if segment.waited_ns is None:
        return None
    return (segment.service, ""), segment.waited_ns / _MS


def _work(segment: Segment) -> tuple[_Place, float] | None:
    return (segment.service, segment.operation), segment.worked_ns / _MS


def _by(
    segments: Iterable[Segment], figure: Callable[[Segment], tuple[_Place, float] | None]
) -> dict[_Place, list[_Timed]]:
    figures: dict[_Place, list[_Timed]] = defaultdict(list)
    for segment in segments:
        found = figure(segment)
        if found is not None:
            figures[found[0]].append((found[1], segment.trace_id))
    return figures
