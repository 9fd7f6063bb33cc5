"""A day of history costs the same twice as once: what the tasks have worked through, they leave."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import pytest
from django.db import connection, transaction

from analytics.models import MetricSeries
from analytics.models.partitions import METRIC_ROLLUPS
from analytics.services.anomaly_detection import anomalies_detect
from analytics.services.call_hours import call_hours_sum
from analytics.services.exhaustions import exhaustions_make
from analytics.services.figure_hours import chain_hours_sum
from analytics.services.forecasts import forecasts_make
from analytics.services.metric_hours import metric_hours_sum
from analytics.services.signs import signs_collect
from resilience_site.core import partitions
from tests.analytics.figures.history import write_calls, write_errors
from tests.analytics.trends.test_figure_hours import chain, write

pytestmark = pytest.mark.usefixtures("store")

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# The end of the first day; a second one follows.
FIRST = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - DAY
# Rows by which days of the same kind differ.
_FEW = 20
# Rows that another plan of the database reads of small tables, beyond those that are wanted.
_PLANS = 500
_WRITTEN = """
SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint,
    coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint
FROM pg_stat_xact_user_tables WHERE relname ~ '^(analytics|core|health)_'
"""
_TABLES = """
SELECT c.relname FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND c.relname LIKE 'analytics\\_%' ORDER BY 1
"""


class Cost(NamedTuple):
    """Statements, rows written and rows read."""

    statements: int
    written: int
    read: int


TASKS: dict[str, Callable[..., Any]] = {
    "hours of calls": call_hours_sum,
    "hours of chains": chain_hours_sum,
    "hours of metrics": metric_hours_sum,
    "anomalies": anomalies_detect,
    "signs": signs_collect,
    "exhaustions": exhaustions_make,
    "forecasts": lambda *, now: list(forecasts_make(now=now)),
}


def day(until: datetime) -> None:
    """Calls, errors, chains and a gauge of the day before a moment, as they were stored then."""
    since = until - DAY
    for place, service in enumerate(("planner", "graph")):
        write_calls(
            service, since, until,
            lambda at, place=place: (60 + round(9 * math.sin(at.minute)), at.minute % 3, 9.0 + place),
        )  # fmt: skip
        for pattern in range(3):
            hours = [(since + hour * HOUR, 1 + hour % 5) for hour in range(pattern, 24, 3)]
            write_errors(service, uuid5(UUID(int=1), f"{service}{pattern}"), hours)
    write(
        *(
            chain(since + hour * HOUR + MINUTE, "graph", "planner", written=until)
            for hour in range(24)
        )
    )
    series, _ = MetricSeries.objects.get_or_create(
        id=UUID(int=7),
        defaults={
            "service": "planner", "scope": "", "name": "system.memory.utilization", "unit": "1",
            "kind": "gauge", "temporality": 0, "monotonic": False, "attributes": {"state": "used"},
            "first_seen": since, "last_seen": datetime.now(UTC).date(),
        },
    )  # fmt: skip
    partitions.ensure(METRIC_ROLLUPS, since, until)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO analytics_metricrollup (minute, series_id, points, count, total, minimum, "
            "maximum, resets, last, changed_at) SELECT minute, %s, 1, 0, 0.5, 0.5, 0.5, 0, 0.5, %s "
            "FROM generate_series(%s, %s - interval '1 minute', interval '1 minute') minute",
            [series.id, until, since, until],
        )
        for table in ("callrollup", "errorrollup"):
            cursor.execute(
                f"UPDATE analytics_{table} SET changed_at = %s WHERE minute >= %s AND minute < %s",
                [until, since, until],
            )


def cost(task: Callable[..., Any], now: datetime) -> Cost:
    statements = 0

    def counted(execute: Callable[..., Any], *given: Any) -> Any:
        nonlocal statements
        statements += 1
        return execute(*given)

    with connection.cursor() as cursor:
        # The counts hold what was not reported yet of transactions before, too.
        cursor.execute("SELECT pg_stat_force_next_flush()")
    with transaction.atomic():
        with connection.execute_wrapper(counted):
            task(now=now)
        with connection.cursor() as cursor:
            cursor.execute(_WRITTEN)
            written, read = cursor.fetchone()
    return Cost(statements, written, read)


def contents() -> dict[str, str]:
    """A sum of the rows of each table."""
    found = {}
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        for (name,) in cursor.fetchall():
            cursor.execute(f"SELECT coalesce(sum(hashtext(t::text)), 0)::text FROM {name} t")
            found[name] = cursor.fetchone()[0]
    return found


@pytest.fixture
def worked() -> dict[str, Cost]:
    """What each task spent on the first day."""
    day(FIRST)
    return {name: cost(task, FIRST + 10 * MINUTE) for name, task in TASKS.items()}


def test_the_same_day_again_writes_nothing_and_costs_no_more(worked: dict[str, Cost]) -> None:
    before = contents()
    for name, task in TASKS.items():
        once, again = worked[name], cost(task, FIRST + 10 * MINUTE)
        assert once.written > 0, name
        assert again.written == 0, name
        assert again.statements <= once.statements, name
        # What was written is looked at, for where to go on.
        assert again.read <= once.read + once.written + _PLANS, name
    assert contents() == before


def test_another_day_costs_what_one_day_does(worked: dict[str, Cost]) -> None:
    day(FIRST + DAY)
    for name, task in TASKS.items():
        once, second = worked[name], cost(task, FIRST + DAY + 10 * MINUTE)
        assert second.written <= once.written + _FEW, name
        assert second.statements <= once.statements + _FEW, name
