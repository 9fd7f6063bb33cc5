"""One worker and 5,000 checks at an interval of 30 s: how late they begin, and what they cost."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psutil
import psycopg

from tests.bench.running import ROOT, Site, running_site

CHECKS = 5_000
INTERVAL = 30.0
SETTLE_SECONDS = 40
MEASURE_SECONDS = 60
# Of ten checks: what people have most of.
MIX = ("http",) * 6 + ("tcp",) * 3 + ("redis",)
SERVICES = 50
_INSERT = """
INSERT INTO health_check (id, name, service, kind, target, sealed_target, interval_seconds,
    timeout_seconds, failures_to_down, successes_to_up, settle_seconds, critical, enabled,
    description, runbook_url, managed_by, version, created_at, updated_at)
VALUES (gen_random_uuid(), %s, %s, %s, '{}', %s, %s, 10, 3, 2, 15, true, true, '', '', '', 1,
    now(), now())
RETURNING id
"""
_STATUS = """
INSERT INTO health_checkstatus (check_id, next_due_at, fence, run_again, own_state, own_since,
    failures, successes, history, flapping, state, since, last_status, last_output,
    last_observed, memory, minutes_from, pushed_status, pushed_output)
VALUES (%s, %s, 0, false, 'unknown', now(), 0, 0, '', false, 'unknown', now(), '', '', '{}', '{}',
    date_trunc('minute', now()), '', '')
"""
_EDGE = """
INSERT INTO health_dependency (id, child_service, parent_service, hard, status, calls, created_at,
    decided_by, reason)
VALUES (gen_random_uuid(), %s, %s, true, 'declared', 0, now(), '', '')
"""


def measure(mix: tuple[str, ...] = MIX) -> dict[str, Any]:
    """All figures, on a site of its own."""
    with (
        _targets() as ports,
        running_site(web_processes=1, private_targets=True) as site,
        psycopg.connect(site.database_url, autocommit=True) as database,
    ):
        _fill(database, site, ports, mix)
        time.sleep(SETTLE_SECONDS)
        worker = _worker(site)
        since, cpu = datetime.now(UTC), sum(worker.cpu_times()[:2])
        time.sleep(MEASURE_SECONDS)
        spent = sum(worker.cpu_times()[:2]) - cpu
        time.sleep(2)
        rows = database.execute(
            "SELECT late_ms, status, latency_ms FROM health_checkresult "
            "WHERE at >= %s AND at < %s + %s * interval '1 second' AND late_ms IS NOT NULL",
            [since, since, MEASURE_SECONDS],
        ).fetchall()
    late = sorted(row[0] for row in rows)
    states: dict[str, int] = {}
    for _, status, _ in rows:
        states[status] = states.get(status, 0) + 1
    return {
        "at": since.isoformat(timespec="seconds"),
        "checks": CHECKS,
        "interval_seconds": INTERVAL,
        "runs": len(rows),
        "expected_runs": round(CHECKS * MEASURE_SECONDS / INTERVAL),
        "by_status": states,
        "late_ms": {
            "p50": statistics.median(late),
            "p99": late[int(len(late) * 0.99)],
            "max": late[-1],
        },
        "latency_ms_p50": statistics.median(row[2] for row in rows if row[2] is not None),
        "core": spent / MEASURE_SECONDS,
        "worker_mib": worker.memory_full_info().pss / 2**20 if worker.is_running() else None,
    }


@contextmanager
def _targets() -> Iterator[dict[str, list[int]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.targets"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(10)


def _fill(
    database: psycopg.Connection, site: Site, ports: dict[str, list[int]], mix: tuple[str, ...]
) -> None:
    from resilience_site.core import sealing

    secret = json.loads((site.state / "kept.json").read_text())["SECRET_KEY"]
    fernet = sealing._fernet(secret)
    redis_url = json.loads((site.state / "kept.json").read_text())["REDIS_URL"]
    with database.transaction(), database.cursor() as cursor:
        for number in range(SERVICES):
            cursor.execute(
                "INSERT INTO health_service (name, environment, version, language, criticality, "
                "description, first_seen, last_seen) VALUES (%s, '', '', '', '', '', now(), now())",
                [f"bench-{number}"],
            )
        for number in range(1, SERVICES):
            cursor.execute(_EDGE, [f"bench-{number}", f"bench-{number // 2}"])
        for number in range(CHECKS):
            kind = mix[number % len(mix)]
            target = _target(kind, number, ports, redis_url)
            sealed = fernet.encrypt(json.dumps(target).encode()).decode()
            service = f"bench-{number % SERVICES}"
            cursor.execute(_INSERT, [f"check-{number}", service, kind, sealed, INTERVAL])
            row = cursor.fetchone()
            assert row is not None
            due = datetime.fromtimestamp(time.time() + number * INTERVAL / CHECKS, UTC)
            cursor.execute(_STATUS, [row[0], due])


def _target(
    kind: str, number: int, ports: dict[str, list[int]], redis_url: str
) -> dict[str, object]:
    if kind == "http":
        port = ports["http"][number % len(ports["http"])]
        return {
            "url": f"http://127.0.0.1:{port}/health/{number}",
            "json_path": "$.status",
            "json_equals": "ok",
        }
    if kind == "tcp":
        port = ports["tcp"][number % len(ports["tcp"])]
        return {"host": "127.0.0.1", "port": port, "expect": "+OK"}
    return {"url": redis_url}


def _worker(site: Site) -> psutil.Process:
    for process in psutil.Process(site.process.pid).children(recursive=True):
        words = process.cmdline()
        if "celery" in words and "worker" in words:
            return process
    raise SystemExit("no worker was found")


def table(figures: dict[str, Any]) -> str:
    late = figures["late_ms"]
    lines = [
        (
            f"checks at {figures['interval_seconds']:g} s, one worker (aim 5,000)",
            f"{figures['checks']:,}",
        ),
        ("runs, of those expected", f"{figures['runs']:,} / {figures['expected_runs']:,}"),
        (
            "lateness p50 / p99 / max, ms (aim p99 < 2,000)",
            f"{late['p50']:,.0f} / {late['p99']:,.0f} / {late['max']:,.0f}",
        ),
        ("CPU of the whole worker, of one core (aim < 0.60)", f"{figures['core']:.2f}"),
        ("results", ", ".join(f"{n:,} {s}" for s, n in sorted(figures["by_status"].items()))),
    ]
    return "\n".join(f"  {name:<58} {value}" for name, value in lines)
