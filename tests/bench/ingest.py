"""Error events per second through `POST /v1/traces`, beside the engine's own limit."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from typing import Any

import psycopg

from analytics.services import error_store, span_rows
from tests.bench.payloads import SPANS_PER_REQUEST
from tests.bench.running import KEY, ROOT, Site

CLIENTS = 4
_SEED_STEP = 1_000
TABLES = {"analytics_span": span_rows.COLUMNS, "analytics_errorevent": error_store.COLUMNS}


def send(site: Site, requests: int, rate: float = 0.0, seed: int = 1) -> dict[str, Any]:
    """Run the load generator; returns seconds, requests and latencies."""
    arguments = [str(site.port), KEY, str(CLIENTS), str(requests), str(rate), str(seed)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.client", *arguments],
        cwd=ROOT, check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    return json.loads(done.stdout)


def through_http(site: Site, requests: int, runs: int) -> list[float]:
    """Errors per second that were acknowledged, one figure a run."""
    send(site, 16, seed=_SEED_STEP * 99)
    rates = []
    for run in range(runs):
        result = send(site, requests, seed=run * _SEED_STEP)
        rates.append(result["requests"] * SPANS_PER_REQUEST / result["seconds"])
        print(f"  through HTTP, run {run + 1}: {rates[-1]:,.0f} errors/s", flush=True)
    return rates


def stored(site: Site) -> int:
    """How many errors of the benchmark the database holds."""
    with psycopg.connect(site.database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM analytics_errorevent WHERE service = 'bench'"
        ).fetchone()
        assert row is not None
        return int(row[0])


def by_copy(site: Site, events: int, runs: int) -> list[float]:
    """Errors per second when the same rows come prepacked: one COPY a table, one transaction."""
    with psycopg.connect(site.database_url) as connection:
        packed = {table: _pack(connection, table, events) for table in TABLES}
        rates = []
        for run in range(runs):
            for table in TABLES:
                connection.execute(f"DELETE FROM {table} WHERE service = 'bench'")
                connection.commit()
                connection.autocommit = True
                connection.execute(f"VACUUM {table}")
                connection.autocommit = False
            began = time.perf_counter()
            for table, columns in TABLES.items():
                with connection.cursor().copy(
                    f"COPY {table} ({', '.join(columns)}) FROM STDIN"
                ) as copy:
                    copy.write(packed[table])
            connection.commit()
            rates.append(events / (time.perf_counter() - began))
            print(f"  by one COPY, run {run + 1}: {rates[-1]:,.0f} errors/s", flush=True)
        return rates


def _pack(connection: psycopg.Connection[Any], table: str, events: int) -> bytes:
    columns = ", ".join(TABLES[table])
    query = f"SELECT {columns} FROM {table} WHERE service = 'bench' LIMIT {events}"
    with connection.cursor().copy(f"COPY ({query}) TO STDOUT") as copy:
        return b"".join(bytes(part) for part in copy)


def latency(site: Site, errors_per_second: float, requests: int) -> dict[str, float]:
    """Request latency in milliseconds at a steady rate."""
    rate = errors_per_second / SPANS_PER_REQUEST
    found = sorted(send(site, requests, rate=rate, seed=77 * _SEED_STEP)["latencies"])
    cuts = statistics.quantiles(found, n=100)
    return {"p50": cuts[49] * 1e3, "p95": cuts[94] * 1e3, "p99": cuts[98] * 1e3}
