"""Which pattern of errors precedes which: what begins near the beginning of another, more often than
chance has it.

What counts is when a spell of a pattern begins, not how many errors it has: a pattern that never
ends begins once, and says nothing of what comes with it. The beginnings of two patterns are matched
one to one within a window; how many would match by chance follows from how often each begins. Of
all pairs together only those pass whose share of false ones stays below `FALSE_SHARE` (Benjamini and
Hochberg).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

# Two coincidences are a coincidence.
MIN_SUPPORT = 3
MIN_LIFT = 2.0
FALSE_SHARE = 0.01
# Clocks of two services differ by about so much, in seconds: a shorter lag tells no order.
CLOCK_SKEW = 2.0
MOST_PAIRS = 200_000


@dataclass(frozen=True)
class Relation(Generic[K]):
    """That spells of `before` are followed by spells of `after`.

    `support` counts the spells of `before` that were, `confidence` is their share of all of
    `before_spells`, `expected` the share by chance, `lift` the one over the other, `lag` the median
    time between the beginnings in seconds (below 0 only where clocks differ), `p_value` how likely
    so many are by chance. `by_dependency` tells that the lag alone would not have told the order.
    """

    before: K
    after: K
    support: int
    confidence: float
    expected: float
    lift: float
    lag: float
    before_spells: int
    after_spells: int
    p_value: float
    by_dependency: bool


# Whether one thing calls another, directly: (caller, callee).
Calls = Callable[[K, K], bool]


def relations(
    onsets: Mapping[K, Sequence[float]],
    *,
    length: float,
    within: float,
    calls: Calls[K] = lambda caller, callee: False,
    same_clock: Calls[K] = lambda one, other: False,
) -> list[Relation[K]]:
    """The relations among `onsets`, seconds at which spells began in a range of `length` seconds;
    surest first.

    Beginnings match within `within` seconds. Where the lag is no longer than clocks may differ, and
    `same_clock` does not say that both are of one, what is called comes before what calls it.
    """
    ordered = {key: sorted(times) for key, times in onsets.items() if len(times) >= MIN_SUPPORT}
    found = []
    for one, other in _near_pairs(ordered, length, within):
        relation = _relation(one, other, ordered, length, within, calls, same_clock)
        if relation is not None:
            found.append(relation)
    tested = len(ordered) * (len(ordered) - 1) // 2
    passed = _passed(found, tested)
    return [each for each in passed if each.lift >= MIN_LIFT]


def attributable(together: int, of: int, by_chance: float) -> float:
    """How far `together` coincidences of `of` are no chance, 0..1: the share of them that chance
    does not account for, with the lower end of the 95 % interval (Wilson) of what was observed."""
    if of <= 0 or together <= 0:
        return 0.0
    z2 = 1.96**2
    share = min(1.0, together / of)
    middle = share + z2 / (2 * of)
    spread = 1.96 * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    lowest = (middle - spread) / (1 + z2 / of)
    return max(0.0, min(1.0, 1.0 - by_chance / lowest)) if lowest > 0 else 0.0


def chance_within(begins: int, length: float, within: float) -> float:
    """The probability that at least one of `begins` moments, spread by chance over `length` seconds,
    lies within `within` seconds of a given one, before or after."""
    return 1.0 - math.exp(-begins * min(2 * within, length) / length) if length > 0 else 1.0


def matches(one: Sequence[float], other: Sequence[float], within: float) -> list[float]:
    """The lags from moments of `one` to those of `other`, nearest first matched one to one."""
    near: list[tuple[float, int, int]] = []
    begin = 0
    for place, moment in enumerate(one):
        while begin < len(other) and other[begin] < moment - within:
            begin += 1
        at = begin
        while at < len(other) and other[at] <= moment + within:
            near.append((abs(other[at] - moment), place, at))
            at += 1
    taken_one: set[int] = set()
    taken_other: set[int] = set()
    lags = []
    for _, place, at in sorted(near):
        if place not in taken_one and at not in taken_other:
            taken_one.add(place)
            taken_other.add(at)
            lags.append(other[at] - one[place])
    return lags


def _near_pairs(
    ordered: Mapping[K, Sequence[float]], length: float, within: float
) -> list[tuple[K, K]]:
    """Pairs with so many beginnings near each other that they may pass; the most frequent ones
    where there are very many."""
    names = list(ordered)
    spells = [len(ordered[name]) for name in names]
    moments = sorted((moment, key) for key, name in enumerate(names) for moment in ordered[name])
    together: dict[tuple[int, int], int] = defaultdict(int)
    begin = 0
    for place, (moment, key) in enumerate(moments):
        while moments[begin][0] < moment - within:
            begin += 1
        for other in {each for _, each in moments[begin:place]}:
            if other != key:
                together[min(key, other), max(key, other)] += 1
    chances = [chance_within(count, length, within) for count in spells]

    def may_pass(pair: tuple[int, int], count: int) -> bool:
        one, other = pair
        by_chance = min(spells[one] * chances[other], spells[other] * chances[one])
        return count >= max(MIN_SUPPORT, MIN_LIFT * by_chance)

    often = sorted(
        ((count, pair) for pair, count in together.items() if may_pass(pair, count)),
        key=lambda each: (-each[0], each[1]),
    )
    return [(names[one], names[other]) for _, (one, other) in often[:MOST_PAIRS]]


def _relation(
    one: K,
    other: K,
    ordered: Mapping[K, Sequence[float]],
    length: float,
    within: float,
    calls: Calls[K],
    same_clock: Calls[K],
) -> Relation[K] | None:
    lags = matches(ordered[one], ordered[other], within)
    if len(lags) < MIN_SUPPORT:
        return None
    lag = median(lags)
    by_dependency = False
    if abs(lag) <= CLOCK_SKEW and not same_clock(one, other):
        forward, backward = calls(other, one), calls(one, other)
        if forward != backward:
            by_dependency = True
            before, after = (one, other) if forward else (other, one)
        else:
            before, after = (one, other) if lag >= 0 else (other, one)
    else:
        before, after = (one, other) if lag >= 0 else (other, one)
    if before is not one:
        lag = -lag
    spells, support = len(ordered[before]), len(lags)
    expected = chance_within(len(ordered[after]), length, within)
    return Relation(
        before=before,
        after=after,
        support=support,
        confidence=support / spells,
        expected=expected,
        lift=support / spells / expected,
        lag=lag,
        before_spells=spells,
        after_spells=len(ordered[after]),
        p_value=_at_least(support, spells, expected),
        by_dependency=by_dependency,
    )


def _at_least(successes: int, trials: int, probability: float) -> float:
    """The probability of at least so many successes."""
    if probability >= 1.0:
        return 1.0
    log_p, log_q = math.log(probability), math.log1p(-probability)
    whole = math.lgamma(trials + 1)
    return min(
        1.0,
        sum(
            math.exp(
                whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
                + k * log_p + (trials - k) * log_q
            )
            for k in range(successes, trials + 1)
        ),
    )  # fmt: skip


def _passed(found: Sequence[Relation[K]], tested: int) -> list[Relation[K]]:
    """Those that stand when all `tested` pairs are looked at together."""
    ranked = sorted(found, key=lambda each: (each.p_value, -each.support, -each.lift))
    last = 0
    for rank, each in enumerate(ranked, 1):
        if each.p_value <= FALSE_SHARE * rank / max(tested, 1):
            last = rank
    return ranked[:last]
