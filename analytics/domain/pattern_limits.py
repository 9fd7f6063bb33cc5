"""How many errors an hour a pattern's own history explains: more than that is an escalation.

A limit comes from the complete hours of the last week, the silent ones included, by the larger of
two rules. The *spike rule* asks for several times the average: the mean, weighted towards the
recent days, plus five to eight times the plain mean, the more the hours scatter. The *bursty rule*
asks for twice the fullest hour: what a nightly job throws once a day is no surprise every night.

A pattern younger than a week has no such history. From its third complete hour on, its limit is ten
times its mean hour and at least twice its fullest one; before that it has none, as whatever it does
is new anyway.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

WEEK_HOURS = 168
YOUNG_HOURS = 3
# Of a handful of errors no rate is worth waking anybody.
LEAST = 10.0

_STD_MULTIPLIER = 5.0
_LEAST_SPIKE, _MOST_SPIKE = 5.0, 8.0
_BURST = 2.0
_YOUNG = 10.0
# Yesterday weighs twice what the day before yesterday does.
_HALF_LIFE_HOURS = 24.0

SPIKE = "several times its average"
BURST = "twice its fullest hour"
YOUNG = "ten times its average so far"
FLOOR = "the least that counts"


class Limit(NamedTuple):
    """`value` errors an hour by the `rule` that gave it, or None where `hours` complete hours of
    history are too few; `mean` and `fullest` describe these hours."""

    value: float | None
    rule: str
    hours: int
    mean: float
    fullest: int

    @property
    def words(self) -> str:
        """The limit and where it comes from, for people."""
        if self.value is None:
            return f"not enough data: needs {YOUNG_HOURS} complete hours, has {self.hours}"
        return (
            f"{amount(self.value)} errors an hour, {self.rule} "
            f"(mean {amount(self.mean)}, fullest hour {self.fullest:,}, over {_span(self.hours)})"
        )


def limit_of(hours: Sequence[int]) -> Limit:
    """The limit that complete hours give, oldest first; those of a pattern younger than a week
    begin with the first after it was first seen."""
    hours = hours[-WEEK_HOURS:]
    number = len(hours)
    mean = sum(hours) / number if number else 0.0
    fullest = max(hours, default=0)
    if number < YOUNG_HOURS:
        return Limit(None, "", number, mean, fullest)
    usual = (_YOUNG * mean, YOUNG) if number < WEEK_HOURS else (_spike(hours, mean), SPIKE)
    value, rule = max(usual, (_BURST * fullest, BURST), (LEAST, FLOOR))
    return Limit(value, rule, number, mean, fullest)


def _spike(hours: Sequence[int], mean: float) -> float:
    if not mean:
        return 0.0
    std = math.sqrt(sum((count - mean) ** 2 for count in hours) / len(hours))
    multiplier = min(max((mean + _STD_MULTIPLIER * std) / mean, _LEAST_SPIKE), _MOST_SPIKE)
    return _weighted(hours) + multiplier * mean


def _weighted(hours: Sequence[int]) -> float:
    weights = [math.pow(0.5, age / _HALF_LIFE_HOURS) for age in range(len(hours) - 1, -1, -1)]
    return sum(w * count for w, count in zip(weights, hours, strict=True)) / sum(weights)


def amount(value: float) -> str:
    """A number of errors as people write it: `0.3`, `12.5`, `1,250`."""
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}".removesuffix(".0")


def _span(hours: int) -> str:
    return "the last week" if hours >= WEEK_HOURS else f"{hours} complete hours"
