"""How many runs of checks answered, and how many of them slowly, outside maintenance.

Whole hours that are summed up are read from their histograms, all else from the results
themselves, put into the same buckets by the same expression. So a stretch of time has the same
counts whichever they come from. Where results are no longer kept, hours are taken as they are, and
the runs of one that is cut count at its beginning.
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
from health.selectors.seconds import HOUR

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
    LEAST(GREATEST(COALESCE(s.hours_from, %(first)s), %(first)s), %(last_hour)s)
FROM health_check c JOIN health_checkstatus s ON s.check_id = c.id
WHERE c.critical AND c.service = ANY(%(services)s::text[]) ORDER BY 1
"""
# Each check `k` is counted by itself, so that each is looked up by its index, and what it had within
# a band is one row from there on.
_EACH: Final = """
SELECT w.number, one.* FROM k JOIN w ON w.service = k.service CROSS JOIN LATERAL ({of_check}) one
"""
# Most hours have no slow run, which is told far faster than runs are added up. Of an hour all of
# which was maintenance nothing counts, also where that was decided only after its results were gone.
_OF_HOURS: Final = """
SELECT width_bucket(h.hour, %(bounds)s::timestamptz[]) AS band,
    sum(CASE WHEN h.latency_counts ?| w.slow THEN
        (SELECT COALESCE(sum(value::int), 0) FROM jsonb_each_text(h.latency_counts)
            WHERE key::int >= w.slow_from)
        - (SELECT COALESCE(sum(value::int), 0) FROM jsonb_each_text(h.maintenance_latency_counts)
            WHERE key::int >= w.slow_from)
    END) AS slow,
    sum(h.runs - CASE WHEN h.maintenance_latency_counts <> '{}' THEN
        (SELECT sum(value::int) FROM jsonb_each_text(h.maintenance_latency_counts))
    ELSE 0 END) AS runs
FROM health_checkhour h
WHERE h.check_id = k.check_id AND h.hour >= %(first)s AND h.hour < %(last_hour)s
    AND h.up + h.degraded + h.down + h.unreachable + h.unknown > 0
"""
_WHOLE: Final = (
    f"{_OF_HOURS} AND h.hour < k.hours_to AND h.hour <> ALL(%(cut)s::timestamptz[]) GROUP BY 1"
)
_GONE: Final = (
    f"{_OF_HOURS} AND {{which}} AND NOT EXISTS (SELECT FROM health_checkresult r "
    "WHERE r.check_id = h.check_id AND r.at >= h.hour AND r.at < h.hour + interval '1 hour') "
    "GROUP BY 1"
)
_GONE_SINCE: Final = _GONE.replace("{which}", "h.hour >= k.hours_to")
_GONE_CUT: Final = _GONE.replace(
    "{which}", "h.hour < k.hours_to AND h.hour = ANY(%(cut)s::timestamptz[])"
)
# Of results: those from `hours_to` on, and those in hours that are cut.
_OF_RESULTS: Final = f"""
SELECT width_bucket(r.at, %(bounds)s::timestamptz[]) AS band,
    count(*) FILTER (WHERE {BUCKET} >= w.slow_from) AS slow, count(*) AS runs
FROM health_checkresult r
WHERE r.check_id = k.check_id AND {ANSWERED} AND NOT {COVERED}
"""
_SINCE: Final = (
    f"{_OF_RESULTS} AND r.at >= k.hours_to AND r.at >= %(first)s AND r.at < %(until)s GROUP BY 1"
)
_CUT: Final = (
    f"{_OF_RESULTS} AND r.at < k.hours_to AND r.at >= %(from_PLACE)s AND r.at < %(to_PLACE)s "
    "GROUP BY 1"
)
_RUNS: Final = f"""
WITH w (number, service, slow_from, slow) AS (
    SELECT *, ARRAY(SELECT generate_series(slow_from, {latency.LAST})::text)
    FROM unnest(%(numbers)s::int[], %(names)s::text[], %(slow_from)s::int[])
        AS asked (number, service, slow_from)
), k (check_id, service, hours_to, cover) AS MATERIALIZED (
    SELECT * FROM unnest(%(ids)s::uuid[], %(of)s::text[], %(hours_to)s::timestamptz[],
        %(cover)s::int[])
), {SPANS}
SELECT number, band, COALESCE(sum(slow), 0)::bigint, sum(runs)::bigint FROM ({{parts}}) AS found
GROUP BY 1, 2
"""
# With more hours that are cut apart from each other, all hours between them are taken as cut.
_MOST_CUTS: Final = 24


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
        cursor.execute(_RUNS.format(parts=values.parts), parameters)
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
        first, self.until = bounds[0], bounds[-1]
        cut = sorted({_hour_of(each) for each in bounds if each != _hour_of(each)})
        spans = _joined(cut)
        if len(spans) > _MOST_CUTS:
            spans = [(cut[0], cut[-1] + HOUR)]
            cut = [cut[0] + number * HOUR for number in range((cut[-1] - cut[0]) // HOUR + 1)]
        cuts = [_CUT.replace("PLACE", str(place)) for place in range(len(spans))]
        self.parts = " UNION ALL ".join(
            _EACH.format(of_check=each) for each in (_WHOLE, _GONE_SINCE, _GONE_CUT, _SINCE, *cuts)
        )
        self.parameters: dict[str, Any] = {
            "bounds": list(bounds),
            "first": first,
            "until": self.until,
            "last_hour": _hour_of(self.until),
            "cut": cut,
        }
        for place, (start, end) in enumerate(spans):
            self.parameters |= {
                f"from_{place}": max(start, first), f"to_{place}": min(end, self.until),
            }  # fmt: skip


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
    # Before it no result is read.
    first = min(*(hours_to for _, _, hours_to in checks), *values.parameters["cut"], values.until)
    covers = Covers(Covering(windows_between(first, values.until)))
    numbers = [covers.number(check_id, service) for check_id, service, _ in checks]
    return {"cover": numbers, **span_arrays(covers.spans)}


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
