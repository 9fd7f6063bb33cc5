"""Traffic to look at: calls of an agent to a planner, and the failures that spread between them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from analytics.domain.telemetry import Decoded, LogRecord, Resource, SpanEvent, SpanRecord
from analytics.services.chains import chains_build
from analytics.services.edges import edges_resolve
from analytics.services.ingest import store_spans
from analytics.services.ingest_logs import store_logs

MILLISECOND = 1_000_000
OK, ERROR = 0, 2
SERVER, CLIENT = 2, 3
STACK = """Traceback (most recent call last):
  File "/app/planner/tools.py", line 48, in plan_summary
    tasks = await graph.list_tasks(plan_id)
  File "/venv/lib/python3.11/site-packages/httpx/_client.py", line 1768, in get
    return await self.request("GET", url)
  File "/venv/lib/python3.11/site-packages/httpx/_client.py", line 1629, in send
    response = await self._send_handling_auth(request)
  File "/app/planner/graph.py", line 91, in list_tasks
    response.raise_for_status()
httpx.HTTPStatusError: Client error '429 Too Many Requests' for url '/v1.0/planner/plans/7/tasks'
"""


class Call(NamedTuple):
    """One tool call as three spans, and the ids of its trace and of the span that failed first."""

    spans: list[SpanRecord]
    trace_id: str
    root_span_id: str


def resource(service: str) -> Resource:
    return Resource(
        service, "test", f"{service}-1", "1.4.0", "python", "", {"service.name": service}
    )


def _id(chance: random.Random, digits: int) -> str:
    return f"{chance.getrandbits(4 * digits) | 1:0{digits}x}"


def _exception(at_ns: int, type_: str, message: str, stack: str) -> SpanEvent:
    attributes = {"exception.type": type_, "exception.message": message}
    return SpanEvent(
        "exception", at_ns, attributes | ({"exception.stacktrace": stack} if stack else {})
    )


def tool_call(
    at: datetime,
    *,
    chance: random.Random,
    failed: bool = False,
    took_ms: float = 80.0,
    tool: str = "plan_summary",
    message: str = "429 Too Many Requests",
    **attributes: Any,
) -> Call:
    """An agent calls a tool of the planner, which calls Graph; where it fails, Graph began it."""
    begin, whole = int(at.timestamp() * 1e9), int(took_ms * MILLISECOND)
    trace = _id(chance, 32)
    agent, tool_span, graph = (_id(chance, 16) for _ in range(3))
    status = ERROR if failed else OK
    inner = begin + whole // 10, begin + whole * 9 // 10
    deepest = begin + whole // 5, begin + whole * 4 // 5
    error = (
        [_exception(deepest[1], "httpx.HTTPStatusError", f"{message} (request {trace[:8]})", STACK)]
        if failed
        else []
    )
    spread = [_exception(inner[1], "ToolError", f"{tool} failed: {message}", "")] if failed else []
    spans = [
        SpanRecord(
            resource("planning-agent"), "mcp", trace, agent, "", f"tools/call {tool}", SERVER,
            begin, begin + whole, status, "", attributes, [], [],
        ),
        SpanRecord(
            resource("planner-mcp-server"), "mcp", trace, tool_span, agent, f"tools/call {tool}",
            SERVER, *inner, status, "", {"mcp.tool.name": tool, **attributes}, spread, [],
        ),
        SpanRecord(
            resource("planner-mcp-server"), "httpx", trace, graph, tool_span,
            "GET /v1.0/planner/plans/{id}/tasks", CLIENT, *deepest, status, "",
            {"server.address": "graph.test", "http.response.status_code": 429 if failed else 200},
            error, [],
        ),
    ]  # fmt: skip
    return Call(spans, trace, graph)


def store(calls: list[Call], now: datetime) -> None:
    """Store the calls and work through what their arrival leaves to do."""
    spans = [span for call in calls for span in call.spans]
    for start in range(0, len(spans), 3_000):
        store_spans(Decoded(spans[start : start + 3_000], []), received_at=now)
    later = now + timedelta(seconds=60)
    while chains_build(now=later):
        pass
    edges_resolve(now=later)


def store_log(call: Call, body: str, at: datetime) -> None:
    """Store a log record of the planner within the trace of a call."""
    moment = int(at.timestamp() * 1e9)
    record = LogRecord(
        resource("planner-mcp-server"), "app", moment, moment, 13, "", "", body, {},
        call.trace_id, call.root_span_id,
    )  # fmt: skip
    store_logs(Decoded([record], []), received_at=at)


def store_failure(call: Call, stack: str, at: datetime) -> None:
    """Store an exception log record with a stack trace within the trace of a call."""
    moment = int(at.timestamp() * 1e9)
    attributes = {"exception.type": "PlanError", "exception.message": "3",
                  "exception.stacktrace": stack}  # fmt: skip
    record = LogRecord(
        resource("planner-mcp-server"), "app", moment, moment, 17, "", "", "it failed", attributes,
        call.trace_id, call.root_span_id,
    )  # fmt: skip
    store_logs(Decoded([record], []), received_at=at)


def hour(now: datetime, seed: int = 7, calls_a_minute: int = 12) -> Iterator[Call]:
    """The calls of the last hour: calm, then throttled for ten minutes, a silence, then calm."""
    chance = random.Random(seed)
    for minute in range(60, 0, -1):
        if 20 < minute <= 24:
            continue
        share = 0.45 if 30 <= minute < 40 else 0.12 if minute <= 4 else 0.01
        for _ in range(calls_a_minute):
            at = now - timedelta(minutes=minute) + timedelta(seconds=chance.uniform(0, 59))
            tool = chance.choice(["plan_summary", "list_tasks", "update_task"])
            failed = chance.random() < share
            took = chance.lognormvariate(4.4, 0.5) * (3 if 30 <= minute < 40 else 1)
            yield tool_call(at, chance=chance, failed=failed, took_ms=took, tool=tool)
