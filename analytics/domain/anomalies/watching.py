"""Spells in which a series of a service stands out: begun, going on, ended.

A figure that is made of counts must be further from what was expected than counting alone explains:
one error of two calls is nothing, two hundred of four hundred are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from analytics.domain.anomalies.detector import RARE, REFRACTORY, Detector, Verdict

MINUTE: Final = 60
# A spell is over once nothing was unusual for so long: the detector looks at means of ten minutes.
CALM: Final = 10 * MINUTE
# As much as one trouble may last before another alarm is worth raising.
_APART: Final = REFRACTORY * MINUTE
# A deviation of counts by chance is so large once in 1,000 minutes (3.3 standard deviations).
_CHANCE: Final = 11.0
# A ratio of few calls is drawn towards what was expected, as though so many more had been as usual.
_USUAL_CALLS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A minute that begins at `at`, in seconds: its value, and how many counts make up one of it.

    `counts` is 0 where the value is none of counts (a latency, a gauge).
    """

    at: int
    value: float | None
    counts: float = 0.0


@dataclass(frozen=True, slots=True)
class Kind:
    """What sort of figure a series holds: whether it is a ratio, and whether less is news too."""

    ratio: bool = False
    less_is_news: bool = True


@dataclass(slots=True)
class Spell:
    """When a series stood out, up to the end of the last such minute, and its worst moment."""

    started_at: int
    last_at: int
    at: int
    value: float
    expected: float
    lower: float
    upper: float
    rarity: float
    ended: bool = False

    @property
    def ended_at(self) -> int | None:
        return self.last_at + MINUTE if self.ended else None

    @property
    def score(self) -> float:
        """How unusual the worst moment was, 0..1."""
        return self.rarity / (self.rarity + RARE)


class Watch:
    """A series under watch: what is known of it, and its last spell."""

    def __init__(self, detector: Detector | None = None, spell: Spell | None = None) -> None:
        self.detector = detector or Detector()
        self.spell = spell

    def see(self, sample: Sample, kind: Kind) -> Spell | None:
        """Take the next minute; the spell if it begins, goes on or ends with it, else None."""
        verdict, expected = self._judged(sample, kind)
        if expected is not None and verdict.is_unusual and _matters(sample, expected, kind):
            return self._stands_out(sample, verdict, expected)
        spell = self.spell
        if spell and not spell.ended and sample.at - spell.last_at >= CALM:
            spell.ended = True
            return spell
        return None

    def close(self) -> Spell | None:
        """End a spell of which no more will be heard."""
        if self.spell is None or self.spell.ended:
            return None
        self.spell.ended = True
        return self.spell

    def _judged(self, sample: Sample, kind: Kind) -> tuple[Verdict, float | None]:
        value, expected = sample.value, self.detector.expected(sample.at)
        if kind.ratio and value is not None and expected is not None:
            calls = sample.counts + _USUAL_CALLS
            value = (value * sample.counts + max(expected, 0.0) * _USUAL_CALLS) / calls
        return self.detector.update(sample.at, value), expected

    def _stands_out(self, sample: Sample, verdict: Verdict, expected: float) -> Spell | None:
        assert sample.value is not None
        spell = self.spell
        if spell is None or spell.ended:
            if spell and sample.at - spell.started_at < _APART:
                return None
            self.spell = spell = _spell(sample, verdict, expected, sample.at)
        elif verdict.rarity > spell.rarity:
            self.spell = spell = _spell(sample, verdict, expected, spell.started_at)
        spell.last_at = sample.at
        return spell


def _spell(sample: Sample, verdict: Verdict, expected: float, started_at: int) -> Spell:
    assert sample.value is not None
    lower = expected if verdict.lower is None else verdict.lower
    upper = expected if verdict.upper is None else verdict.upper
    if sample.counts:
        # Counts and their ratios are never below 0.
        lower = max(lower, 0.0)
    return Spell(
        started_at, sample.at, sample.at, sample.value, expected, lower, upper, verdict.rarity
    )


def _matters(sample: Sample, expected: float, kind: Kind) -> bool:
    """Whether a minute is news at all, however unusual it is."""
    if sample.value is None or (sample.value < expected and not kind.less_is_news):
        return False
    if not sample.counts:
        return True
    usual = max(expected, 0.0) * sample.counts
    difference = sample.value * sample.counts - usual
    return difference * difference >= _CHANCE * max(usual, 1.0)
