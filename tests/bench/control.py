"""Two thousand instances wait at one web process: what that costs, and how soon a change is applied."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
import urllib.request
from datetime import UTC, datetime
from typing import Any

import psutil
import psycopg

from tests.bench.running import KEY, READ_KEY, Site, running_site
from tests.breakers.control.herd import Herd, raise_file_limit

SIZE = 2_000
CHANGES = 20
SERVICE = "bench-herd"
MIB = 2**20
LIMIT_MIB = 64
LIMIT_MS = 1_000  # of the p99, from a change to an instance that works by it
_APPLIED = (
    "SELECT count(*), extract(epoch FROM max(applied_at)) FROM breakers_instance "
    "WHERE service = %s AND applied_version = %s"
)
_BUSY = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'resilience-site' "
    "AND state <> 'idle'"
)


def measure() -> dict[str, Any]:
    """All figures, on a site of its own."""
    raise_file_limit(2 * SIZE)
    with running_site(web_processes=1) as site:
        return asyncio.run(_measure(site))


async def _measure(site: Site) -> dict[str, Any]:
    url = f"http://127.0.0.1:{site.port}"
    web = _web(site)
    async with Herd(url, KEY, SERVICE, 1) as first:
        await first.all_at(0, 30)
    before = web.memory_full_info().pss
    received: list[float] = []
    applied: list[float] = []
    with psycopg.connect(site.database_url, autocommit=True) as database:
        async with Herd(url, KEY, SERVICE, SIZE) as herd:
            await herd.all_at(0, 120)
            await _written(database, 0)
            held = {
                "mib": (web.memory_full_info().pss - before) / MIB,
                "threads": web.num_threads(),
                "busy_connections": database.execute(_BUSY).fetchone()[0],
            }
            for number in range(1, CHANGES + 1):
                began, clock = time.monotonic(), time.time()
                await asyncio.to_thread(_switch, url, number)
                await herd.all_at(number, 60)
                received += [each.arrived[number] - began for each in herd.instances]
                applied.append(await _written(database, number) - clock)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "instances": SIZE,
        "changes": CHANGES,
        "held": held,
        # An instance works by what it was told from that moment on; its next poll says so.
        "applied_ms": _quantiles(received),
        "last_acknowledged_ms": _quantiles(applied),
    }


def _web(site: Site) -> psutil.Process:
    for process in psutil.Process(site.process.pid).children(recursive=True):
        if "resilience_site.embedded.web" in " ".join(process.cmdline()):
            return process
    raise SystemExit("no web process was found")


async def _written(database: psycopg.Connection, version: int) -> float:
    """When the last instance's acknowledgement was written down, in seconds since the epoch."""
    while True:
        count, last = database.execute(_APPLIED, [SERVICE, version]).fetchone()
        if count == SIZE:
            return float(last)
        await asyncio.sleep(0.02)


def _switch(url: str, number: int) -> None:
    body = json.dumps({"value": number, "reason": "benchmark"}).encode()
    request = urllib.request.Request(
        f"{url}/api/v1/toggles/bench.change",
        body,
        {"Authorization": f"Bearer {READ_KEY}", "Content-Type": "application/json"},
        method="PUT",
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()


def _quantiles(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": cuts[49] * 1e3, "p99": cuts[98] * 1e3, "max": max(seconds) * 1e3}


def table(figures: dict[str, Any]) -> str:
    held, applied = figures["held"], figures["applied_ms"]
    last = figures["last_acknowledged_ms"]
    lines = [
        (
            f"{figures['instances']:,} waiting instances cost one web process",
            f"{held['mib']:.0f} MiB, {held['threads']} threads in all, "
            f"{held['busy_connections']} busy connections",
            _judged(held["mib"], LIMIT_MIB, "MiB"),
        ),
        (
            "change to applied by an instance p50 / p99 / max",
            " / ".join(f"{applied[name]:.0f} ms" for name in ("p50", "p99", "max")),
            _judged(applied["p99"], LIMIT_MS, "ms, p99"),
        ),
        (
            "change to the last of them acknowledged and stored p50 / max",
            f"{last['p50']:.0f} ms / {last['max']:.0f} ms",
            "",
        ),
    ]
    width = max(len(name) for name, _, _ in lines)
    column = max(len(value) for _, value, _ in lines)
    return "\n".join(
        f"{name:<{width}}  {value:<{column}}  {judged}".rstrip() for name, value, judged in lines
    )


def _judged(measured: float, limit: float, unit: str) -> str:
    """The limit, and whether it was kept."""
    return f"{'pass' if measured < limit else 'FAIL'} (limit {limit:,} {unit})"
