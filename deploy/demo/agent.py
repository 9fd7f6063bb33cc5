"""A user of the planner: real tool calls over a real MCP client, each the start of a trace."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp_types import CallToolResult, TextContent
from opentelemetry import baggage, context, trace

logger = logging.getLogger(__name__)
_tracer = trace.get_tracer(__name__)

# Longer than the planner ever waits for Graph, so that the planner reports a failure first.
_CALL_TIMEOUT = 40.0
_RECONNECT_SECONDS = 1.0
_TITLES = ("Call the supplier", "Book the room", "Send the minutes", "Order the samples")
_ACTIONS = {
    "plan_summary": 35,
    "list_tasks": 30,
    "update_task": 15,
    "complete_task": 10,
    "create_task": 10,
}


class ToolCallError(Exception):
    """The planner answered a tool call with an error."""


@dataclass(frozen=True)
class User:
    """Someone on whose behalf tools are called."""

    id: str
    tier: str


@dataclass
class Known:
    """What a user has seen so far, and can therefore act upon."""

    plans: set[str] = field(default_factory=set)
    open_tasks: set[str] = field(default_factory=set)

    def learn(self, tasks: list[dict[str, Any]]) -> None:
        self.plans |= {task["plan_id"] for task in tasks}
        self.open_tasks = {task["id"] for task in tasks if task["percent_complete"] < 100}


class Session:
    """One user's calls over one connection to the planner."""

    def __init__(self, client: Client, user: User, known: Known, rng: random.Random) -> None:
        self._client = client
        self._user = user
        self._known = known
        self._rng = rng

    async def act(self) -> None:
        """Do one thing that makes sense; a tool's error is reported, a lost connection raised."""
        tool, arguments = self._choice()
        try:
            with self._traced(tool):
                self._note(tool, arguments, await self._client.call_tool(tool, arguments))
        except ToolCallError:
            # The span has told it; a person tries something else after a while.
            return

    def _choice(self) -> tuple[str, dict[str, Any]]:
        rng, plans, tasks = self._rng, sorted(self._known.plans), sorted(self._known.open_tasks)
        if not plans:
            return "list_tasks", {}
        [tool] = rng.choices(list(_ACTIONS), list(_ACTIONS.values()))
        if tool in ("update_task", "complete_task") and not tasks:
            tool = "list_tasks"
        arguments: dict[str, Any]
        match tool:
            case "plan_summary":
                arguments = {"plan_id": rng.choice(plans)}
            case "list_tasks":
                arguments = {"plan_id": rng.choice(plans)} if rng.random() < 0.7 else {}
            case "create_task":
                arguments = {"plan_id": rng.choice(plans), "title": rng.choice(_TITLES)}
            case "update_task":
                arguments = {"task_id": rng.choice(tasks), "priority": rng.choice((1, 3, 5, 9))}
            case _:
                arguments = {"task_id": rng.choice(tasks)}
        return tool, arguments

    @contextmanager
    def _traced(self, tool: str) -> Iterator[None]:
        # Never from the seed: a second run must not share its ids with the first.
        correlation = str(uuid.uuid4())
        carried = {
            "X-Correlation-ID": correlation,
            "enduser.id": self._user.id,
            "enduser.tier": self._user.tier,
        }
        current = context.get_current()
        for name, value in carried.items():
            current = baggage.set_baggage(name, value, current)
        token = context.attach(current)
        try:
            with _tracer.start_as_current_span(
                f"ask {tool}",
                attributes={
                    "correlation.id": correlation,
                    "enduser.id": self._user.id,
                    "enduser.tier": self._user.tier,
                    "gen_ai.tool.name": tool,
                },
            ):
                yield
        finally:
            context.detach(token)

    def _note(self, tool: str, arguments: dict[str, Any], result: object) -> None:
        assert isinstance(result, CallToolResult)
        if result.is_error:
            texts = [each.text for each in result.content if isinstance(each, TextContent)]
            raise ToolCallError(" ".join(texts))
        if tool == "list_tasks" and result.structured_content:
            self._known.learn(result.structured_content["tasks"])
        elif tool == "complete_task":
            self._known.open_tasks.discard(arguments["task_id"])


async def use(url: str, user: User, rng: random.Random, pause: float, stop: asyncio.Event) -> None:
    """Act for `user` every `pause` seconds on average until `stop`, over restarts of the server."""
    known = Known()
    reached = False
    while not stop.is_set():
        try:
            async with Client(url, read_timeout_seconds=_CALL_TIMEOUT) as client:
                reached = True
                session = Session(client, user, known, rng)
                while not stop.is_set():
                    await session.act()
                    await _wait(stop, rng.expovariate(1 / pause))
        except (MCPError, httpx2.HTTPError, OSError, ExceptionGroup) as error:
            # A planner that has not started yet is no failure, and an outage is one, not many.
            if reached:
                logger.error("The planner is lost", exc_info=_cause(error))
            reached = False
            await _wait(stop, _RECONNECT_SECONDS)


def _cause(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
