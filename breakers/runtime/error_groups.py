"""Which errors belong together: by ids, by cause, and by time where a dependency joins them."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta

from breakers.runtime.error_events import CorrelatedErrors, ErrorEvent

# So near that without anything else in common they may have one cause; no surer than even odds.
NEAR = timedelta(seconds=1)
TIME_ALONE = 0.5
# Less than even odds is no reason to show errors as one failure.
LEAST_CONFIDENCE = 0.5


def grouped(
    events: Iterable[ErrorEvent], window: timedelta
) -> tuple[list[CorrelatedErrors], list[ErrorEvent]]:
    """The groups among the events, largest first, and the events of none."""
    ordered = sorted(events, key=lambda event: event.occurred_at)
    groups, rest = _by_ids(ordered, window)
    loose = [event for event in rest if not event.trace_id and not event.correlation_id]
    alone = [event for event in rest if event.trace_id or event.correlation_id]
    length = _length(ordered, window)
    by_dependency, loose = _by_dependency(loose, window, length)
    by_time, loose = _by_time(loose, length)
    groups += by_dependency + by_time
    groups.sort(key=lambda group: -len(group.events))
    return groups, sorted([*alone, *loose], key=lambda event: event.occurred_at)


def by_chance(rate: float, gap: float) -> float:
    """The probability of at least one event within `gap` seconds of any moment, at `rate` a second."""
    return 1.0 - math.exp(-rate * gap)


def _length(ordered: Sequence[ErrorEvent], window: timedelta) -> float:
    """The seconds over which the events count as seen: a few say nothing of a shorter time."""
    span = ordered[-1].occurred_at - ordered[0].occurred_at if ordered else timedelta()
    return max(span, window).total_seconds()


class _Sets:
    """Disjoint sets of positions."""

    def __init__(self, size: int) -> None:
        self._above = list(range(size))

    def top(self, place: int) -> int:
        while self._above[place] != place:
            self._above[place] = self._above[self._above[place]]
            place = self._above[place]
        return place

    def join(self, one: int, other: int) -> None:
        self._above[self.top(one)] = self.top(other)

    def members(self) -> list[list[int]]:
        found: dict[int, list[int]] = {}
        for place in range(len(self._above)):
            found.setdefault(self.top(place), []).append(place)
        return list(found.values())


def _by_ids(
    ordered: Sequence[ErrorEvent], window: timedelta
) -> tuple[list[CorrelatedErrors], list[ErrorEvent]]:
    sets = _Sets(len(ordered))
    places = {event.id: place for place, event in enumerate(ordered)}
    last: dict[tuple[str, str], int] = {}
    for place, event in enumerate(ordered):
        for cause in event.caused_by:
            if cause in places:
                sets.join(place, places[cause])
        for key in (("trace_id", event.trace_id), ("correlation_id", event.correlation_id)):
            if not key[1]:
                continue
            before = last.get(key)
            # A correlation id may live for days, as that of a session; its silences part failures.
            if before is not None and (
                key[0] == "trace_id" or event.occurred_at - ordered[before].occurred_at <= window
            ):
                sets.join(place, before)
            last[key] = place
    groups: list[CorrelatedErrors] = []
    rest: list[ErrorEvent] = []
    for members in sets.members():
        events = tuple(ordered[place] for place in members)
        if len(events) > 1:
            groups.append(CorrelatedErrors(*_shared(events), events))
        else:
            rest.extend(events)
    return groups, rest


def _shared(events: Sequence[ErrorEvent]) -> tuple[str, str]:
    """What joins the events, and the value of it that most have."""
    for by in ("trace_id", "correlation_id"):
        counts = Counter(value for event in events if (value := getattr(event, by)))
        if counts and counts.most_common(1)[0][1] > 1:
            return by, counts.most_common(1)[0][0]
    return "cause", events[0].id


def _by_dependency(
    loose: Sequence[ErrorEvent], window: timedelta, length: float
) -> tuple[list[CorrelatedErrors], list[ErrorEvent]]:
    """Join those that call something, and those of it, where they are nearer than by chance."""
    about: dict[str, list[int]] = defaultdict(list)
    for place, event in enumerate(loose):
        for name in {event.dependency, event.service} - {""}:
            about[name].append(place)
    sets = _Sets(len(loose))
    sureness: dict[int, float] = {}
    for name, places in about.items():
        rate = len(places) / length
        for one, other in itertools.pairwise(places):
            first, second = loose[one], loose[other]
            if name not in (first.dependency, second.dependency):
                continue
            gap = second.occurred_at - first.occurred_at
            sure = 1.0 - by_chance(rate, gap.total_seconds())
            if gap <= window and sure >= LEAST_CONFIDENCE:
                sets.join(one, other)
                for place in (one, other):
                    sureness[place] = min(sure, sureness.get(place, 1.0))
    return _taken(loose, sets.members(), "dependency", sureness, _most_called)


def _by_time(
    loose: Sequence[ErrorEvent], length: float
) -> tuple[list[CorrelatedErrors], list[ErrorEvent]]:
    sets = _Sets(len(loose))
    sureness: dict[int, float] = {}
    rate = len(loose) / length
    for place in range(1, len(loose)):
        gap = loose[place].occurred_at - loose[place - 1].occurred_at
        if gap <= NEAR:
            sets.join(place, place - 1)
            sure = min(TIME_ALONE, 1.0 - by_chance(rate, gap.total_seconds()))
            for each in (place, place - 1):
                sureness[each] = min(sure, sureness.get(each, 1.0))
    return _taken(loose, sets.members(), "time", sureness, _first_moment)


def _taken(
    loose: Sequence[ErrorEvent],
    sets: Sequence[Sequence[int]],
    by: str,
    sureness: Mapping[int, float],
    key: Callable[[Sequence[ErrorEvent]], str],
) -> tuple[list[CorrelatedErrors], list[ErrorEvent]]:
    groups: list[CorrelatedErrors] = []
    rest: list[ErrorEvent] = []
    for places in sets:
        events = tuple(loose[place] for place in places)
        if len(events) > 1:
            sure = min(sureness[place] for place in places)
            groups.append(CorrelatedErrors(by, key(events), events, round(sure, 3)))
        else:
            rest.extend(events)
    return groups, rest


def _most_called(events: Sequence[ErrorEvent]) -> str:
    return Counter(e.dependency for e in events if e.dependency).most_common(1)[0][0]


def _first_moment(events: Sequence[ErrorEvent]) -> str:
    return events[0].occurred_at.isoformat()
