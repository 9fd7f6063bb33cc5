"""Safe rules for services: what is foretold while there is too little history to learn from.

A family of signs stands out if it has at least its fewest in its window and three times its usual
number. A service is foretold to fail in a way only if the family that belongs to that way stands
out, and a second, independent one with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.domain.foresight.signs import (
    ANOMALY,
    BREAKER_OPEN,
    BURN,
    CHECKS,
    ERRORS,
    FAMILIES,
    HEALTH_DOWN,
    RETRIES,
    SATURATION,
    SLO_BREACH,
    SLOW,
)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
HORIZON: Final = 1_800.0
USUAL_WINDOW: Final = 86_400.0
# How many times the usual stands out.
_TIMES: Final = 3.0
# Before any alarm of a rule was settled it is believed as if three of five had come true.
_BELIEVED_HITS, _BELIEVED = 3, 5


@dataclass(frozen=True)
class Rule:
    """One of `first` must stand out, and one more of `second`, which may be empty: alone then."""

    kind: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    words: str


RULES: Final = (
    Rule(
        BREAKER_OPEN,
        (RETRIES, SLOW),
        (ERRORS, RETRIES, SLOW, SATURATION, BURN, ANOMALY),
        "many retries or slow calls, and another sign with them",
    ),
    Rule(
        HEALTH_DOWN,
        (CHECKS,),
        (ERRORS, RETRIES, SLOW, SATURATION, BURN, ANOMALY),
        "health checks that change again and again, and another sign with them",
    ),
    Rule(
        SLO_BREACH,
        (BURN,),
        (),
        "three of five minutes at which the error budget burns so fast that the hour's limit is "
        "passed within half an hour",
    ),
)


@dataclass(frozen=True, eq=False)
class Seen:
    """Counts of a family at some moments: in its window, and as usual for such a window over the
    day before it, or over as many seconds before it as its service is known."""

    recent: Floats
    usual: Floats
    over: float = USUAL_WINDOW

    def outstanding(self, family: str) -> Flags:
        enough = self.recent >= FAMILIES[family].least
        return np.asarray(enough & (self.recent >= _TIMES * self.usual))


def rule_of(kind: str) -> Rule:
    return next(rule for rule in RULES if rule.kind == kind)


def says(rule: Rule, seen: Mapping[str, Seen], moments: int) -> Flags:
    """At which of the moments the rule foretells a failure."""
    standing = {family: each.outstanding(family) for family, each in seen.items()}
    nothing = np.zeros(moments, dtype=bool)
    found = nothing.copy()
    for first in rule.first:
        own = standing.get(first, nothing)
        if rule.second:
            others = [standing.get(name, nothing) for name in rule.second if name != first]
            own = own & np.any(others, axis=0)
        found |= own
    return found


def seen_at(times: Floats, counts: Floats, moments: Floats, family: str) -> Seen:
    """Counts of a family whose signs came at sorted times."""
    window = float(FAMILIES[family].window)
    total = np.concatenate([[0.0], counts.cumsum()])
    now = total[np.searchsorted(times, moments, side="right")]
    before = total[np.searchsorted(times, moments - window, side="right")]
    day = total[np.searchsorted(times, moments - window - USUAL_WINDOW, side="right")]
    return Seen(now - before, (before - day) * window / USUAL_WINDOW)


def reasons(rule: Rule, seen: Mapping[str, Seen]) -> list[str]:
    """Why a rule foretells a failure at the last of the moments, in sentences."""
    found: list[str] = []
    for family in dict.fromkeys((*rule.first, *rule.second)):
        each = seen.get(family)
        if each is None or not each.outstanding(family)[-1]:
            continue
        minutes = FAMILIES[family].window // 60
        found.append(
            f"{float(each.recent[-1]):,.0f} {FAMILIES[family].words} in the last {minutes} min; "
            + _usually(float(each.usual[-1]), minutes, each.over)
        )
    return found


def _usually(usual: float, minutes: int, over: float) -> str:
    if over < minutes * 60:
        return "what is usual is not known yet"
    length = f"{over / 3600:.0f} h" if over >= 7200 else f"{over // 60:.0f} min"
    return f"usually {usual:.2g} in {minutes} min, over the {length} before"


def probability(hits: int, settled: int) -> float:
    """Of a rule's next prediction, by how its settled ones did."""
    return (hits + _BELIEVED_HITS) / (settled + _BELIEVED)


def confidence(settled: int) -> float:
    """How far to trust a probability that rests on so many settled predictions: 0..1."""
    return settled / (settled + 20)
