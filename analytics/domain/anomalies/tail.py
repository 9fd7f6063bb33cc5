"""How rare a number is among those met before: a histogram that forgets, with a Pareto tail."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from typing import Final

# Histogram bins per doubling: a bin is 9 % wide, finer than what a tail is read for.
_PER_OCTAVE: Final = 8
_OCTAVE: Final = math.log(2)
_BIN: Final = _OCTAVE / _PER_OCTAVE
# Older numbers count less: after so many, to 1/e. Two weeks of steps of five minutes.
_MEMORY: Final = 4000.0
# The tail is fitted to the largest 2 %, and to five numbers at least.
_TAIL_SHARE: Final = 0.02
_TAIL_LEAST: Final = 5.0
# Fewer numbers have no tail.
LEAST: Final = 50.0
# As though one more number had been met that far out: a tail of very few numbers is not taken to
# be thin because they happened to lie close together.
_PRIOR_SHAPE: Final = 0.5
_RENORMALISE: Final = 1e6


class Tail:
    """Numbers from 0 up, and how rare another one is among them."""

    def __init__(self) -> None:
        self._weights: dict[int, float] = {}
        self._bins: list[int] = []
        self._zeros = 0.0
        self._total = 0.0
        self._unit = 1.0

    @property
    def size(self) -> float:
        """How many numbers are remembered, older ones in part."""
        return self._total / self._unit

    def add(self, number: float) -> None:
        """Remember a number."""
        self._unit /= 1 - 1 / _MEMORY
        self._total += self._unit
        if number > 0:
            index = _bin(number)
            if index not in self._weights:
                insort(self._bins, index)
                self._weights[index] = 0.0
            self._weights[index] += self._unit
        else:
            self._zeros += self._unit
        if self._unit > _RENORMALISE:
            self._renormalise()

    def rarity(self, number: float) -> float:
        """-log10 of the share of numbers as large as this or larger; 0 while too few are known."""
        size = self.size
        if size < LEAST or number <= 0:
            return 0.0
        edge, above, shape = self._fit()
        if above and _bin(number) <= edge:
            first = bisect_left(self._bins, _bin(number))
            weight = sum(map(self._weights.__getitem__, self._bins[first:])) / self._unit
            return max(0.0, -math.log10((weight + 1) / (size + 1)))
        share = (above + 1) / (size + 1)
        beyond = (math.log(number) - edge * _BIN) / shape if above else 0.0
        return max(0.0, -math.log10(share) + beyond / math.log(10))

    def value_at(self, rarity: float) -> float:
        """The number that is as rare as this; 0 while too few are known."""
        size = self.size
        if size < LEAST:
            return 0.0
        edge, above, shape = self._fit()
        if not above:
            return 0.0
        beyond = (rarity + math.log10((above + 1) / (size + 1))) * math.log(10) * shape
        return math.exp(min(edge * _BIN + max(0.0, beyond), 700.0))

    def _fit(self) -> tuple[int, float, float]:
        """Where the tail begins (a bin), how many numbers it holds, and its shape."""
        wanted = max(_TAIL_LEAST, _TAIL_SHARE * self.size) * self._unit
        weight = moment = 0.0
        edge = 0
        for edge in reversed(self._bins):
            weight += self._weights[edge]
            moment += self._weights[edge] * (edge + 0.5)
            if weight >= wanted:
                break
        if not weight:
            return 0, 0.0, _PRIOR_SHAPE
        above = weight / self._unit
        excess = (moment / self._unit - above * edge) * _BIN
        return edge, above, (excess + _PRIOR_SHAPE) / (above + 1)

    def _renormalise(self) -> None:
        """Bring weights back to where one number weighs 1, and drop what is forgotten."""
        kept = {index: weight / self._unit for index, weight in self._weights.items()}
        self._weights = {index: weight for index, weight in kept.items() if weight > 1e-3}
        self._bins = sorted(self._weights)
        self._zeros /= self._unit
        self._unit = 1.0
        self._total = self._zeros + sum(self._weights.values())

    def dump(self) -> list[float]:
        """As plain numbers: the count of zeros, then bins and their counts by turns."""
        numbers = [self._zeros / self._unit]
        for index in self._bins:
            numbers += [float(index), self._weights[index] / self._unit]
        return numbers

    @classmethod
    def load(cls, numbers: list[float]) -> Tail:
        """What `dump` wrote."""
        tail = cls()
        tail._zeros = numbers[0]
        pairs = zip(numbers[1::2], numbers[2::2], strict=True)
        tail._weights = {int(index): weight for index, weight in pairs}
        tail._bins = sorted(tail._weights)
        tail._total = tail._zeros + sum(tail._weights.values())
        return tail


def _bin(number: float) -> int:
    return math.floor(math.log(number) / _BIN)
