from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg
import pytest
from mcp import Client
from mcp_types import CallToolResult, TextContent
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider

from breakers.runtime import ClientVariables, Resilience
from deploy.demo.planner_mcp.graph import GraphClient
from deploy.demo.planner_mcp.planner import Planner
from tests.demo.graph import Graph
from tests.demo.planner import GRAPH_SECONDS, PlannerProcess, deepest, exceptions, failed
from tests.patience import until
from tests.runtime.sink import attributes


class Caller:
    """A real MCP client whose calls each start a trace."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._tracer = TracerProvider().get_tracer("tests")
        self.trace_id = ""

    async def call(self, tool: str, **arguments: object) -> CallToolResult:
        carried = baggage.set_baggage("X-Correlation-ID", "corr-7")
        carried = baggage.set_baggage("enduser.tier", "premium", carried)
        span = self._tracer.start_span("ask")
        self.trace_id = f"{span.get_span_context().trace_id:032x}"
        async with Client(self._url) as client:
            token = context.attach(trace.set_span_in_context(span, carried))
            try:
                result = await client.call_tool(tool, arguments)
            finally:
                context.detach(token)
        assert isinstance(result, CallToolResult)
        return result

    async def some_task(self) -> dict[str, Any]:
        listed = (await self.call("list_tasks", limit=1)).structured_content
        assert listed is not None
        return dict(listed["tasks"][0])


@pytest.fixture
def caller(planner: PlannerProcess) -> Caller:
    return Caller(f"{planner.url}/mcp")


def text(result: CallToolResult) -> str:
    return " ".join(each.text for each in result.content if isinstance(each, TextContent))


async def test_the_tools_describe_themselves(planner: PlannerProcess) -> None:
    async with Client(f"{planner.url}/mcp") as client:
        tools = (await client.list_tools()).tools
    assert {tool.name for tool in tools} == {
        "list_tasks",
        "create_task",
        "update_task",
        "complete_task",
        "plan_summary",
    }
    assert all(tool.description and tool.output_schema for tool in tools)


async def test_a_tool_call_is_one_trace_over_cache_database_and_graph(
    planner: PlannerProcess, caller: Caller
) -> None:
    task = await caller.some_task()
    assert not (await caller.call("plan_summary", plan_id=task["plan_id"])).is_error
    spans = planner.trace(caller.trace_id)
    [root] = [span for span in spans if span.name == "tools/call plan_summary"]
    assert {span.parent_span_id for span in spans if span is not root} == {root.span_id}
    shown = attributes(root.attributes)
    assert shown["mcp.method.name"] == "tools/call"
    assert shown["gen_ai.tool.name"] == "plan_summary"
    assert shown["correlation.id"] == "corr-7"
    assert shown["enduser.tier"] == "premium"

    calls = [attributes(span.attributes) for span in spans if span is not root]
    assert {each.get("db.system.name") for each in calls} == {"redis", "postgresql", None}
    graph = [each for each in calls if each.get("peer.service") == "microsoft-graph"]
    assert {each["url.template"] for each in graph} == {
        "/v1.0/planner/plans/{id}",
        "/v1.0/planner/plans/{id}/tasks",
    }
    assert {each["http.response.status_code"] for each in graph} == {200}
    assert not failed(spans)


async def test_a_summary_comes_from_graph_then_cache_then_database(
    planner: PlannerProcess, caller: Caller
) -> None:
    plan_id = (await caller.some_task())["plan_id"]

    async def summary() -> dict[str, Any]:
        return dict((await caller.call("plan_summary", plan_id=plan_id)).structured_content or {})

    first = await summary()
    assert first["source"] == "graph"
    assert 0 < first["completed"] < first["total"]
    assert await summary() == {**first, "source": "cache"}
    with psycopg.connect(planner.database) as connection:
        [[kept]] = connection.execute("SELECT summary->>'title' FROM plan_snapshot").fetchall()
    assert kept == first["title"]


async def test_without_the_cached_value_the_snapshot_answers(
    planner: PlannerProcess, caller: Caller
) -> None:
    plan_id = (await caller.some_task())["plan_id"]
    first = (await caller.call("plan_summary", plan_id=plan_id)).structured_content
    planner.flush_cache()
    again = (await caller.call("plan_summary", plan_id=plan_id)).structured_content
    assert again == {**(first or {}), "source": "database"}


async def test_writes_reach_graph_and_are_seen_at_once(
    planner: PlannerProcess, caller: Caller
) -> None:
    plan_id = (await caller.some_task())["plan_id"]
    created = (
        await caller.call("create_task", plan_id=plan_id, title="Test it")
    ).structured_content
    assert created is not None
    task_id = created["id"]
    changed = await caller.call("update_task", task_id=task_id, title="Test it well", priority=1)
    assert (changed.structured_content or {})["title"] == "Test it well"
    await caller.call("complete_task", task_id=task_id)
    listed = (await caller.call("list_tasks", plan_id=plan_id, limit=500)).structured_content
    [seen] = [task for task in (listed or {})["tasks"] if task["id"] == task_id]
    assert (seen["title"], seen["percent_complete"]) == ("Test it well", 100)
    with psycopg.connect(planner.database) as connection:
        rows = connection.execute("SELECT tool FROM activity WHERE task_id = %s", [task_id])
        assert [tool for (tool,) in rows] == ["create_task", "update_task", "complete_task"]


async def test_changes_at_the_same_time_all_take_effect(
    planner: PlannerProcess, caller: Caller, graph: Graph
) -> None:
    task_id = (await caller.some_task())["id"]
    # Both read the same version, so one of the writes is refused at first.
    graph.fault("latency", value=0.1)
    url = f"{planner.url}/mcp"
    results = await asyncio.gather(
        Caller(url).call("update_task", task_id=task_id, title="Renamed"),
        Caller(url).call("update_task", task_id=task_id, priority=9),
    )
    assert not any(result.is_error for result in results)
    task = graph.simulator.tasks.task(task_id)
    assert task is not None
    assert (task["title"], task["priority"]) == ("Renamed", 9)


FAILURES = [
    ("throttle", {}, "GraphThrottledError", "HTTPStatusError", "429"),
    ("unavailable", {}, "GraphUnavailableError", "HTTPStatusError", "503"),
    ("reset", {}, "GraphConnectionError", "ReadError", "connection"),
    ("token", {}, "GraphAuthenticationError", "HTTPStatusError", "401"),
    ("latency", {"value": GRAPH_SECONDS + 0.5}, "GraphTimeoutError", "ReadTimeout", "in time"),
]


@pytest.mark.parametrize(("kind", "fields", "raised", "cause", "said"), FAILURES)
async def test_graphs_failure_is_the_deepest_of_the_trace(
    planner: PlannerProcess,
    caller: Caller,
    graph: Graph,
    kind: str,
    fields: dict[str, float],
    raised: str,
    cause: str,
    said: str,
) -> None:
    plan_id = (await caller.some_task())["plan_id"]
    graph.fault(kind, **fields)
    result = await caller.call("plan_summary", plan_id=plan_id)
    assert result.is_error
    assert said in text(result)
    spans = planner.trace(caller.trace_id)
    culprit = deepest(spans)
    assert attributes(culprit.attributes)["peer.service"] == "microsoft-graph"
    assert culprit.name == "GET /v1.0/planner/plans/{id}"
    assert exceptions(culprit) == [cause]
    [call] = [span for span in spans if span.name.startswith("tools/call")]
    assert exceptions(call) == [raised]
    assert "The above exception was the direct cause" in str(call.events[0])
    # Every failure the site can hear of stands in the server's own log.
    lines = planner.export_log.read_text().splitlines()
    logged = {tuple(line.split()[1:3]) for line in lines}
    assert {(span.trace_id.hex(), span.span_id.hex()) for span in failed(spans)} <= logged


async def test_an_auth_outage_is_the_token_endpoints_failure(
    planner: PlannerProcess, caller: Caller, graph: Graph
) -> None:
    plan_id = (await caller.some_task())["plan_id"]
    graph.fault("token")
    graph.fault("auth")
    result = await caller.call("plan_summary", plan_id=plan_id)
    assert "AADSTS90033" in text(result)
    peers = [
        attributes(span.attributes)["peer.service"]
        for span in sorted(
            failed(planner.trace(caller.trace_id)), key=lambda s: s.end_time_unix_nano
        )
        if span.kind == 3
    ]
    assert peers == ["microsoft-graph", "microsoft-entra-id"]
    graph.http.delete("/_faults")
    assert not (await caller.call("plan_summary", plan_id=plan_id)).is_error


async def test_wrong_arguments_are_the_callers_error(
    planner: PlannerProcess, caller: Caller
) -> None:
    for tool, arguments in (
        ("list_tasks", {"limit": 0}),
        ("plan_summary", {}),
        ("update_task", {"task_id": "x"}),
        ("drop_everything", {}),
    ):
        assert (await caller.call(tool, **arguments)).is_error
    gone = await caller.call("complete_task", task_id="nowhere")
    assert "The requested item is not found" in text(gone)


async def test_without_its_cache_the_planner_still_answers_and_reports_it(
    planner: PlannerProcess, caller: Caller
) -> None:
    plan_id = (await caller.some_task())["plan_id"]
    planner.stop_cache()
    try:
        result = await caller.call("plan_summary", plan_id=plan_id)
        health = planner.health()
    finally:
        planner.start_cache()
    assert (result.structured_content or {})["source"] == "graph"
    assert health.status_code == 503
    assert health.json()["checks"]["cache"] == "fail: ConnectionError"
    assert health.json()["checks"]["database"] == "pass"
    records = until(lambda: [r for r in planner.sink.logs() if r.trace_id.hex() == caller.trace_id])
    values = attributes(records[0].attributes)
    assert values["exception.type"].endswith("ConnectionError")
    assert "cache.py" in values["exception.stacktrace"]
    culprit = deepest(planner.trace(caller.trace_id))
    assert attributes(culprit.attributes)["db.system.name"] == "redis"


async def test_a_broken_database_connection_is_the_databases_failure(
    planner: PlannerProcess, caller: Caller
) -> None:
    plan_id = (await caller.some_task())["plan_id"]
    with psycopg.connect(planner.database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'planner-mcp-server' AND datname = current_database()"
        )
    result = await caller.call("plan_summary", plan_id=plan_id)
    assert result.is_error
    assert text(result).endswith("An internal dependency of the planner failed")
    culprit = deepest(planner.trace(caller.trace_id))
    assert attributes(culprit.attributes)["db.system.name"] == "postgresql"
    assert exceptions(culprit) in (["AdminShutdown"], ["OperationalError"])
    # The pool replaces each broken connection once it was tried.
    size = planner.health().json()["pool"]["max"]
    answers = [await caller.call("plan_summary", plan_id=plan_id) for _ in range(size)]
    assert not answers[-1].is_error


async def test_probes_leave_no_trace(planner: PlannerProcess, caller: Caller) -> None:
    await caller.some_task()
    planner.trace(caller.trace_id)
    asked = {caller.trace_id}
    before = len(planner.sink.spans())
    answer = planner.health()
    assert answer.headers["content-type"] == "application/health+json"
    assert answer.json()["pool"]["size"] >= 1
    await caller.some_task()
    planner.trace(caller.trace_id)
    # What a client asks beside its call may be sent after the call itself.
    asked.add(caller.trace_id)
    added = [s for s in planner.sink.spans()[before:] if s.trace_id.hex() not in asked]
    # Connecting is a call of its own.
    assert {span.name for span in added} == {"server/discover"}


async def test_a_change_whose_answer_was_lost_is_found_and_not_made_twice(
    planner: PlannerProcess, caller: Caller, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Graph makes the change and the connection breaks before its answer arrives."""
    made = Resilience(ClientVariables({"RETRY_BASE_DELAY_MS": "1", "RETRY_MAX_DELAY_MS": "1"}))
    monkeypatch.setattr("breakers.runtime.process._default", made)
    protected = GraphClient(
        graph.url, tenant="contoso", client_id="planner", client_secret="s", timeout=5
    )
    task = await caller.some_task()
    sent = protected._http.request
    lost = [True]

    async def losing(method: str, *args: Any, **kwargs: Any) -> Any:
        answer = await sent(method, *args, **kwargs)
        if method == "PATCH" and lost:
            lost.clear()
            raise httpx.ReadError("the connection broke", request=answer.request)
        return answer

    monkeypatch.setattr(protected._http, "request", losing)
    graph.http.delete("/_requests")
    changed = await Planner._change(
        SimpleNamespace(_graph=protected),
        task["id"],
        {"title": "written once"},  # type: ignore[arg-type]
    )
    assert changed["title"] == "written once"
    rows = graph.http.get("/_requests").json()["items"]
    outcomes = {r["outcome"]: r["count"] for r in rows if r["method"] == "PATCH"}
    assert outcomes == {"200": 1, "412": 1}
    await protected.close()


async def test_people_switch_changes_off_and_tell_users_why(
    planner: PlannerProcess, caller: Caller
) -> None:
    """By the control document that the running server polls for."""
    desk = planner.sink.desk
    task = await caller.some_task()
    version = desk.publish(
        toggles={"planner.write": {"value": False, "reason": "drill", "expires_in": 60}},
        degraded={"planner-mcp-server": {"level": "essential", "notice": "Back at noon."}},
    )
    asked = desk.acknowledged(version)
    assert asked.query["service"] == "planner-mcp-server"
    try:
        refused = await caller.call("update_task", task_id=task["id"], title="Not now")
        summary = await caller.call("plan_summary", plan_id=task["plan_id"])
        listed = await caller.call("list_tasks", limit=1)
    finally:
        version = desk.publish()
    assert refused.is_error
    assert "planner.write" in text(refused)
    assert summary.is_error
    assert text(summary).endswith("Back at noon.")
    assert not listed.is_error
    label = (listed.meta or {})["resilience"]
    assert label["notices"] == {"planner-mcp-server": "Back at noon."}
    desk.acknowledged(version)
    changed = await caller.call("update_task", task_id=task["id"], title="Now")
    assert not changed.is_error
    assert "notices" not in (changed.meta or {})["resilience"]


async def test_a_breaker_that_is_forced_open_refuses_the_next_tool_call(
    planner: PlannerProcess, caller: Caller
) -> None:
    desk = planner.sink.desk
    plan_id = (await caller.some_task())["plan_id"]
    override = {"state": "forced_open", "reason": "drill", "expires_at": "soon", "expires_in": 60}
    desk.acknowledged(desk.publish(breakers={"microsoft_graph": {"override": override}}))
    try:
        refused = await caller.call("plan_summary", plan_id=plan_id)
    finally:
        version = desk.publish()
    assert refused.is_error
    assert "forced_open" in text(refused)
    desk.acknowledged(version)
    assert not (await caller.call("plan_summary", plan_id=plan_id)).is_error
