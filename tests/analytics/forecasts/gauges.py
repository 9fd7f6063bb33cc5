"""Hours of gauges, written as summing up writes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import connection

from analytics.models import MetricSeries
from analytics.models.partitions import METRIC_HOURS
from resilience_site.core import partitions

HOUR = timedelta(hours=1)


def gauge(
    service: str, name: str, now: datetime, values: Sequence[float], **attributes: str
) -> UUID:
    """A gauge of a service with one value in each of the hours before `now`, the newest last."""
    series = MetricSeries.objects.create(
        id=uuid4(), service=service, scope="", name=name, unit="", kind="gauge", temporality=0,
        monotonic=False, first_seen=now, last_seen=now.date(),
        attributes={key.replace("__", "."): value for key, value in attributes.items()},
    )  # fmt: skip
    end = now.replace(minute=0, second=0, microsecond=0)
    hours = [end - HOUR * back for back in range(len(values), 0, -1)]
    partitions.ensure(METRIC_HOURS, hours[0], hours[-1])
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO analytics_metricrolluphour (hour, series_id, points, count, total, "
            "minimum, maximum, resets, last, changed_at) SELECT hour, %s, 1, 0, value, value, "
            "value, 0, value, hour FROM unnest(%s::timestamptz[], %s::float8[]) AS r (hour, value)",
            [series.id, hours, list(values)],
        )
    return series.id
