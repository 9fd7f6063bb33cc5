"""What services did otherwise than normally when they were called: failures, and steps not taken.

A step not taken is found without a model of the program: in the normal window some events always
happen equally often (each "seat asked" has its "distance worked out"); where one of such a set
stays behind the others, something broke off between them. That does not depend on the mix of
traffic. A caller in which something broke off while something had below it is a symptom.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from analytics.domain.causes.incident import Evidence, Finding
from analytics.domain.causes.segments import Segment
from analytics.domain.causes.statistics import likelihood

ERRORS = "errors"
MISSING = "missing_steps"
# Events that a call can be told by; what is rarer than these says little.
_EVENTS = 60
# Calls needed before "always" means anything, and how often always is: windows cut off some.
_SUPPORT = 4
_ALWAYS = 0.95
# What a sign counts that has a harmless reading: the failure is known from the normal window, or
# something else was done instead of the missing step.
_HARMLESS = 0.5
# 1 in 20 by chance (chi square, one degree of freedom): what is weak may still explain its callers.
_UNLIKELY = 3.84
_ENTERED = "call"
_WORDS = 160

_Place = tuple[str, str]
_Sign = tuple[str, str]


def broken_off(window: Sequence[Segment], normal: Sequence[Segment]) -> list[Finding]:
    """Findings per service; strength is the G statistic of its most telling sign."""
    by_place, by_place_then = _by_place(window), _by_place(normal)
    signs: dict[int, set[_Sign]] = defaultdict(set)
    then: dict[_Place, Counter[_Sign]] = {}
    for place, segments in by_place.items():
        before = by_place_then.get(place, [])
        habits = _habits(before)
        learnt = _Invariants([segment for segment in before if not segment.errors])
        now_signs = [_signs(segment, learnt, habits) for segment in segments]
        then_signs = [_signs(segment, learnt, habits) for segment in before]
        then[place] = Counter(sign for each in then_signs for sign in each)
        now = Counter(sign for each in now_signs for sign in each)
        telling = {
            sign
            for sign, count in now.items()
            if _worse(count, len(segments), then[place][sign], len(before)) >= _UNLIKELY
        }
        for segment, found in zip(segments, now_signs, strict=True):
            signs[id(segment)] = found & telling
    explained = _above_broken(window, signs) | _after_broken(window, signs)
    familiar = {event for segment in normal for event in segment.errors}
    findings: dict[str, list[Finding]] = defaultdict(list)
    for place, segments in by_place.items():
        own = [segment for segment in segments if id(segment) not in explained]
        blamed = Counter(sign for segment in own for sign in signs[id(segment)])
        of_then = len(by_place_then.get(place, []))
        for sign, count in blamed.items():
            strength = _worse(count, len(segments), then[place][sign], of_then)
            if sign[0] == ERRORS and sign[1] in familiar:
                strength *= _HARMLESS
            elif sign[0] == MISSING:
                strength *= _instead(own, signs, sign, by_place_then.get(place, []))
            if strength > 0:
                evidence = _evidence(place, sign, count, len(segments), then[place][sign], of_then)
                shown = next(each.trace_id for each in own if sign in signs[id(each)])
                evidence = evidence._replace(trace_id=shown)
                findings[place[0]].append(Finding(place[0], strength, evidence))
    return [
        finding
        for found in findings.values()
        for finding in sorted(found, key=lambda each: -each.strength)[:3]
    ]


def _instead(
    segments: Sequence[Segment],
    signs: dict[int, set[_Sign]],
    sign: _Sign,
    normal: Sequence[Segment],
) -> float:
    """What a missing step counts: less where most that lack it did something new instead."""
    known = {event for segment in normal for event in segment.events}
    lacking = [segment for segment in segments if sign in signs[id(segment)]]
    otherwise = sum(1 for segment in lacking if segment.events.keys() - known)
    return _HARMLESS if 2 * otherwise > len(lacking) else 1.0


def _by_place(segments: Iterable[Segment]) -> dict[_Place, list[Segment]]:
    places: dict[_Place, list[Segment]] = defaultdict(list)
    for segment in segments:
        places[segment.service, segment.operation].append(segment)
    return places


def _habits(normal: Sequence[Segment]) -> set[str]:
    """Failures that come with nearly every call: they tell nothing of one that went wrong."""
    counts = Counter(event for segment in normal for event in segment.errors)
    return {event for event, count in counts.items() if count >= _ALWAYS * len(normal)}


def _is_well(segment: Segment, habits: set[str]) -> bool:
    return segment.errors.keys() <= habits


def _signs(segment: Segment, learnt: _Invariants, habits: set[str]) -> set[_Sign]:
    """Its failures; what is missing only where there are none, for these explain it."""
    if _is_well(segment, habits):
        return learnt.broken(segment)
    return {(ERRORS, event) for event in segment.errors.keys() - habits}


def _worse(now: int, of: int, then: int, of_then: int) -> float:
    """The G statistic where the share grew; what was never called before is held to one call."""
    of_then = max(1, of_then)
    return likelihood(now, of, then, of_then) if now / of > then / of_then else 0.0


class _Invariants:
    """Which events of an operation always happened equally often."""

    def __init__(self, normal: Sequence[Segment]) -> None:
        common = Counter(event for segment in normal for event in segment.events)
        self._names = [_ENTERED, *(event for event, _ in common.most_common(_EVENTS))]
        self._partners: dict[int, list[int]] = {}
        if len(normal) < _SUPPORT:
            return
        counts = [self._counts(segment) for segment in normal]
        for event in range(1, len(self._names)):
            own = [row[event] for row in counts]
            self._partners[event] = [
                partner
                for partner in range(len(self._names))
                if partner != event and _go_together(own, [row[partner] for row in counts])
            ]

    def _counts(self, segment: Segment) -> list[int]:
        return [1, *(segment.events[name] for name in self._names[1:])]

    def broken(self, segment: Segment) -> set[_Sign]:
        counts = self._counts(segment)
        found = set()
        for event, partners in self._partners.items():
            ahead = sum(counts[partner] > counts[event] for partner in partners)
            if partners and 2 * ahead > len(partners):
                found.add((MISSING, self._names[event]))
        return found


def _go_together(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two events happen equally often wherever either happens."""
    either = [a == b for a, b in zip(one, other, strict=True) if a or b]
    return len(either) >= _SUPPORT and sum(either) >= _ALWAYS * len(either)


def _above_broken(segments: Iterable[Segment], signs: dict[int, set[_Sign]]) -> set[int]:
    """The segments that called one with signs, however far below."""
    above: set[int] = set()
    for segment in segments:
        if not signs[id(segment)]:
            continue
        caller = segment.above
        while caller is not None and id(caller) not in above:
            above.add(id(caller))
            caller = caller.above
    return above


def _after_broken(segments: Iterable[Segment], signs: dict[int, set[_Sign]]) -> set[int]:
    """The segments with failures whose caller had called another one before that failed as well."""
    first: dict[int, Segment] = {}
    failed = [
        segment
        for segment in segments
        if segment.above is not None and any(kind == ERRORS for kind, _ in signs[id(segment)])
    ]
    for segment in failed:
        known = first.setdefault(id(segment.above), segment)
        if segment.began < known.began:
            first[id(segment.above)] = segment
    return {
        id(segment) for segment in failed if segment.service != first[id(segment.above)].service
    }


def _evidence(place: _Place, sign: _Sign, now: int, of: int, then: int, of_then: int) -> Evidence:
    kind, event = sign
    if len(event) > _WORDS:
        event = f"{event[:_WORDS]}…"
    share, share_then = now / of, then / of_then if of_then else None
    was = f"normally {then} of {of_then}" if of_then else "no such call in the normal window"
    if kind == ERRORS:
        text = f'{now} of {of} calls of "{place[1]}" failed: "{event}"; {was}'
    else:
        text = f'{now} of {of} calls of "{place[1]}" lack the step "{event}"; {was}'
    return Evidence(
        kind, text, round(share, 4), None if share_then is None else round(share_then, 4)
    )
