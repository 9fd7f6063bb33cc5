"""Calls counted by their attributes, in a window and in its baseline: what is compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

# Values of an attribute that are looked at one by one: more make a list nobody reads.
MAX_VALUES = 200
# Attributes that are combined with each other: 298 combinations of up to three.
MAX_ATTRIBUTES = 12
# Names of attributes that are looked at: a sender that puts ids into names has one for each call.
MAX_NAMES = 200


@dataclass(frozen=True, slots=True)
class Row:
    """Calls of one combination of attributes: failed and all, now and before."""

    attributes: Mapping[str, str]
    failed: float
    total: float
    failed_before: float = 0.0
    total_before: float = 0.0


@dataclass(frozen=True, slots=True)
class Folded:
    """An attribute with more values than are looked at, or one that is not looked at at all.

    Without `values` it stands for attributes that not even the values were counted of.
    """

    name: str
    values: int
    kept: int


@dataclass(frozen=True, slots=True)
class Table:
    """Combinations of attributes, one a line of `codes`; the code -1 stands for folded values.

    `labels[a][c]` is the text of code c of attribute a.
    """

    names: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    codes: Codes
    failed: Floats
    total: Floats
    failed_before: Floats
    total_before: Floats
    folded: tuple[Folded, ...]


def table_of(rows: Iterable[Row]) -> Table:
    """Rows summed up by their attributes. An absent attribute counts as the empty value.

    Of an attribute with more than `MAX_VALUES` values the ones with most failures are kept; one
    whose values nearly all differ (an id) is left out, and so are all but the `MAX_NAMES` that most
    failures have. Numbers that are no numbers count as 0.
    """
    given = list(rows)
    numbers = np.array(
        [(row.failed, row.total, row.failed_before, row.total_before) for row in given],
        dtype=np.float64,
    ).reshape(len(given), 4)
    numbers = np.clip(np.nan_to_num(numbers, nan=0.0, posinf=0.0, neginf=0.0), 0.0, None)
    # Failures are among the calls, whatever was counted.
    numbers[:, 1] = np.maximum(numbers[:, 0], numbers[:, 1])
    numbers[:, 3] = np.maximum(numbers[:, 2], numbers[:, 3])
    kept: list[tuple[str, tuple[str, ...], Codes]] = []
    folded: list[Folded] = []
    names, more = _names(given, numbers)
    for name in names:
        places: dict[str, int] = {}
        values = [row.attributes.get(name, "") for row in given]
        rows_at = np.array([places.setdefault(v, len(places)) for v in values], dtype=np.int64)
        distinct = len(places)
        if distinct < 2:
            continue  # what all calls share tells none of them apart
        if _is_id(values, distinct):
            folded.append(Folded(name, distinct, 0))
            continue
        labels, codes = _coded(tuple(places), rows_at, numbers)
        if len(labels) < distinct:
            folded.append(Folded(name, distinct, len(labels)))
        kept.append((name, labels, codes))
    if len(kept) > MAX_ATTRIBUTES:
        kept, left = _telling(kept, numbers)
        folded += left
    if more:
        folded.append(Folded(f"{more:,} more", 0, 0))
    codes = (
        np.stack([codes for _, _, codes in kept], axis=1)
        if kept
        else np.zeros((len(given), 0), dtype=np.int64)
    )
    codes, sums = _summed(codes, numbers)
    return Table(
        names=tuple(name for name, _, _ in kept),
        labels=tuple(labels for _, labels, _ in kept),
        codes=codes,
        failed=sums[:, 0],
        total=sums[:, 1],
        failed_before=sums[:, 2],
        total_before=sums[:, 3],
        folded=tuple(folded),
    )


def sums_of(rows: Codes, weights: Floats, size: int) -> Floats:
    """Sums of the weights by the place that each row has."""
    return np.bincount(rows, weights, size).astype(np.float64)


def _names(rows: Sequence[Row], numbers: Floats) -> tuple[list[str], int]:
    """The names of attributes that most failures have, in order, and how many more there are."""
    # Most calls have the same names: those are counted at once.
    alike: dict[tuple[str, ...], list[float]] = {}
    for row, (failed, total, _, before) in zip(rows, numbers.tolist(), strict=True):
        counts = alike.setdefault(tuple(row.attributes), [0.0, 0.0])
        counts[0] += failed
        counts[1] += total + before
    failures: dict[str, float] = defaultdict(float)
    calls: dict[str, float] = defaultdict(float)
    for names, (failed, total) in alike.items():
        for name in names:
            failures[name] += failed
            calls[name] += total
    found = nsmallest(MAX_NAMES, calls, key=lambda name: (-failures[name], -calls[name], name))
    return sorted(found), len(calls) - len(found)


def _coded(
    values: tuple[str, ...], places: Codes, numbers: Floats
) -> tuple[tuple[str, ...], Codes]:
    """The values with most failures, and the one that each row has, by the place of its value."""
    failures = sums_of(places, numbers[:, 0], len(values)).tolist()
    calls = sums_of(places, numbers[:, 1] + numbers[:, 3], len(values)).tolist()
    order = nsmallest(
        MAX_VALUES, range(len(values)), key=lambda at: (-failures[at], -calls[at], values[at])
    )
    code = np.full(len(values), -1, dtype=np.int64)
    code[order] = np.arange(len(order))
    return tuple(values[at] for at in order), code[places]


def _is_id(values: Sequence[str], distinct: int) -> bool:
    """Whether nearly every row has a value of its own, in more rows than values are looked at."""
    return distinct > MAX_VALUES and distinct > 0.5 * len(values)


def _telling(
    kept: list[tuple[str, tuple[str, ...], Codes]], numbers: Floats
) -> tuple[list[tuple[str, tuple[str, ...], Codes]], list[Folded]]:
    """The attributes whose values differ most in their share of failures, and those left out."""

    def spread(codes: Codes) -> float:
        size = int(codes.max()) + 2
        failed = sums_of(codes + 1, numbers[:, 0], size)
        total = sums_of(codes + 1, numbers[:, 1], size)
        rate = failed.sum() / max(total.sum(), 1.0)
        expected = np.maximum(total * rate, 1e-9)
        logs = np.log(np.maximum(failed, 1e-9) / expected)
        return float(np.where(failed > 0, failed * logs, 0.0).sum())

    order = sorted(range(len(kept)), key=lambda at: -spread(kept[at][2]))
    chosen, left = sorted(order[:MAX_ATTRIBUTES]), sorted(order[MAX_ATTRIBUTES:])
    return (
        [kept[at] for at in chosen],
        [Folded(kept[at][0], len(kept[at][1]), 0) for at in left],
    )


def _summed(codes: Codes, numbers: Floats) -> tuple[Codes, Floats]:
    """One line for each combination."""
    if not len(codes):
        return codes, numbers
    unique, where = np.unique(codes, axis=0, return_inverse=True)
    places = where.reshape(-1)
    sums = np.stack([sums_of(places, column, len(unique)) for column in numbers.T], axis=1)
    return unique, sums
