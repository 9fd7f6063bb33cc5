"""The planner breaks by itself, and mends itself when the site tells it to: by real commands."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.demo.graph import Graph
from tests.demo.planner import UNPROTECTED, PlannerProcess
from tests.patience import until
from tests.runtime.sink import Sink, attributes

LEAKING = UNPROTECTED | {"PLANNER_FAULTS": "on"}


@pytest.fixture(scope="module")
def breakable(running_graph: Graph) -> Iterator[PlannerProcess]:
    """A planner that people may break."""
    folder = Path(tempfile.mkdtemp(prefix="planner-"))
    try:
        with Sink().listening() as sink:
            planner = PlannerProcess(folder, running_graph, sink, LEAKING)
            try:
                planner.start_cache()
                planner.start()
                yield planner
            finally:
                planner.close()
    finally:
        shutil.rmtree(folder)


def ordered(planner: PlannerProcess, action: str, **parameters: Any) -> tuple[str, str]:
    """Give a command as the site does; its outcome and output as the planner reports them."""
    command = str(uuid.uuid4())
    planner.sink.desk.publish(
        commands=[
            {
                "id": command,
                "action": action,
                "parameters": parameters,
                "reason": "run 7",
                "actor": "healing",
                "expires_in": 120,
            }
        ]
    )

    def reported() -> dict[str, Any] | None:
        for record in planner.sink.logs():
            values = attributes(record.attributes)
            if values.get("resilience.command.id") == command:
                return values
        return None

    found = until(reported)
    return found["resilience.healing.outcome"], found["resilience.healing.output"]


def leak(planner: PlannerProcess, connections: int) -> None:
    answer = httpx.post(
        f"{planner.url}/_faults/leak", params={"connections": connections}, timeout=60
    )
    assert answer.status_code == 202
    until(lambda: planner.health().json()["pool"]["used"] == connections)
    # A connection counts as used before its transaction has begun.
    until(lambda: len(idle_in_transaction(planner)) == connections)


def checks(planner: PlannerProcess) -> dict[str, str]:
    return dict(planner.health().json()["checks"])


def idle_in_transaction(planner: PlannerProcess) -> list[int]:
    with psycopg.connect(planner.database, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'planner-mcp-server' "
            "AND state = 'idle in transaction' AND datname = current_database()"
        )
        return [pid for (pid,) in rows]


def test_a_leaked_pool_fails_the_health_check_until_it_is_recycled(
    breakable: PlannerProcess,
) -> None:
    leak(breakable, 5)
    health = breakable.health()
    assert health.status_code == 503
    assert health.json()["checks"]["database"] == "fail: PoolTimeout"
    assert ordered(breakable, "recycle_pool", grace=0) == (
        "succeeded",
        "a new pool; 5 connections taken back",
    )
    health = breakable.health()
    assert health.status_code == 200
    assert health.json()["pool"]["used"] == 0
    assert until(lambda: not idle_in_transaction(breakable))


def test_terminating_its_idle_transactions_frees_the_pool_too(breakable: PlannerProcess) -> None:
    leak(breakable, 5)
    with psycopg.connect(breakable.database, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [
            idle_in_transaction(breakable)
        ])  # fmt: skip
    until(lambda: breakable.health().status_code == 200)


def test_a_pool_that_is_well_is_recycled_without_harm(breakable: PlannerProcess) -> None:
    outcome, output = ordered(breakable, "recycle_pool")
    assert (outcome, output) == ("succeeded", "a new pool; 0 connections taken back")
    refused, why = ordered(breakable, "recycle_pool", grace="soon")
    assert refused == "failed"
    assert "grace is 'soon'" in why
    assert breakable.health().status_code == 200


def test_an_emptied_cache_fails_the_health_check_until_it_is_warmed(
    breakable: PlannerProcess,
) -> None:
    assert checks(breakable)["kept_answers"] == "pass"
    breakable.flush_cache()
    health = breakable.health()
    assert health.status_code == 503
    assert health.json()["checks"]["kept_answers"] == "fail: the cache was emptied"
    outcome, output = ordered(breakable, "warm_cache")
    assert outcome == "succeeded"
    assert output.endswith("answers are in the cache")
    assert breakable.health().status_code == 200


def test_a_cache_that_cannot_be_warmed_stays_a_failure(
    breakable: PlannerProcess, running_graph: Graph
) -> None:
    breakable.flush_cache()
    running_graph.fault("unavailable")
    try:
        outcome, output = ordered(breakable, "warm_cache")
    finally:
        running_graph.http.delete("/_faults")
    assert outcome == "failed"
    assert "503" in output
    assert checks(breakable)["kept_answers"] == "fail: the cache was emptied"
    ordered(breakable, "warm_cache")


def test_it_leaves_in_good_order_when_told_to_restart(breakable: PlannerProcess) -> None:
    outcome, _ = ordered(breakable, "restart_gracefully")
    assert outcome == "succeeded"
    assert breakable.wait() == 0
    breakable.start()
    assert breakable.health().status_code == 200


def test_nobody_breaks_a_planner_without_faults(running_planner: PlannerProcess) -> None:
    assert httpx.post(f"{running_planner.url}/_faults/leak").status_code == 404
