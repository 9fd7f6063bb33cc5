"""The MCP server with its tools."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, ParamSpec, TypeVar

from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from opentelemetry import baggage, context, trace
from opentelemetry.propagate import extract
from pydantic import Field

import breakers.runtime as resilience
from breakers.runtime import Criticality, DeadlineExceeded, ResilienceError
from breakers.runtime.middleware.mcp import ResilienceMiddleware, note_rejection
from deploy.demo.planner_mcp.errors import GraphError
from deploy.demo.planner_mcp.graph import Json
from deploy.demo.planner_mcp.planner import Planner, PlanSummary, Task, TaskList
from deploy.demo.planner_mcp.protection import (
    CRITICAL,
    SERVICE,
    USER,
    WRITES,
    in_pool,
    make_pools,
)

logger = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

# Who calls, and on whose behalf: baggage of the caller → attributes of the tool call's span.
_CALLER = {
    "X-Correlation-ID": "correlation.id",
    "enduser.id": "enduser.id",
    "enduser.tier": "enduser.tier",
}
_READS = ToolAnnotations(read_only_hint=True, open_world_hint=True)
_WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=True)

PlanId = Annotated[str, Field(description="Id of the plan", min_length=1, max_length=100)]
TaskId = Annotated[str, Field(description="Id of the task", min_length=1, max_length=100)]
Title = Annotated[str, Field(description="Title of the task", min_length=1, max_length=255)]


def _from_baggage(name: str) -> Callable[[Mapping[str, Any]], str]:
    """Reads one entry of the baggage that a request's metadata carries."""

    def read(meta: Mapping[str, Any]) -> str:
        carried = extract(dict(meta), context=context.get_current())
        return str(baggage.get_baggage(name, carried) or "")

    return read


async def identify_caller(ctx: ServerRequestContext, call_next: CallNext) -> HandlerResult:
    """Carry the caller's baggage into the call, and note on the span who it is."""
    carried = extract(dict(ctx.meta or {}), context=context.get_current())
    current = context.get_current()
    span = trace.get_current_span()
    for name, attribute in _CALLER.items():
        value = baggage.get_baggage(name, carried)
        if value is not None:
            current = baggage.set_baggage(name, value, current)
            span.set_attribute(attribute, str(value))
    token = context.attach(current)
    try:
        return await call_next(ctx)
    finally:
        context.detach(token)


def _reported(tool: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Record a failure on the call's span, and tell the caller what it may know of it."""

    @functools.wraps(tool)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await tool(*args, **kwargs)
        except ToolError:
            raise
        except ResilienceError as error:
            note_rejection(error)
            trace.get_current_span().record_exception(error)
            late = isinstance(error, DeadlineExceeded)
            known = "It may have taken effect." if late else "Nothing was changed by this call."
            raise ToolError(f"{error}. {known}") from error
        except GraphError as error:
            if error.retry_after is not None:
                note_rejection(error)
            trace.get_current_span().record_exception(error)
            raise ToolError(str(error)) from error
        except Exception as error:
            trace.get_current_span().record_exception(error)
            logger.exception("Tool %s failed", tool.__name__)
            raise ToolError("An internal dependency of the planner failed") from error

    return call


def _steered(
    criticality: Criticality, *, toggle: str = ""
) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
    """Refuse the call where people have switched it off: by its toggle, or by the service's level."""
    steering = resilience.default()

    def decorate(tool: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        @functools.wraps(tool)
        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            user = str(baggage.get_baggage("enduser.id") or "")
            if toggle and not steering.toggles.is_on(toggle, True, targeting_key=user):
                raise ToolError(
                    f"Changes are switched off at the moment ({toggle}). "
                    "Nothing was changed by this call."
                )
            if not steering.degradation.serves(SERVICE, criticality):
                raise ToolError(steering.degradation.notice(SERVICE))
            return await tool(*args, **kwargs)

        return call

    return decorate


def build(planner: Planner) -> MCPServer:
    """The MCP server on top of `planner`."""
    make_pools()
    server = MCPServer(
        "planner",
        title="Planner",
        instructions="Lists, creates, updates and completes tasks of Microsoft Planner.",
        middleware=[
            identify_caller,
            ResilienceMiddleware(
                tier=_from_baggage("enduser.tier"),
                correlation_of=_from_baggage("X-Correlation-ID"),
                degradation=resilience.default().degradation,
            ),
        ],
    )

    @server.tool(annotations=_READS, structured_output=True)
    @_reported
    @_steered("high")
    @in_pool(USER)
    async def list_tasks(
        plan_id: PlanId | None = None,
        limit: Annotated[int, Field(ge=1, le=500, description="At most so many tasks")] = 50,
    ) -> TaskList:
        """List the tasks of a plan, or those assigned to me."""
        return await planner.list_tasks(plan_id, limit)

    @server.tool(annotations=_WRITES, structured_output=True)
    @_reported
    @_steered("high", toggle=WRITES)
    @in_pool(CRITICAL)
    async def create_task(
        plan_id: PlanId,
        title: Title,
        due: Annotated[str | None, Field(description="RFC 3339 time")] = None,
    ) -> Task:
        """Create a task in a plan."""
        return await planner.create_task(plan_id, title, due)

    @server.tool(annotations=_WRITES, structured_output=True)
    @_reported
    @_steered("high", toggle=WRITES)
    @in_pool(CRITICAL)
    async def update_task(
        task_id: TaskId,
        title: Title | None = None,
        percent_complete: Annotated[int | None, Field(ge=0, le=100)] = None,
        priority: Annotated[int | None, Field(ge=0, le=10)] = None,
        due: Annotated[str | None, Field(description="RFC 3339 time")] = None,
    ) -> Task:
        """Change a task; what is left out stays as it is."""
        changes: Json = {
            "title": title,
            "percentComplete": percent_complete,
            "priority": priority,
            "dueDateTime": due,
        }
        given = {name: value for name, value in changes.items() if value is not None}
        if not given:
            raise ToolError("Nothing to change: give a title, percent_complete, priority or due")
        return await planner.update_task(task_id, given)

    @server.tool(annotations=_WRITES, structured_output=True)
    @_reported
    @_steered("high", toggle=WRITES)
    @in_pool(CRITICAL)
    async def complete_task(task_id: TaskId) -> Task:
        """Mark a task as completed."""
        return await planner.complete_task(task_id)

    @server.tool(annotations=_READS, structured_output=True)
    @_reported
    @_steered("medium")
    @in_pool(USER)
    async def plan_summary(plan_id: PlanId) -> PlanSummary:
        """Say how a plan stands: tasks in all, completed, late."""
        return await planner.plan_summary(plan_id)

    return server
