from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import deploys
from deploy.demo.programs import programs
from deploy.demo.scenario import DEPLOY_EVERY, LEAK_EVERY, PHASES, Fault, FaultSwitch, Phase, walk
from resilience_site.embedded.programs import DemoContext
from tests.demo.graph import Graph
from tests.demo.planner import ROOT, PlannerProcess, deepest, exceptions, failed
from tests.patience import until
from tests.ports import free_port
from tests.runtime.sink import attributes


class Steps:
    """A sleep that notes what is active, and ends after so many phases."""

    def __init__(self, graph: Graph, count: int) -> None:
        self._graph = graph
        self._count = count
        self.seen: list[tuple[float, set[str]]] = []

    async def __call__(self, seconds: float) -> None:
        active = {fault.kind.value for fault in self._graph.simulator.faults.active()}
        self.seen.append((seconds, active))
        if len(self.seen) == self._count:
            raise asyncio.CancelledError


async def walked(graph: Graph, phases: tuple[Phase, ...], count: int) -> Steps:
    switch, steps = FaultSwitch(graph.url), Steps(graph, count)
    with pytest.raises(asyncio.CancelledError):
        await walk(switch, phases, steps)
    await switch.close()
    return steps


async def test_the_scenario_walks_its_phases_in_a_loop_and_clears_up(graph: Graph) -> None:
    steps = await walked(graph, PHASES, len(PHASES) + 2)
    expected = [(phase.seconds, {fault.kind for fault in phase.faults}) for phase in PHASES]
    assert steps.seen == [*expected, *expected[:2]]
    assert graph.simulator.faults.active() == []


async def test_the_scenario_deploys_in_its_first_round_and_seldom_after(graph: Graph) -> None:
    deployed: list[float] = []
    switch = FaultSwitch(graph.url)
    steps = Steps(graph, 2 * DEPLOY_EVERY + 2)
    with pytest.raises(asyncio.CancelledError):
        await walk(
            switch, (Phase("calm", 1), Phase("deploy", 1, deploys=True)), steps,
            lambda: deployed.append(len(steps.seen)),
        )  # fmt: skip
    await switch.close()
    assert deployed == [1, 2 * DEPLOY_EVERY + 1]
    assert [phase.name for phase in PHASES if phase.deploys] == ["deploy"]
    assert not any(phase.faults for phase in PHASES[-2:])


async def test_the_scenario_leaks_the_pool_in_its_first_round_and_seldom_after(
    graph: Graph,
) -> None:
    leaked: list[float] = []

    async def leak() -> None:
        leaked.append(len(steps.seen))

    switch, steps = FaultSwitch(graph.url), Steps(graph, LEAK_EVERY + 1)
    with pytest.raises(asyncio.CancelledError):
        await walk(switch, (Phase("calm", 1, leaks=True),), steps, leak=leak)
    await switch.close()
    assert leaked == [0, LEAK_EVERY]
    assert [phase.name for phase in PHASES if phase.leaks] == ["calm"]


async def test_a_deploy_is_seen_by_what_it_replaces(tmp_path: Path) -> None:
    path = str(tmp_path / "demo" / "planner-version")
    assert deploys.deployed(path) == deploys.deployed("") == deploys.PLANNER
    waiting = asyncio.create_task(deploys.replaced(path, deploys.PLANNER, seconds=0.01))
    await asyncio.sleep(0)
    assert deploys.deploy(path) == "2.4.1"
    await asyncio.wait_for(waiting, 60)
    assert deploys.deploy(path) == deploys.deployed(path) == "2.4.2"
    assert [each.name for each in (tmp_path / "demo").iterdir()] == ["planner-version"]


async def test_faults_switched_on_by_hand_outlive_the_scenario(graph: Graph) -> None:
    graph.fault("latency", value=0)
    steps = await walked(graph, (Phase("outage", 1, (Fault("unavailable"),)), Phase("calm", 1)), 2)
    assert [kinds for _, kinds in steps.seen] == [{"latency", "unavailable"}, {"latency"}]
    assert [fault.kind for fault in graph.simulator.faults.active()] == ["latency"]


async def test_a_fault_ends_by_itself_where_the_driver_died(graph: Graph) -> None:
    switch = FaultSwitch(graph.url)
    await switch.apply(Phase("outage", 20, (Fault("unavailable"), Fault("token", seconds=4))))
    await switch.close()
    seconds = {fault.kind: fault.seconds for fault in graph.simulator.faults.active()}
    assert seconds == {"unavailable": 25, "token": 4}


async def test_without_a_simulator_the_scenario_walks_on(
    graph: Graph, caplog: pytest.LogCaptureFixture
) -> None:
    switch, steps = FaultSwitch(f"http://127.0.0.1:{free_port()}"), Steps(graph, 3)
    with caplog.at_level(logging.WARNING), pytest.raises(asyncio.CancelledError):
        await walk(switch, PHASES, steps)
    await switch.close()
    assert len(steps.seen) == 3
    assert "The fault switch does not answer (ConnectError)" in caplog.text


def test_a_newcomer_sees_every_kind_of_fault_within_two_minutes() -> None:
    at, first = 0.0, {}
    for phase in PHASES:
        for fault in phase.faults:
            first.setdefault(fault.kind, at)
        at += phase.seconds
    assert set(first) == {"throttle", "latency", "unavailable", "reset", "auth", "token"}
    assert min(first.values()) <= 20
    assert max(first.values()) <= 110


def agent_spans(planner: PlannerProcess) -> list[Any]:
    return [span for span in planner.sink.spans() if span.name.startswith("ask ")]


def failures(planner: PlannerProcess) -> list[Any]:
    return failed(agent_spans(planner))


def refusals(planner: PlannerProcess) -> list[Any]:
    """Failures that a tool told of; a call that a restart cut off may be told of much later."""
    return [span for span in failures(planner) if exceptions(span) == ["ToolCallError"]]


def test_the_driver_makes_real_errors_survives_a_restart_and_stops_clean(
    planner: PlannerProcess, graph: Graph
) -> None:
    before = len(failures(planner))
    driver = subprocess.Popen(
        [sys.executable, "-m", "deploy.demo.driver"],
        cwd=ROOT,
        env={
            **planner.environment,
            "DEMO_SCENARIO": "off",
            "DEMO_CALLS_PER_SECOND": "25",
            "PLANNER_EXPORT_LOG": str(planner.export_log.with_name("agent.log")),
        },
    )
    try:
        until(lambda: len(agent_spans(planner)) >= 20)
        # Calm means calm: nothing fails while nobody switches a fault on.
        assert len(failures(planner)) == before
        assert graph.simulator.faults.active() == []

        # A new version is deployed: the planner ends in order, and is started as that one.
        deploys.deploy(str(planner.version_file))
        assert planner.wait() == 0
        planner.start()
        until(lambda: "2.4.1" in planner.versions())
        restarted = len(agent_spans(planner))
        until(lambda: len(agent_spans(planner)) > restarted + 20)

        planner.forget()
        graph.fault("unavailable")
        lost = len(refusals(planner))
        until(lambda: len(refusals(planner)) > lost)
    finally:
        driver.terminate()
        assert driver.wait(60) == 0
    error = refusals(planner)[-1]
    trace_id = error.trace_id.hex()
    assert "in act" in str(error.events[0])
    assert attributes(error.attributes)["enduser.tier"] in {"free", "standard", "premium"}

    # One trace from the agent through the planner to Graph, and it stands in the planner's log.
    planner.trace(trace_id)
    spans = until(lambda: _complete(planner, trace_id))
    culprit = deepest(spans)
    assert attributes(culprit.attributes)["peer.service"] == "microsoft-graph"
    assert trace_id in planner.export_log.read_text()
    [call] = [span for span in spans if span.kind == 2 and span.name.startswith("tools/call")]
    correlation = attributes(error.attributes)["correlation.id"]
    assert attributes(call.attributes)["correlation.id"] == correlation

    # Nobody calls any more, so nothing fails any more, fault or not; the planner may still work on
    # a call that its caller gave up.
    until(lambda: is_quiet(planner, graph))


def is_quiet(planner: PlannerProcess, graph: Graph) -> bool:
    """Whether nothing happens for half a second: a dozen calls of a driver that had not stopped."""
    lines = len(planner.export_log.read_text().splitlines())
    graph.http.delete("/_requests")
    time.sleep(0.5)
    return (
        graph.http.get("/_requests").json() == {"items": []}
        and len(planner.export_log.read_text().splitlines()) == lines
    )


def _complete(planner: PlannerProcess, trace_id: str) -> list[Any]:
    spans = [span for span in planner.sink.spans() if span.trace_id.hex() == trace_id]
    ids = {span.span_id for span in spans}
    orphans = [span for span in spans if span.parent_span_id and span.parent_span_id not in ids]
    return [] if orphans else spans


def demo_context(state_dir: Path, **changes: Any) -> DemoContext:
    given = {
        "python": sys.executable,
        "root": ROOT,
        "state_dir": state_dir,
        "site_url": "http://127.0.0.1:9000",
        "ingest_key": "i" * 20,
        "operator_key": "o" * 20,
        "host": "0.0.0.0",
        "planner_mcp_port": 9001,
        "graph_sim_port": 9002,
        "database_url": "postgresql:///planner",
        "redis_url": "unix:///run/valkey.sock?db=0",
        "supervisor_url": "unix:///run/supervisor.sock",
        "scenario": "off",
    }
    return DemoContext(**{**given, **changes})


def test_the_supervisor_is_given_simulator_server_and_driver(tmp_path: Path) -> None:
    found = programs(demo_context(tmp_path))
    assert [each.name for each in found] == [
        "graph-simulator",
        "planner-mcp-server",
        "planner-agent",
    ]
    # In rising order: whoever calls stops before those who answer.
    assert [each.priority for each in found] == sorted({each.priority for each in found})
    assert found[0].priority >= 400
    _, server, driver = found
    assert server.environment["PLANNER_DATABASE_URL"] == "postgresql:///planner"
    # Listening everywhere is no address to call.
    assert server.environment["GRAPH_URL"] == "http://127.0.0.1:9002"
    assert driver.environment["PLANNER_MCP_URL"] == "http://127.0.0.1:9001/mcp"
    assert driver.environment["DEMO_SCENARIO"] == "off"


def test_the_programs_work_together_and_stop_without_an_error(
    planner: PlannerProcess, tmp_path: Path
) -> None:
    before = len(agent_spans(planner))
    context = demo_context(
        tmp_path,
        site_url=planner.sink.url,
        host="127.0.0.1",
        planner_mcp_port=free_port(),
        graph_sim_port=free_port(),
        database_url=planner.database,
        redis_url=planner.environment["PLANNER_REDIS_URL"],
    )
    quick = {"OTEL_BSP_SCHEDULE_DELAY": "50", "DEMO_CALLS_PER_SECOND": "20"}
    running = [
        subprocess.Popen(
            each.argv, cwd=each.directory, env={**os.environ, **each.environment, **quick}
        )
        for each in programs(context)
    ]
    try:
        until(lambda: len(agent_spans(planner)) >= before + 20)
    finally:
        for process in reversed(running):
            process.terminate()
            assert process.wait(60) == 0
    assert not failed(agent_spans(planner)[before:])
    agent, server = sorted((tmp_path / "demo").iterdir())
    assert agent.read_text() == ""
    # Two users may change one task at once: Graph refuses one, and the planner tries again.
    assert "tools/call" not in server.read_text()
