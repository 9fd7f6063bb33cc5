"""The runs of one check over time, summed up in steps: what its chart draws."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection

from resilience_site.core.timerange import TimeRange

MOST_STEPS: Final = 180
_STEPS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (
        1, 2, 5, 10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200,
        86_400, 172_800, 604_800,
    )
)  # fmt: skip
_ORIGIN: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class RunStep:
    """The runs that began in a step; latencies in milliseconds of those that succeeded, None
    without any."""

    at: datetime
    runs: int
    failed: int
    inconclusive: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None

    @property
    def good(self) -> int:
        return self.runs - self.failed - self.inconclusive


def step_for(within: TimeRange, interval_seconds: float) -> timedelta:
    """The shortest step of which a chart of `within` has no more than 180, and that no run of a
    check at that interval skips because of jitter."""
    least = timedelta(seconds=min(2 * interval_seconds, _STEPS[-1].total_seconds()))
    for step in _STEPS:
        if step >= least and within.length <= MOST_STEPS * step:
            return step
    return _STEPS[-1]


def steps_of(within: TimeRange, step: timedelta) -> list[datetime]:
    """The starts of all steps of a range, also of those without runs."""
    at = _ORIGIN + (within.since - _ORIGIN) // step * step
    found = []
    while at < within.until:
        found.append(at)
        at += step
    return found


_SERIES: Final = """
SELECT date_bin(%(step)s, at, %(origin)s), count(*),
    count(*) FILTER (WHERE status = 'down'),
    count(*) FILTER (WHERE status IN ('internal_error', 'withheld')),
    percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY latency_ms)
        FILTER (WHERE status IN ('up', 'degraded') AND latency_ms IS NOT NULL)
FROM health_checkresult
WHERE check_id = %(check)s AND at >= %(since)s AND at < %(until)s
GROUP BY 1 ORDER BY 1
"""


def run_series(check_id: UUID, within: TimeRange, step: timedelta) -> list[RunStep]:
    """The steps of `within` in which a run began, oldest first; one query."""
    values: dict[str, Any] = {
        "check": check_id,
        "since": within.since,
        "until": within.until,
        "step": step,
        "origin": _ORIGIN,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SERIES, values)
        return [
            RunStep(at, runs, failed, inconclusive, *(percentiles or (None, None, None)))
            for at, runs, failed, inconclusive, percentiles in cursor.fetchall()
        ]
