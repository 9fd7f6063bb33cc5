"""How long a trend of any range takes: 20 services, a quarter of a year, many patterns."""

from __future__ import annotations

import json
import statistics
import time
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import psycopg

from analytics.domain.histogram import BUCKETS
from tests.bench.running import READ_KEY, Site, running_site

SERVICES, PATTERNS = 20, 100
# Patterns of a service that have errors in an hour, and in a minute.
OF_AN_HOUR, OF_A_MINUTE = 25, 4
# 92 days are the longest range; the week before it is read as well.
DAYS = 99
MINUTES_KEPT = timedelta(hours=26)
REPEATS = 7
LIMIT_MS = 300
METRICS = ("error_rate", "traffic", "latency_p95", "errors", "patterns")
RANGES = ("5m", "1h", "6h", "11h", "24h", "7d", "30d", "90d")

_BUCKETS = f"(array_fill(0, ARRAY[20]) || 9 || 1 || array_fill(0, ARRAY[{BUCKETS - 22}]))"
_PARTITIONS = """
DO $$ DECLARE day timestamptz; name text; BEGIN
FOREACH name IN ARRAY ARRAY['callrollup', 'errorrollup', 'callrolluphour', 'errorrolluphour']
LOOP
    FOR day IN SELECT generate_series(date_trunc('day', {begin}, 'UTC'), now(), interval '1 day')
    LOOP EXECUTE format('CREATE TABLE IF NOT EXISTS analytics_%s_%s PARTITION OF analytics_%s '
        'FOR VALUES FROM (%L) TO (%L)', name, to_char(day AT TIME ZONE 'UTC', 'YYYYMMDD'), name,
        day, day + interval '1 day');
    END LOOP;
END LOOP; END $$
"""

# The minutes were changed before the hours, so that the site does not sum them up again meanwhile.
_SEED = (
    """
    INSERT INTO analytics_callrolluphour (hour, service, operation, kind, calls, errors,
        duration_ns, duration_max_ns, buckets, changed_at)
    SELECT hour, CASE s WHEN 0 THEN '' ELSE 'bench-' || s END, '', 0, 600, 60, 6e9, 9e7, {buckets},
        now()
    FROM generate_series({begin}, now(), interval '1 hour') hour, generate_series(0, {services}) s
    """,
    """
    INSERT INTO analytics_errorrolluphour (hour, service, pattern_id, errors, changed_at)
    SELECT hour, 'bench-' || s, md5(s || '-' || (n + extract(epoch FROM hour)::bigint / 3600 * 7)
        % {patterns})::uuid, 1 + (n * s) % 7, now()
    FROM generate_series({begin}, now(), interval '1 hour') hour, generate_series(1, {services}) s,
        generate_series(1, {of_an_hour}) n
    """,
    """
    INSERT INTO analytics_callrollup (minute, service, operation, kind, calls, errors,
        duration_ns, duration_max_ns, buckets, changed_at)
    SELECT minute, 'bench-' || s, CASE o WHEN 0 THEN '' ELSE 'GET /' || o END, 0, 10, 1, 1e8, 9e7,
        {buckets}, now() - interval '1 hour'
    FROM ({minutes}) m, generate_series(1, {services}) s, generate_series(0, 5) o
    """,
    """
    INSERT INTO analytics_errorrollup (minute, service, pattern_id, errors, changed_at)
    SELECT minute, 'bench-' || s, md5(s || '-' || (n + extract(epoch FROM minute)::bigint / 60 * 7)
        % {patterns})::uuid, 1 + (n * s) % 7, now() - interval '1 hour'
    FROM ({minutes}) m, generate_series(1, {services}) s, generate_series(1, {of_a_minute}) n
    """,
)
# A little ahead, for as long as measuring takes.
_MINUTES = """
SELECT minute FROM generate_series(
    date_trunc('minute', now() - {before}::interval - {kept}::interval),
    now() - {before}::interval + interval '20 minutes', interval '1 minute') minute
"""


def seed(database_url: str) -> None:
    """Write the figures as they are summed up from telemetry, without the telemetry."""
    begin = f"date_trunc('hour', now(), 'UTC') - interval '{DAYS} days'"
    kept = f"'{MINUTES_KEPT.total_seconds():.0f} s'"
    names = {
        "begin": begin,
        "buckets": _BUCKETS,
        "services": SERVICES,
        "patterns": PATTERNS,
        "of_an_hour": OF_AN_HOUR,
        "of_a_minute": OF_A_MINUTE,
        # A day, and the same a week before, which it is compared with.
        "minutes": " UNION ALL ".join(
            _MINUTES.format(before=before, kept=kept) for before in ("'0 s'", "'7 days'")
        ),
    }
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_PARTITIONS.format(begin=begin))
        for statement in _SEED:
            connection.execute(statement.format(**names))
        connection.execute(import_module("analytics.migrations.0013_error_totals").FILL)
        connection.execute("VACUUM ANALYZE")


def measure() -> dict[str, Any]:
    """Milliseconds of the answers of `GET /api/v1/trends`, by figure and range, on a site of its
    own; of all services and of one."""
    with running_site() as site:
        seed(site.database_url)
        return {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "services": SERVICES,
            "patterns": SERVICES * PATTERNS,
            "median_ms": {
                f"{metric} of {whose or 'all services'}": {
                    since: _median(site, metric, since, whose) for since in RANGES
                }
                for metric in METRICS
                for whose in ("", "bench-7")
            },
        }


def _median(site: Site, metric: str, since: str, service: str) -> float:
    question = urllib.parse.urlencode({"metric": metric, "since": since, "service": service})
    request = urllib.request.Request(
        f"http://127.0.0.1:{site.port}/api/v1/trends?{question}",
        headers={"Authorization": f"Bearer {READ_KEY}"},
    )
    took = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        with urllib.request.urlopen(request, timeout=60) as answer:
            points = json.load(answer)["points"]
        took.append((time.perf_counter() - began) * 1e3)
        assert sum(point["value"] is not None for point in points) >= len(points) - 1, question
    return statistics.median(took)


def table(figures: dict[str, Any]) -> str:
    rows = figures["median_ms"]
    width = max(map(len, rows)) + 2
    lines = [f"{'trends, median ms':<{width}}" + "".join(f"{each:>6}" for each in RANGES)]
    for name, row in rows.items():
        lines.append(f"{name:<{width}}" + "".join(f"{row[each]:>6.0f}" for each in RANGES))
    slowest = max(value for row in rows.values() for value in row.values())
    lines.append(f"{'the slowest (limit)':<{width}}{slowest:>6.0f} ({LIMIT_MS})")
    return "\n".join(lines)
