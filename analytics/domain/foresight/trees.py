"""Gradient-boosted trees on histograms, for a yes or no, small enough to be read.

Trees are grown level by level to one depth, so that all rows walk all trees without branching.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Bins = NDArray[np.uint8]


class TooFew(ValueError):
    """There is too little to learn from; the message says what is needed, after "which"."""


@dataclass(frozen=True)
class Growth:
    """How trees are grown: few values, chosen once on generated histories for sets of hundreds
    to tens of thousands of rows."""

    rounds: int = 220
    rate: float = 0.05
    depth: int = 4
    bins: int = 32
    rows: float = 0.7
    columns: float = 0.35
    # The least weight (second derivatives) on each side of a split, and what shrinks leaves.
    smallest: float = 2.0
    shrink: float = 3.0


@dataclass(frozen=True, eq=False)
class Trees:
    """Fitted trees: a row of `features` and `cuts` per tree holds its inner nodes level by level,
    a row of `leaves` what they add to the log odds. A node whose code is at most its cut goes
    left."""

    edges: tuple[Floats, ...]
    base: float
    features: Codes
    cuts: Codes
    leaves: Floats

    def log_odds(self, table: Floats) -> Floats:
        """Of each row of a table with the columns that were fitted."""
        codes = _codes(table, self.edges)
        rows = np.arange(len(table))
        total = np.full(len(table), self.base)
        depth = self.leaves.shape[1].bit_length() - 1
        for features, cuts, leaves in zip(self.features, self.cuts, self.leaves, strict=True):
            node = np.zeros(len(table), dtype=np.intp)
            for _ in range(depth):
                node = 2 * node + 1 + (codes[rows, features[node]] > cuts[node])
            total += leaves[node - (leaves.size - 1)]
        return total

    def as_json(self) -> dict[str, Any]:
        return {
            "edges": [edges.tolist() for edges in self.edges],
            "base": self.base,
            "features": self.features.tolist(),
            "cuts": self.cuts.tolist(),
            "leaves": np.round(self.leaves, 6).tolist(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Trees:
        return cls(
            edges=tuple(np.asarray(edges, dtype=np.float64) for edges in data["edges"]),
            base=float(data["base"]),
            features=np.asarray(data["features"], dtype=np.intp),
            cuts=np.asarray(data["cuts"], dtype=np.intp),
            leaves=np.asarray(data["leaves"], dtype=np.float64),
        )


GROWTH: Final = Growth()


def fit(
    table: Floats,
    answers: NDArray[np.bool_],
    random: np.random.Generator,
    growth: Growth = GROWTH,
) -> Trees:
    """Trees that tell rows with the answer yes from those without.

    Infinite values stand for "never" and are greater than all others. Raises TooFew where
    there is no row of each answer, for then there is nothing to tell apart.
    """
    count = len(answers)
    if not 0 < int(answers.sum()) < count:
        raise TooFew("needs moments of both answers, before failures and otherwise")
    edges = tuple(_edges(column, growth.bins) for column in table.T)
    codes = _codes(table, edges)
    share = float(answers.mean())
    base = float(np.log(share / (1 - share)))
    total = np.full(count, base)
    inner = 2**growth.depth - 1
    features = np.zeros((growth.rounds, inner), dtype=np.intp)
    cuts = np.full((growth.rounds, inner), growth.bins, dtype=np.intp)
    leaves = np.zeros((growth.rounds, inner + 1))
    some_rows = max(1, round(count * growth.rows))
    some_columns = max(1, round(codes.shape[1] * growth.columns))
    for number in range(growth.rounds):
        chosen = random.choice(count, some_rows, replace=False)
        columns = np.sort(random.choice(codes.shape[1], some_columns, replace=False))
        chance = 1 / (1 + np.exp(-total[chosen]))
        first = chance - answers[chosen]
        second = np.maximum(chance * (1 - chance), 1e-6)
        part = codes[np.ix_(chosen, columns)]
        at = _grow(part, first, second, growth, features[number], cuts[number], leaves[number])
        features[number] = columns[features[number]]
        # Rows that were left out walk the tree like new ones.
        node = np.zeros(count, dtype=np.intp)
        node[chosen] = at
        others = np.ones(count, dtype=bool)
        others[chosen] = False
        node[others] = _walk(codes[others], features[number], cuts[number], growth.depth)
        total += leaves[number][node]
    return Trees(edges, base, features, cuts, leaves)


def _grow(
    codes: Bins,
    first: Floats,
    second: Floats,
    growth: Growth,
    features: Codes,
    cuts: Codes,
    leaves: Floats,
) -> Codes:
    """Fill one tree in place; answers the leaf that each row fell into."""
    rows, columns = codes.shape
    places = np.arange(columns) * growth.bins + codes
    node = np.zeros(rows, dtype=np.intp)
    for level in range(growth.depth):
        nodes = 2**level
        keys = (places + (node * columns * growth.bins)[:, None]).ravel()
        shape = (nodes, columns, growth.bins)
        size = nodes * columns * growth.bins
        gradients = np.bincount(keys, np.repeat(first, columns), size).reshape(shape)
        weights = np.bincount(keys, np.repeat(second, columns), size).reshape(shape)
        column, cut = _best_splits(gradients, weights, growth)
        start = nodes - 1
        features[start : start + nodes] = column
        cuts[start : start + nodes] = cut
        node = 2 * node + (codes[np.arange(rows), column[node]] > cut[node])
    gradient = np.bincount(node, first, len(leaves))
    weight = np.bincount(node, second, len(leaves))
    leaves[:] = -growth.rate * gradient / (weight + growth.shrink)
    return node


def _best_splits(gradients: Floats, weights: Floats, growth: Growth) -> tuple[Codes, Codes]:
    """Column and cut of each node; a cut past the last bin where nothing is gained."""
    left, left_weight = gradients.cumsum(axis=2), weights.cumsum(axis=2)
    whole, whole_weight = left[:, :, -1:], left_weight[:, :, -1:]
    right, right_weight = whole - left, whole_weight - left_weight
    gain = left * left / (left_weight + growth.shrink)
    gain += right * right / (right_weight + growth.shrink)
    gain[np.minimum(left_weight, right_weight) < growth.smallest] = 0.0
    flat = gain.reshape(len(gain), -1)
    best = flat.argmax(axis=1)
    # What the node is worth unsplit.
    unsplit = (whole**2 / (whole_weight + growth.shrink))[:, 0, 0]
    column, cut = np.divmod(best, growth.bins)
    useless = flat[np.arange(len(flat)), best] <= unsplit
    cut[useless] = growth.bins
    return column, cut


def _walk(codes: Bins, features: Codes, cuts: Codes, depth: int) -> Codes:
    """The leaf of each row, counted from the left."""
    rows = np.arange(len(codes))
    node = np.zeros(len(codes), dtype=np.intp)
    for _ in range(depth):
        node = 2 * node + 1 + (codes[rows, features[node]] > cuts[node])
    return np.asarray(node - (2**depth - 1), dtype=np.intp)


def _edges(column: Floats, bins: int) -> Floats:
    """Upper bounds of all bins but the last, by quantiles of the finite values."""
    finite = column[np.isfinite(column)]
    if not finite.size:
        return np.zeros(0)
    values = np.unique(finite)
    if len(values) > bins - 1:
        values = np.unique(np.quantile(finite, np.linspace(0, 1, bins)[1:-1]))
    return np.asarray(values, dtype=np.float64)


def _codes(table: Floats, edges: tuple[Floats, ...]) -> Bins:
    codes = np.empty(table.shape, dtype=np.uint8)
    for index, bounds in enumerate(edges):
        codes[:, index] = np.searchsorted(bounds, table[:, index], side="left")
    return codes
