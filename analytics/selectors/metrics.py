"""Reads of metrics: which series there are, and their points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from typing import Any
from uuid import UUID

import orjson
from django.db import connection
from django.db.models import QuerySet

from analytics.domain.distributions import Distribution, add, quantile
from analytics.models import MetricSeries
from analytics.models.partitions import metric_minute_retention
from resilience_site.core.timerange import TimeRange

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class MetricPoint:
    """What a series added up to in the step of time that begins at `at`.

    The fields are those of `analytics.models.metrics.MetricFigures`; `seconds` is the step.
    """

    at: datetime
    seconds: float
    points: int
    count: int
    total: float | None
    minimum: float | None
    maximum: float | None
    increase: float | None
    resets: int
    last: float | None
    distribution: Distribution | None

    @property
    def mean(self) -> float | None:
        """Of the observations of a histogram, of the values of anything else; None without any."""
        number = self.count or self.points
        return None if self.total is None or not number else self.total / number

    @property
    def rate(self) -> float | None:
        """By how much the series grew per second; None where it does not grow."""
        return None if self.increase is None else self.increase / self.seconds

    def quantile(self, q: float) -> float | None:
        """The value below which a share `q` (0..1) of the observations lies."""
        return quantile(self.distribution, q)


def series_list(*, service: str = "", name: str = "") -> QuerySet[MetricSeries]:
    """The series of a service, of a metric, of both, or all, by name."""
    rows = MetricSeries.objects.all()
    if service:
        rows = rows.filter(service=service)
    if name:
        rows = rows.filter(name=name)
    return rows.order_by("service", "name", "id")


def series_points(
    series_ids: Sequence[UUID], within: TimeRange, step: timedelta, *, now: datetime
) -> list[MetricPoint]:
    """The points of one series, or of several added up; steps without points are left out.

    Reads minutes as far as they are kept and the step asks for it, hours otherwise.
    """
    hourly = step >= _HOUR or within.since < now - metric_minute_retention()
    table, column = (
        ("analytics_metricrolluphour", "hour") if hourly else ("analytics_metricrollup", "minute")
    )
    step = max(step, _HOUR) if hourly else step
    parameters: list[Any] = [step, list(series_ids), within.since, within.until]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT date_bin(%s, {column}, 'epoch'::timestamptz) AS at, "
            "sum(points)::bigint, LEAST(sum(count), 9223372036854775807)::bigint, sum(total), "
            "min(minimum), max(maximum), sum(increase), sum(resets)::bigint, "
            "(array_agg(last ORDER BY last_at DESC NULLS LAST))[1], "
            f"array_agg(distribution::text ORDER BY {column}) "
            "FILTER (WHERE distribution IS NOT NULL) "
            f"FROM {table} WHERE series_id = ANY(%s) "
            f"AND {column} >= date_trunc('minute', %s::timestamptz) AND {column} < %s "
            "GROUP BY at ORDER BY at",
            parameters,
        )
        seconds = step.total_seconds()
        return [
            MetricPoint(at, seconds, *[*figures, _merged(documents)])
            for at, *figures, documents in cursor.fetchall()
        ]


def _merged(documents: list[str] | None) -> Distribution | None:
    if not documents:
        return None
    loaded: list[Any] = [orjson.loads(document) for document in documents]
    return reduce(add, loaded)
