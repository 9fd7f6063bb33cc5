"""Distributions of observations: histograms of both of OTLP's forms, added and subtracted.

A distribution is a JSON object: `{"bounds": […], "counts": […]}` with one count more than bounds,
`{"scale": n, "zero_count": n, "positive": {"offset": n, "counts": […]}, "negative": {…}}`, or
`{"quantiles": […]}` of a summary, which cannot be added: the newer one stands for both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

Distribution = dict[str, Any]
Buckets = tuple[int, list[int]]

# OpenTelemetry's SDKs keep 160 buckets for each sign.
MAX_BUCKETS = 160
# The largest count that the store holds.
MAX_COUNT = 2**63 - 1
# Scales beyond this say nothing: one bucket would hold every number there is, or none.
_MAX_SCALE = 64
_MAX_OFFSET = 2**31
_SIGNS = ("positive", "negative")


def normal(distribution: Distribution | None) -> Distribution | None:
    """A distribution as received in the form that the others here return; None if it is none."""
    if not distribution:
        return None
    if "bounds" in distribution:
        bounds, counts = distribution["bounds"] or [], distribution.get("counts") or []
        if len(counts) != len(bounds) + 1 or min(counts) < 0:
            return None
        if any(low >= high for low, high in pairwise(bounds)):
            return None
        if not all(map(math.isfinite, bounds)):
            return None
        return {"bounds": list(bounds), "counts": [min(c, MAX_COUNT) for c in counts]}
    if "scale" in distribution:
        scale, zero_count = distribution["scale"] or 0, distribution.get("zero_count") or 0
        positive, negative = (_buckets(distribution.get(sign)) for sign in _SIGNS)
        offsets_fit = all(abs(offset) <= _MAX_OFFSET for offset, _ in (positive, negative))
        if abs(scale) > _MAX_SCALE or not offsets_fit:
            return None
        if min([zero_count, *positive[1], *negative[1]]) < 0:
            return None
        return _exponential(scale, zero_count, positive, negative)
    return distribution if "quantiles" in distribution else None


def add(a: Distribution | None, b: Distribution | None) -> Distribution | None:
    """Both together. Of different bounds the common ones stay, of different scales the coarser."""
    if a is None or b is None:
        return a if b is None else b
    if "bounds" in a and "bounds" in b:
        if a["bounds"] == b["bounds"]:
            return {"bounds": a["bounds"], "counts": _sum(a["counts"], b["counts"])}
        common = sorted(set(a["bounds"]) & set(b["bounds"]))
        return {"bounds": common, "counts": _sum(_coarser(a, common), _coarser(b, common))}
    if "scale" in a and "scale" in b:
        scale = min(a["scale"], b["scale"])
        pairs = [(_shifted(a, sign, scale), _shifted(b, sign, scale)) for sign in _SIGNS]
        # Coarse enough first: buckets far apart would leave millions of empty ones between them.
        shift = 0
        while any(_union_width(*pair, shift) > MAX_BUCKETS for pair in pairs):
            shift += 1
        positive, negative = (_union(_merged(x, shift), _merged(y, shift)) for x, y in pairs)
        return _exponential(scale - shift, a["zero_count"] + b["zero_count"], positive, negative)
    return b


def subtract(now: Distribution | None, before: Distribution | None) -> Distribution | None:
    """What came to a cumulative distribution since `before`; None if it cannot follow on it."""
    if now is None or before is None:
        return None
    if "bounds" in now and now["bounds"] == before.get("bounds"):
        counts = [n - b for n, b in zip(now["counts"], before["counts"], strict=True)]
        return {"bounds": now["bounds"], "counts": counts} if min(counts) >= 0 else None
    if "scale" in now and "scale" in before and now["scale"] <= before["scale"]:
        scale = now["scale"]
        zero_count = now["zero_count"] - before["zero_count"]
        parts = [
            _minus(_shifted(now, sign, scale), _shifted(before, sign, scale)) for sign in _SIGNS
        ]
        if zero_count < 0 or parts[0] is None or parts[1] is None:
            return None
        return _exponential(scale, zero_count, parts[0], parts[1])
    return now if "quantiles" in now else None


def quantile(distribution: Distribution | None, q: float) -> float | None:
    """The value below which a share `q` (0..1) of the observations lies, by interpolation.

    None without observations, and for summaries, which carry their own quantiles.
    """
    steps = _steps(distribution) if distribution else []
    total = sum(count for _, _, count in steps)
    if not total:
        return None
    rank, seen = q * total, 0
    for low, high, count in steps:
        if count and seen + count >= rank:
            return low + (high - low) * max(0.0, rank - seen) / count
        seen += count
    return steps[-1][1]


def _steps(distribution: Distribution) -> list[tuple[float, float, int]]:
    if "bounds" in distribution:
        bounds = distribution["bounds"]
        if not bounds:
            return []
        # An open end has no width: what lies there is told to lie at its bound.
        first = min(0.0, bounds[0])
        edges = [first if bounds[0] > 0 else bounds[0], *bounds, bounds[-1]]
        return list(zip(edges, edges[1:], distribution["counts"], strict=False))
    if "scale" in distribution:
        base_log = 2.0 ** -distribution["scale"]
        offset, counts = _buckets(distribution["negative"])
        steps = [
            (-_power((offset + i + 1) * base_log), -_power((offset + i) * base_log), count)
            for i, count in reversed(list(enumerate(counts)))
        ]
        steps.append((0.0, 0.0, distribution["zero_count"]))
        offset, counts = _buckets(distribution["positive"])
        return steps + [
            (_power((offset + i) * base_log), _power((offset + i + 1) * base_log), count)
            for i, count in enumerate(counts)
        ]
    return []


def _power(exponent: float) -> float:
    return math.pow(2.0, max(-1022.0, min(1023.0, exponent)))


def _sum(a: Sequence[int], b: Sequence[int]) -> list[int]:
    return [min(x + y, MAX_COUNT) for x, y in zip(a, b, strict=True)]


def _coarser(distribution: Distribution, bounds: Sequence[float]) -> list[int]:
    below = dict(zip(distribution["bounds"], accumulate(distribution["counts"]), strict=False))
    total = sum(distribution["counts"])
    marks = [0, *(below[bound] for bound in bounds), total]
    return [min(high - low, MAX_COUNT) for low, high in pairwise(marks)]


def _buckets(part: Distribution | None) -> Buckets:
    if not part:
        return 0, []
    return part.get("offset") or 0, part.get("counts") or []


def _trimmed(buckets: Buckets) -> Buckets:
    offset, counts = buckets
    start, end = 0, len(counts)
    while start < end and not counts[start]:
        start += 1
    while end > start and not counts[end - 1]:
        end -= 1
    return (offset + start, counts[start:end]) if start < end else (0, [])


def _exponential(scale: int, zero_count: int, positive: Buckets, negative: Buckets) -> Distribution:
    """Trimmed, and made coarser until it holds few enough buckets."""
    positive, negative = _trimmed(positive), _trimmed(negative)
    shift = 0
    while any(_width(b, shift) > MAX_BUCKETS for b in (positive, negative)):
        shift += 1
    document: Distribution = {"scale": scale - shift, "zero_count": min(zero_count, MAX_COUNT)}
    for sign, buckets in zip(_SIGNS, (positive, negative), strict=True):
        offset, counts = _merged(buckets, shift)
        document[sign] = {"offset": offset, "counts": counts}
    return document


def _width(buckets: Buckets, shift: int) -> int:
    offset, counts = buckets
    return ((offset + len(counts) - 1) >> shift) - (offset >> shift) + 1 if counts else 0


def _merged(buckets: Buckets, shift: int) -> Buckets:
    offset, counts = buckets
    if not counts:
        return 0, []
    start = offset >> shift
    merged = [0] * _width(buckets, shift)
    for index, count in enumerate(counts, offset):
        slot = (index >> shift) - start
        merged[slot] = min(merged[slot] + count, MAX_COUNT)
    return start, merged


def _shifted(distribution: Distribution, sign: str, scale: int) -> Buckets:
    return _merged(_buckets(distribution[sign]), distribution["scale"] - scale)


def _union_width(a: Buckets, b: Buckets, shift: int) -> int:
    if not a[1] or not b[1]:
        return 0
    low, high = min(a[0], b[0]), max(a[0] + len(a[1]), b[0] + len(b[1]))
    return ((high - 1) >> shift) - (low >> shift) + 1


def _union(a: Buckets, b: Buckets) -> Buckets:
    if not a[1] or not b[1]:
        return a if a[1] else b
    low, high = min(a[0], b[0]), max(a[0] + len(a[1]), b[0] + len(b[1]))
    return low, [min(_at(a, i) + _at(b, i), MAX_COUNT) for i in range(low, high)]


def _at(buckets: Buckets, index: int) -> int:
    position = index - buckets[0]
    return buckets[1][position] if 0 <= position < len(buckets[1]) else 0


def _minus(now: Buckets, before: Buckets) -> Buckets | None:
    left = [count - _at(before, now[0] + i) for i, count in enumerate(now[1])]
    kept = sum(now[1]) - sum(left)
    if any(count < 0 for count in left) or kept != sum(before[1]):
        return None
    return now[0], left
