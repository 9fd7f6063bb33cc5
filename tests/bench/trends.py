"""How long a trend of any figure and range takes: 20 services, a quarter of a year of all that a busy
site has."""

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
from analytics.selectors.series import METRICS
from analytics.selectors.trend_series import TREND_METRICS
from tests.bench.running import READ_KEY, Site, running_site
from tests.bench.trend_history import seed_history

SERVICES, PATTERNS = 20, 100
# Patterns of a service that have errors in an hour, and in a minute.
OF_AN_HOUR, OF_A_MINUTE = 25, 4
# 92 days are the longest range; the week before it is read as well.
DAYS = 99
MINUTES_KEPT = timedelta(hours=26)
REPEATS = 11
LIMIT_MS = 300
# 11 hours are the longest range that is told in steps of minutes.
RANGES = ("5m", "1h", "11h", "24h", "7d", "30d", "90d")
# Figures of what happens now and then, of which short ranges may have none.
SHORT = frozenset({"5m", "1h", "11h"})
RARE = frozenset({"mttr", "mtbf", "healing_success", "incidents"})
OPERATION = "GET /3"

_BUCKETS = f"(array_fill(0, ARRAY[20]) || 9 || 1 || array_fill(0, ARRAY[{BUCKETS - 22}]))"
_PARTITIONS = """
DO $$ DECLARE day timestamptz; name text; BEGIN
FOREACH name IN ARRAY ARRAY['analytics_callrollup', 'analytics_errorrollup',
    'analytics_callrolluphour', 'analytics_errorrolluphour', 'analytics_correlationchain',
    'analytics_figurehour', 'analytics_metricrollup', 'analytics_metricrolluphour',
    'health_servicehour']
LOOP
    FOR day IN SELECT generate_series(date_trunc('day', {begin}, 'UTC'), now(), interval '1 day')
    LOOP EXECUTE format('CREATE TABLE IF NOT EXISTS %s_%s PARTITION OF %s FOR VALUES '
        'FROM (%L) TO (%L)', name, to_char(day AT TIME ZONE 'UTC', 'YYYYMMDD'), name,
        day, day + interval '1 day');
        -- The site is at work: nobody shall wait for more than one table.
        COMMIT;
    END LOOP;
END LOOP; END $$
"""

# The minutes were changed before the hours, so that the site does not sum them up again meanwhile.
_SEED = (
    """
    INSERT INTO analytics_callrolluphour (hour, service, operation, kind, calls, errors,
        duration_ns, duration_max_ns, buckets, changed_at)
    SELECT hour, CASE s WHEN 0 THEN '' ELSE 'bench-' || s END,
        CASE o WHEN 0 THEN '' ELSE 'GET /' || o END, 0, 600, 60, 6e9, 9e7, {buckets}, now()
    FROM generate_series({begin}, now(), interval '1 hour') hour, generate_series(0, {services}) s,
        generate_series(0, 5) o
    WHERE s > 0 OR o = 0
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
        seed_history(
            connection,
            begin=begin,
            services=SERVICES,
            minutes=_MINUTES.format(before="'0 s'", kept=kept),
        )
        connection.execute("VACUUM ANALYZE")


def measure() -> dict[str, Any]:
    """Milliseconds of the answers of `GET /api/v1/trends`, by figure and range, on a site of its
    own; of all services, of one, and of one of its operations."""
    with running_site() as site:
        seed(site.database_url)
        taken = {
            f"{metric} of {' '.join(whose.values()) or 'all services'}": {
                since: _took(site, {"metric": metric, "since": since, **whose}) for since in RANGES
            }
            for metric, whose in questions()
        }
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "services": SERVICES,
        "patterns": SERVICES * PATTERNS,
        "limit_ms": LIMIT_MS,
        "p50_ms": {name: {k: took[0] for k, took in row.items()} for name, row in taken.items()},
        "p95_ms": {name: {k: took[1] for k, took in row.items()} for name, row in taken.items()},
    }


def questions() -> list[tuple[str, dict[str, str]]]:
    """Every figure that the site has a trend of, and whose."""
    one = {"service": "bench-7"}
    asked = [(metric, whose) for metric in TREND_METRICS for whose in ({}, one)]
    of_operations = [metric for metric in METRICS if metric != "errors"]
    return asked + [(metric, one | {"operation": OPERATION}) for metric in of_operations]


def _took(site: Site, asked: dict[str, str]) -> tuple[float, float]:
    """The median and the 95th percentile."""
    question = urllib.parse.urlencode(asked)
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
        told = sum(point["value"] is not None for point in points)
        # The step that runs may have nothing to tell yet.
        rare = asked["metric"] in RARE
        least = int(asked["since"] not in SHORT) if rare else len(points) - 1
        assert told >= least, f"{question}: {told} of {len(points)} points"
    return statistics.median(took), statistics.quantiles(took, n=20, method="inclusive")[-1]


def table(figures: dict[str, Any]) -> str:
    p50, p95, limit = figures["p50_ms"], figures["p95_ms"], figures["limit_ms"]
    width = max(map(len, p50)) + 2
    lines = [f"{'trends, ms p50/p95':<{width}}" + "".join(f"{each:>9}" for each in RANGES)]
    for name, row in p50.items():
        cells = (f"{row[each]:.0f}/{p95[name][each]:.0f}" for each in RANGES)
        worst = max(p95[name].values())
        verdict = "pass" if worst < limit else "FAIL"
        lines.append(f"{name:<{width}}" + "".join(f"{each:>9}" for each in cells) + f"  {verdict}")
    slowest = max(value for row in p95.values() for value in row.values())
    lines.append(f"{'the slowest p95 (limit)':<{width}}{slowest:>9.0f} ({limit})")
    return "\n".join(lines)
