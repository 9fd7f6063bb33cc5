"""The sets of attributes that explain why more fails now than before, best first.

A set (`region=eu and version=7`) is good when the failures beyond the expected are inside it and
nothing beyond the expected is outside. Two likelihoods say how good, each with a weakness that
the other lacks: shares of calls (blind to rare failures) and factors of the expected failures
(blind to what the expected is worth). Each combination of attributes counts by the square root
of its calls: else the one that most calls have decides alone, and its name is added to every
explanation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from analytics.domain.differences.likelihood import (
    gain_of_factors,
    gain_of_shares,
    p_value_of,
    passing,
)
from analytics.domain.differences.table import Codes, Floats, Table, sums_of

# Conditions of one set: people do not act on four.
MAX_CONDITIONS = 3
# These figures are no finely tuned ones: on 68 real incidents, 0.84 to 0.92 for a further condition
# and 50 to 140 prior calls explain between 0.79 and 0.85 of them.
# A rate is taken from this many calls with the overall rate and from those that were counted.
PRIOR_CALLS = 80.0
# What a further condition must at least explain: without it, the gain may be this part.
FURTHER_CONDITION = 0.86
# Two values of one attribute together must explain as much more than one.
FURTHER_VALUE = 0.75
# The weight of factors; that of shares is the rest.
FACTORS = 1 / 3
# A second cause has at least this share of the failures beyond the expected.
SECOND_SHARE = 0.2
PAIR_SHARE = 0.15
MAX_CAUSES = 2
MIN_FAILED = 5.0
FALSE_SHARE = 0.05
MAX_SETS = 10
# Sets that are looked at for each combination of attributes.
_FRONT = 6
# What a few rows have in common may be chance.
_ROWS_IN_COMMON = 3
# Keys for each row up to which a table of them is made.
_SPREAD = 8


@dataclass(frozen=True, slots=True)
class Explanation:
    """A set and how it stands out. `score` (0..1) falls along the list.

    `also` are attributes that all calls of the set share and others do not: they tell nothing
    more. `leading` sets are causes that do not overlap; others are alternative descriptions.
    """

    attributes: dict[str, str]
    score: float
    p_value: float
    failed: float
    total: float
    expected: float
    failed_before: float
    total_before: float
    leading: bool
    also: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Set:
    """One or two sets of the same attributes, as codes, and what speaks for them."""

    attributes: tuple[int, ...]
    codes: tuple[tuple[int, ...], ...]
    shares: float
    factors: float
    excess: float
    p_value: float


class _Evidence:
    """The figures of a table: as they are, and weighted by the square root of the calls."""

    def __init__(self, table: Table) -> None:
        self.table = table
        before = float(table.total_before.sum())
        if before >= 1:
            # Half a failure where there were none, so that any expected number is above zero.
            overall = min(1.0, max(float(table.failed_before.sum()), 0.5) / before)
        else:
            # Nothing to compare with: all failures are beyond the expected, and alike.
            overall = 1e-3 * float(table.failed.sum()) / max(float(table.total.sum()), 1.0)
        rate = (table.failed_before + overall * PRIOR_CALLS) / (table.total_before + PRIOR_CALLS)
        self.expected = np.maximum(rate * table.total, 1e-9)
        weight = np.where(table.total > 0, 1 / np.sqrt(np.maximum(table.total, 1.0)), 0.0)
        failed, expected = table.failed * weight, self.expected * weight
        self.weighted = np.stack([failed - expected, table.total * weight, failed, expected])
        self.groupings = _groupings(table.codes)

    def rows(self, attributes: tuple[int, ...], codes: tuple[int, ...]) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = np.all(self.table.codes[:, attributes] == codes, axis=1)
        return found

    def plain(self, keep: Floats) -> Floats:
        """Failures and the expected ones, unweighted: what chance is judged by."""
        return np.stack([self.table.failed, self.expected]) * keep


def explain(table: Table) -> list[Explanation]:
    """Sets of attributes by how well they explain the failures; [] where none stands out.

    The leading ones do not overlap: read as many of them as there are causes.
    """
    if table.failed.sum() < MIN_FAILED or not table.names:
        return []
    evidence = _Evidence(table)
    keep = np.ones(len(table.failed))
    ranked = _candidates(evidence, keep, pairs=True)
    if not ranked:
        return []
    best = ranked[0][1]
    leading = [(best.attributes, codes) for codes in best.codes]
    whole = max(float(evidence.weighted[0].sum()), best.excess)
    while len(leading) < MAX_CAUSES:
        for place in leading:
            keep[evidence.rows(*place)] = 0.0
        further = _candidates(evidence, keep, pairs=False)
        if not further or further[0][1].excess < SECOND_SHARE * whole:
            break
        leading.append((further[0][1].attributes, further[0][1].codes[0]))
    return _listed(evidence, leading, ranked)


def described(found: Explanation) -> Explanation:
    """With what its calls share besides among its attributes: the longest equal description."""
    return replace(found, attributes={**found.attributes, **found.also}, also={})


_Place = tuple[tuple[int, ...], tuple[int, ...]]


def _listed(
    evidence: _Evidence, leading: list[_Place], ranked: list[tuple[float, _Set]]
) -> list[Explanation]:
    """The leading sets, each judged without the rows of those before it; then other descriptions
    that are neither wider nor narrower than one of those before, nor of the same rows."""
    alone = {(one.attributes, one.codes[0]): score for score, one in ranked if len(one.codes) == 1}
    found: list[Explanation] = []
    limit, keep, all_rows = 1.0, np.ones(len(evidence.expected)), np.ones(len(evidence.expected))
    for place in leading:
        # The first is the best there is; the score of a further one is what it explains alone.
        limit = min(limit, alone.get(place, SECOND_SHARE)) if found else 1.0
        found.append(_explanation(evidence, place, limit, keep, leading=True))
        keep = keep * ~evidence.rows(*place)
    seen = [(set(zip(*place, strict=True)), evidence.rows(*place)) for place in leading]
    for score, one in ranked:
        if len(found) >= MAX_SETS:
            break
        place = (one.attributes, one.codes[0])
        conditions, rows = set(zip(*place, strict=True)), evidence.rows(*place)
        redundant = any(
            conditions >= other or conditions <= other or np.array_equal(rows, same)
            for other, same in seen
        )
        if len(one.codes) > 1 or redundant:
            continue
        seen.append((conditions, rows))
        value = min(score, 0.99 * limit)
        found.append(_explanation(evidence, place, value, all_rows, leading=False))
    return found


def _explanation(
    evidence: _Evidence, place: _Place, score: float, keep: Floats, *, leading: bool
) -> Explanation:
    table, rows = evidence.table, evidence.rows(*place)
    plain = evidence.plain(keep)
    return Explanation(
        attributes={
            table.names[at]: table.labels[at][code] for at, code in zip(*place, strict=True)
        },
        score=round(float(score), 4),
        p_value=float(_p_values(plain[:, rows].sum(axis=1, keepdims=True), plain.sum(axis=1))[0]),
        failed=float(table.failed[rows].sum()),
        total=float(table.total[rows].sum()),
        expected=float(evidence.expected[rows].sum()),
        failed_before=float(table.failed_before[rows].sum()),
        total_before=float(table.total_before[rows].sum()),
        leading=leading,
        also=_in_common(table, rows & (table.total > 0), place[0]),
    )


def _in_common(
    table: Table, rows: npt.NDArray[np.bool_], attributes: tuple[int, ...]
) -> dict[str, str]:
    """Values of other attributes that all of these rows have, and not all other rows."""
    if np.count_nonzero(rows) < _ROWS_IN_COMMON:
        return {}
    common = {}
    now = table.codes[table.total > 0]
    for at, name in enumerate(table.names):
        code = int(table.codes[rows][0, at])
        if at in attributes or code < 0 or np.any(table.codes[rows][:, at] != code):
            continue
        if np.any(now[:, at] != code):
            common[name] = table.labels[at][code]
    return common


def _candidates(evidence: _Evidence, keep: Floats, *, pairs: bool) -> list[tuple[float, _Set]]:
    """The best sets of every combination of attributes with their scores (0..1), best first."""
    weighted, plain = evidence.weighted * keep, evidence.plain(keep)
    sums, plain_sums = weighted.sum(axis=1), plain.sum(axis=1)
    if sums[1] <= 0:
        return []
    found: list[_Set] = []
    p_values: list[Floats] = []
    for attributes, groups, where in evidence.groupings:
        size = len(groups)
        figures = np.stack([sums_of(where, row, size) for row in weighted])
        figures[0] = np.clip(figures[0], 0.0, None)
        counts = np.stack([sums_of(where, row, size) for row in plain])
        enough = (counts[0] >= MIN_FAILED) & np.all(groups >= 0, axis=1)
        if not enough.any():
            continue
        p_values.append(_p_values(counts[:, enough], plain_sums))
        tried = [[at] for at in _front(figures, sums, enough)]
        if pairs:
            tried += _pairs(figures, sums, enough)
        for members in tried:
            chance = _p_values(counts[:, members].sum(axis=1, keepdims=True), plain_sums)
            codes = tuple(tuple(groups[at].tolist()) for at in members)
            together = figures[:, members].sum(axis=1, keepdims=True)
            found.append(_measured(attributes, codes, together, sums, float(chance[0])))
    return _ranked(found, np.concatenate(p_values) if p_values else np.zeros(0))


def _ranked(found: list[_Set], p_values: Floats) -> list[tuple[float, _Set]]:
    """Those that pass the test among all that were tried, by both likelihoods."""
    certain = p_values[passing(p_values, FALSE_SHARE)]
    limit = float(certain.max()) if certain.size else -1.0
    found = [one for one in found if one.p_value <= limit and one.shares + one.factors > 0]
    shares = max((one.shares for one in found), default=0.0) or 1.0
    factors = max((one.factors for one in found), default=0.0) or 1.0
    scored = [
        (one.shares / shares * (1 - FACTORS) + one.factors / factors * FACTORS, one)
        for one in found
    ]
    scored.sort(key=lambda item: (-item[0], len(item[1].attributes), item[1].attributes))
    return scored


def _gains(figures: Floats, sums: Floats) -> tuple[Floats, Floats]:
    excess, calls, failed, expected = figures
    return (
        gain_of_shares(excess, calls, max(float(sums[0]), 1e-9), float(sums[1])),
        gain_of_factors(failed, expected, float(sums[2]), float(sums[3])),
    )


def _front(figures: Floats, sums: Floats, enough: npt.NDArray[np.bool_]) -> list[int]:
    shares, factors = _gains(figures, sums)
    order = np.argsort(-np.where(enough, shares + factors, -1.0), kind="stable")[:_FRONT]
    return [int(at) for at in order if enough[at]]


def _pairs(figures: Floats, sums: Floats, enough: npt.NDArray[np.bool_]) -> list[list[int]]:
    """Two values side by side, each with a share of what is beyond the expected."""
    least = PAIR_SHARE * max(float(sums[0]), 1e-9)
    order = [int(at) for at in np.argsort(-figures[0], kind="stable")[:_FRONT]]
    large = [at for at in order if enough[at] and figures[0, at] >= least]
    return [list(pair) for pair in combinations(large, 2)]


def _measured(
    attributes: tuple[int, ...],
    codes: tuple[tuple[int, ...], ...],
    figures: Floats,
    sums: Floats,
    p_value: float,
) -> _Set:
    shares, factors = _gains(figures, sums)
    price = FURTHER_CONDITION ** (len(attributes) - 1) * FURTHER_VALUE ** (len(codes) - 1)
    return _Set(
        attributes=attributes,
        codes=codes,
        shares=float(shares[0]) * price,
        factors=float(factors[0]) * price,
        excess=float(figures[0, 0]),
        p_value=p_value,
    )


def _p_values(counts: Floats, sums: Floats) -> Floats:
    gains = gain_of_factors(counts[0], counts[1], float(sums[0]), float(sums[1]))
    return np.array([p_value_of(gain) for gain in gains.tolist()])


def _groupings(codes: Codes) -> list[tuple[tuple[int, ...], Codes, Codes]]:
    """For every combination of attributes: its values that occur, and the one of each row."""
    width = codes.shape[1]
    sizes = codes.max(axis=0) + 2
    # The place of each row among the values of the combination without its last attribute.
    before: dict[tuple[int, ...], Codes] = {(): np.zeros(len(codes), dtype=np.int64)}
    result = []
    for count in range(1, min(MAX_CONDITIONS, width) + 1):
        for attributes in combinations(range(width), count):
            at = attributes[-1]
            keys = before[attributes[:-1]] * sizes[at] + codes[:, at] + 1
            first, where = _distinct(keys)
            result.append((attributes, codes[np.ix_(first, np.array(attributes))], where))
            if count < MAX_CONDITIONS:
                before[attributes] = where
    return result


def _distinct(keys: Codes) -> tuple[Codes, Codes]:
    """A row of each key that occurs, by rising key, and the place of each row's key among them."""
    limit = int(keys.max()) + 1
    if limit > _SPREAD * len(keys):
        _, first, where = np.unique(keys, return_index=True, return_inverse=True)
        return first, where
    # A table of all keys that there may be is several times faster than sorting.
    row_of = np.full(limit, -1, dtype=np.int64)
    row_of[keys] = np.arange(len(keys))
    present = np.flatnonzero(row_of >= 0)
    place_of = np.zeros(limit, dtype=np.int64)
    place_of[present] = np.arange(len(present))
    return row_of[present], place_of[keys]
