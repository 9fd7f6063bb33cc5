"""What metric points add up to per series and minute, and writing it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection

from analytics.domain.distributions import MAX_COUNT, Distribution, add
from analytics.domain.streams import Growth
from analytics.services.rollups import MINUTE_NS

DELTA, CUMULATIVE = 1, 2
# Sums of larger ones could leave the range of a double, which PostgreSQL refuses.
_MAX_VALUE = 1e290

Key = tuple[int, str]


def finite(value: float | None) -> float | None:
    """A value that can be added up, None for what is no number."""
    if value is None or not math.isfinite(value):
        return None
    return max(-_MAX_VALUE, min(_MAX_VALUE, float(value)))


class PointFigures:
    """The points of one series in one minute being added up before they are written."""

    __slots__ = (
        "count",
        "distribution",
        "increase",
        "last",
        "last_ns",
        "maximum",
        "minimum",
        "points",
        "resets",
        "total",
    )

    def __init__(self) -> None:
        self.points = 0
        self.count = 0
        self.total: float | None = None
        self.minimum: float | None = None
        self.maximum: float | None = None
        self.increase: float | None = None
        self.resets = 0
        self.last: float | None = None
        self.last_ns = 0
        self.distribution: Distribution | None = None

    def add_level(self, value: float) -> None:
        """A value that stands for itself: of a gauge, or of a sum that may fall."""
        self.total = value if self.total is None else self.total + value
        self.add_extremes(value, value)

    def add_extremes(self, minimum: float | None, maximum: float | None) -> None:
        if minimum is not None and (self.minimum is None or minimum < self.minimum):
            self.minimum = minimum
        if maximum is not None and (self.maximum is None or maximum > self.maximum):
            self.maximum = maximum

    def add_increase(self, grown: float, reset: bool = False) -> None:
        """By how much a sum grew."""
        self.increase = grown if self.increase is None else self.increase + grown
        self.resets += reset

    def add_observations(self, grown: Growth) -> None:
        """Observations of a histogram or a summary, `value` being their sum."""
        self.count = min(self.count + grown.observations, MAX_COUNT)
        self.total = grown.value if self.total is None else self.total + grown.value
        self.distribution = add(self.distribution, grown.distribution)
        self.resets += grown.reset

    def set_last(self, value: float, time_ns: int) -> None:
        """The newest value as sent."""
        if time_ns >= self.last_ns:
            self.last, self.last_ns = value, time_ns


class MetricFigures:
    """The figures of one batch, by minute since the epoch and series id (32 hex digits)."""

    def __init__(self) -> None:
        self._figures: dict[Key, PointFigures] = {}

    def of(self, time_ns: int, series_id: str) -> PointFigures:
        key = (time_ns // MINUTE_NS, series_id)
        figures = self._figures.get(key)
        if figures is None:
            figures = self._figures[key] = PointFigures()
        return figures

    def write(self, at: datetime) -> None:
        """Add the figures to the table. Distributions are merged here: the caller holds the lock
        of their services."""
        if not self._figures:
            return
        keys = sorted(self._figures)
        stored = _stored_distributions(
            [key for key in keys if self._figures[key].distribution is not None]
        )
        rows = [_row(key, self._figures[key], stored.get(key)) for key in keys]
        with connection.cursor() as cursor:
            cursor.execute(_UPSERT, [at, *map(list, zip(*rows, strict=True))])


_UPSERT = """
INSERT INTO analytics_metricrollup AS t (changed_at, minute, series_id, points, count, total,
    minimum, maximum, increase, resets, last, last_at, distribution)
SELECT %s::timestamptz, * FROM unnest(%s::timestamptz[], %s::uuid[], %s::bigint[], %s::bigint[],
    %s::float8[], %s::float8[], %s::float8[], %s::float8[], %s::integer[], %s::float8[],
    %s::timestamptz[], %s::jsonb[])
ON CONFLICT (minute, series_id) DO UPDATE SET
    changed_at = GREATEST(t.changed_at, excluded.changed_at),
    points = t.points + excluded.points,
    count = LEAST(t.count::numeric + excluded.count, 9223372036854775807)::bigint,
    total = COALESCE(t.total + excluded.total, t.total, excluded.total),
    minimum = LEAST(t.minimum, excluded.minimum),
    maximum = GREATEST(t.maximum, excluded.maximum),
    increase = COALESCE(t.increase + excluded.increase, t.increase, excluded.increase),
    resets = t.resets + excluded.resets,
    last = CASE WHEN t.last_at > excluded.last_at THEN t.last
        ELSE COALESCE(excluded.last, t.last) END,
    last_at = GREATEST(t.last_at, excluded.last_at),
    distribution = COALESCE(excluded.distribution, t.distribution)
"""


def _row(key: Key, figures: PointFigures, stored: Distribution | None) -> tuple[Any, ...]:
    minute, series_id = key
    distribution = add(stored, figures.distribution)
    return (
        datetime.fromtimestamp(minute * 60, UTC),
        series_id,
        figures.points,
        figures.count,
        finite(figures.total),
        figures.minimum,
        figures.maximum,
        finite(figures.increase),
        figures.resets,
        figures.last,
        datetime.fromtimestamp(figures.last_ns / 1e9, UTC) if figures.last_ns else None,
        orjson.dumps(distribution).decode() if distribution is not None else None,
    )


def _stored_distributions(keys: list[Key]) -> Mapping[Key, Distribution]:
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM r.minute)::bigint / 60, replace(r.series_id::text, '-', ''), "
            "r.distribution::text FROM analytics_metricrollup r "
            "JOIN unnest(%s::timestamptz[], %s::uuid[]) AS k (minute, series_id) "
            "ON r.minute = k.minute AND r.series_id = k.series_id "
            "WHERE r.distribution IS NOT NULL",
            [
                [datetime.fromtimestamp(minute * 60, UTC) for minute, _ in keys],
                [series_id for _, series_id in keys],
            ],
        )
        return {(row[0], row[1]): orjson.loads(row[2]) for row in cursor.fetchall()}
