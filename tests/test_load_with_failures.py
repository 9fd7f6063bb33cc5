"""Load while things fail: as they begin to, while they do, and when they are well again."""

from __future__ import annotations

import asyncio
import time
from statistics import median

import httpx
import pytest

from tests.chaos import Callers, graph_load, recovered
from tests.demo.graph import Graph
from tests.demo.planner import PlannerProcess

pytestmark = pytest.mark.timeout(900)
CALLS = 400


async def test_gradual_failure_introduction(
    protected_planner: PlannerProcess, faulty_graph: Graph
) -> None:
    """The worse Graph gets, the fewer requests it is sent, and all reads are answered."""
    planner, graph = protected_planner, faulty_graph
    callers = Callers(planner)
    await recovered(callers)
    loads = []
    for rate in (0.0, 0.1, 0.3, 0.6, 1.0):
        graph.fault("unavailable", rate=rate)
        graph.http.delete("/_requests")
        tally = await callers.run(CALLS)
        loads.append(graph_load(graph))
        print(f"rate {rate:.1f}: {loads[-1]} requests to Graph; {tally}")
        assert tally.share == 1.0
    assert loads[-1] < 0.25 * loads[0]


async def test_cascade_failure_prevention(
    protected_planner: PlannerProcess, faulty_graph: Graph
) -> None:
    """A Graph that hangs takes neither the pools nor the server with it."""
    planner, graph = protected_planner, faulty_graph
    callers = Callers(planner, width=40)
    await recovered(callers)
    graph.fault("latency", value=30)
    load = asyncio.create_task(callers.run(CALLS * 2))
    worst = 0.0
    waiting = []
    async with httpx.AsyncClient(base_url=planner.url, timeout=30) as http:
        while not load.done():
            began = time.monotonic()
            health = await http.get("/healthz")
            worst = max(worst, time.monotonic() - began)
            assert health.status_code == 200
            waiting.append(health.json()["pool"]["waiting"])
    tally = await load
    print(f"slowest health check {worst * 1000:.0f} ms; {tally}")
    assert tally.share == 1.0
    # Forty callers may meet at five connections for a moment; they may not stay there.
    assert median(waiting) == 0
    assert worst < 5


async def test_recovery_time(protected_planner: PlannerProcess, faulty_graph: Graph) -> None:
    """After an outage the first fresh answer comes as soon as the breaker may probe."""
    planner, graph = protected_planner, faulty_graph
    callers = Callers(planner)
    await recovered(callers)
    graph.fault("unavailable")
    await callers.run(100)
    graph.http.delete("/_faults")
    began = time.monotonic()
    calls = 0
    while True:
        tally = await callers.run(6)
        calls += 6
        if tally.answered["fresh"] == tally.reads:
            break
        assert calls < 100_000
    seconds = time.monotonic() - began
    print(f"fresh again after {seconds:.2f} s, with a breaker that stays open for 1 s")
    assert seconds < 10


async def test_performance_under_failure_conditions(
    protected_planner: PlannerProcess, faulty_graph: Graph
) -> None:
    """A planner whose Graph is down answers as many calls as one whose Graph is well."""
    planner, graph = protected_planner, faulty_graph
    callers = Callers(planner)
    await recovered(callers)

    async def calls_per_second() -> float:
        began = time.monotonic()
        tally = await callers.run(CALLS)
        assert tally.share == 1.0
        return CALLS / (time.monotonic() - began)

    calm = await calls_per_second()
    graph.fault("unavailable")
    await callers.run(50)
    down = await calls_per_second()
    print(f"{calm:.0f} calls/s in calm, {down:.0f} with Graph down: {down / calm:.2f} x")
    assert down > 0.5 * calm
