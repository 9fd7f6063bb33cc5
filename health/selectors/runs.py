"""How many runs of checks answered, and how many of them slowly, outside maintenance.

Whole hours that are summed up are read from their histograms, all else from the results
themselves, put into the same buckets by the same expression. So a stretch of time has the same
counts whichever they come from. Where the results of a cut hour are no longer kept, all of its
runs count at its beginning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from health.domain import latency
from health.domain.windows import Span
from health.selectors.arrays import array_text
from health.selectors.maintenance import Covering, windows_between
from health.selectors.seconds import HOUR, PENDING

# Of `health_checkresult AS r`: whether it answered, and the bucket of `health.domain.latency` that
# its latency lies in.
ANSWERED: Final = "r.status IN ('up', 'degraded') AND r.latency_ms IS NOT NULL"
BUCKET: Final = f"""
CASE WHEN r.latency_ms <= {latency.LOWEST_MS} THEN 0 ELSE LEAST({latency.LAST},
    ceil(ln(r.latency_ms::float8 / {latency.LOWEST_MS}) / ln({latency.GROWTH}::float8)))::int END
"""
# Of a check `k` and a moment `r.at`: whether it was in maintenance. `SPANS` are the spans of each
# `cover`, which is null for checks that no window covers.
SPANS: Final = (
    "spans (cover, starts_at, ends_at) AS MATERIALIZED (SELECT * FROM unnest("
    "%(covers)s::int[], %(span_starts)s::timestamptz[], %(span_ends)s::timestamptz[]))"
)
COVERED: Final = (
    "(k.cover IS NOT NULL AND EXISTS (SELECT FROM spans WHERE spans.cover = k.cover "
    "AND spans.starts_at <= r.at AND r.at < spans.ends_at))"
)

_CHECKS: Final = """
SELECT c.id, c.service,
    LEAST(GREATEST(COALESCE(s.hours_from, %(first)s), %(trusted)s), %(last_hour)s)
FROM health_check c JOIN health_checkstatus s ON s.check_id = c.id
WHERE c.critical AND c.service = ANY(%(services)s::text[]) ORDER BY 1
"""
# Of an hour all of which was maintenance nothing counts, also where that was decided only after
# its results were gone.
_OF_HOUR: Final = """
CROSS JOIN LATERAL (
    SELECT COALESCE(sum(runs) FILTER (WHERE bucket >= w.slow_from), 0)::bigint AS slow,
        COALESCE(sum(runs), 0)::bigint AS runs
    FROM (
        SELECT key::int AS bucket, value::int AS runs FROM jsonb_each_text(h.latency_counts)
        UNION ALL
        SELECT key::int, -value::int FROM jsonb_each_text(h.maintenance_latency_counts)
    ) counted
    WHERE h.up + h.degraded + h.down + h.unreachable + h.unknown > 0
) AS of_hour
"""
_RESULT: Final = (
    f"SELECT k.service, r.at, {BUCKET} AS bucket FROM {{of}} JOIN health_checkresult r "
    f"ON r.check_id = k.check_id AND {{within}} WHERE {ANSWERED} AND NOT {COVERED}"
)
_SINCE_HOURS: Final = _RESULT.format(
    of="k",
    within="r.at >= k.hours_to AND r.at >= %(trusted)s AND r.at < %(until)s",
)
_IN_CUTS: Final = _RESULT.format(
    of="k CROSS JOIN cuts",
    within="r.at >= cuts.start AND r.at < LEAST(cuts.until, k.hours_to) "
    "AND r.at >= %(first)s AND r.at < %(until)s",
)
_RUNS: Final = f"""
WITH w (number, service, slow_from) AS (
    SELECT * FROM unnest(%(numbers)s::int[], %(names)s::text[], %(slow_from)s::int[])
), k (check_id, service, hours_to, cover) AS MATERIALIZED (
    SELECT * FROM unnest(%(ids)s::uuid[], %(of)s::text[], %(hours_to)s::timestamptz[],
        %(cover)s::int[])
), cuts (start, until) AS (
    SELECT * FROM unnest(%(cut_starts)s::timestamptz[], %(cut_ends)s::timestamptz[])
), {SPANS}, found AS (
    SELECT w.number, h.hour AS at, of_hour.slow, of_hour.runs
    FROM k JOIN w ON w.service = k.service
    JOIN health_checkhour h ON h.check_id = k.check_id AND h.hour < k.hours_to {_OF_HOUR}
    WHERE h.hour >= %(first)s AND h.hour < %(last_hour)s
        AND h.hour <> ALL(%(cut_hours)s::timestamptz[])
    UNION ALL
    SELECT w.number, h.hour, of_hour.slow, of_hour.runs
    FROM k JOIN w ON w.service = k.service CROSS JOIN unnest(%(cut_hours)s::timestamptz[]) AS c (hour)
    JOIN health_checkhour h ON h.check_id = k.check_id AND h.hour = c.hour AND c.hour < k.hours_to
        {_OF_HOUR}
    WHERE h.hour >= %(first)s AND h.hour < %(last_hour)s AND NOT EXISTS (
        SELECT FROM health_checkresult r WHERE r.check_id = k.check_id
            AND r.at >= c.hour AND r.at < c.hour + interval '1 hour'
    )
    UNION ALL
    SELECT w.number, r.at, (r.bucket >= w.slow_from)::int, 1
    FROM ({_SINCE_HOURS} UNION ALL {_IN_CUTS}) AS r JOIN w ON w.service = r.service
)
SELECT number, width_bucket(at, %(bounds)s::timestamptz[]), sum(slow)::bigint, sum(runs)::bigint
FROM found GROUP BY 1, 2
"""


@dataclass(frozen=True)
class AskedRuns:
    """The runs of the critical checks of a service; slow are those in the bucket `slow_from`, or
    in a later one."""

    service: str
    slow_from: int


@dataclass(frozen=True)
class RunBand:
    """The runs from one bound to the next: the bound's number, the slow ones, and all."""

    band: int
    slow: int
    runs: int


def run_bands(asked: Sequence[AskedRuns], bounds: Sequence[datetime]) -> list[list[RunBand]]:
    """For each of those asked for the runs between the ascending `bounds`, which are whole minutes;
    bands without runs are left out. Three queries."""
    found: list[list[RunBand]] = [[] for _ in asked]
    values = _Values(bounds)
    checks = _checks({each.service for each in asked}, values)
    if not checks:
        return found
    parameters = values.parameters | _covers(checks, values) | {
        "numbers": list(range(len(asked))),
        "names": array_text(each.service for each in asked),
        "slow_from": [each.slow_from for each in asked],
        "ids": array_text(check for check, _, _ in checks),
        "of": array_text(service for _, service, _ in checks),
        "hours_to": array_text(hours_to for _, _, hours_to in checks),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_RUNS, parameters)
        for number, band, slow, runs in cursor.fetchall():
            found[number].append(RunBand(band - 1, slow, runs))
    return found


def span_arrays(spans: Iterable[Sequence[Span]]) -> dict[str, Any]:
    """The parameters of `SPANS`: of each cover, by its number, the spans."""
    rows = [(cover, each) for cover, of in enumerate(spans) for each in of]
    return {
        "covers": [cover for cover, _ in rows],
        "span_starts": array_text(each.starts_at for _, each in rows),
        "span_ends": array_text(each.ends_at for _, each in rows),
    }


class Covers:
    """Numbers for the spans that cover checks, the same for all that share them."""

    def __init__(self, covering: Covering) -> None:
        self._covering = covering
        self._numbers: dict[int, int] = {}
        self.spans: list[Sequence[Span]] = []

    def number(self, check_id: UUID, service: str) -> int | None:
        """That of a check; None where no window covers it."""
        spans = self._covering.of(check_id, service)
        if not spans:
            return None
        if id(spans) not in self._numbers:
            self._numbers[id(spans)] = len(self.spans)
            self.spans.append(spans)
        return self._numbers[id(spans)]


class _Values:
    """The times that the queries share."""

    def __init__(self, bounds: Sequence[datetime]) -> None:
        self.first, self.until = bounds[0], bounds[-1]
        last_hour = _hour_of(self.until)
        cut = sorted({_hour_of(each) for each in bounds if each != _hour_of(each)})
        joined = _joined(cut)
        trusted = max(self.first, _hour_of(self.until - PENDING))
        # No result before it is read.
        self.results_from = min(trusted, *cut) if cut else trusted
        self.parameters: dict[str, Any] = {
            "bounds": list(bounds),
            "first": self.first,
            "until": self.until,
            "last_hour": last_hour,
            "trusted": trusted,
            "cut_hours": cut,
            "cut_starts": [start for start, _ in joined],
            "cut_ends": [end for _, end in joined],
        }


def _joined(hours: Iterable[datetime]) -> list[tuple[datetime, datetime]]:
    """The hours as spans, those that touch as one."""
    found: list[tuple[datetime, datetime]] = []
    for hour in hours:
        if found and found[-1][1] == hour:
            found[-1] = found[-1][0], hour + HOUR
        else:
            found.append((hour, hour + HOUR))
    return found


def _checks(services: Collection[str], values: _Values) -> list[tuple[UUID, str, datetime]]:
    """The critical checks of the services, each with up to when its hours are taken."""
    with connection.cursor() as cursor:
        cursor.execute(_CHECKS, values.parameters | {"services": array_text(sorted(services))})
        return cursor.fetchall()


def _covers(checks: Sequence[tuple[UUID, str, datetime]], values: _Values) -> dict[str, Any]:
    covers = Covers(Covering(windows_between(values.results_from, values.until)))
    numbers = [covers.number(check_id, service) for check_id, service, _ in checks]
    return {"cover": numbers, **span_arrays(covers.spans)}


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
