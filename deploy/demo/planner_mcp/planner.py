"""What the tools do: read the cache, then the database, then Microsoft Graph; write through."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from opentelemetry import baggage

# Not typing's: pydantic builds a tool's output schema from it only since Python 3.12.
from typing_extensions import TypedDict

import breakers.runtime as resilience
from breakers.runtime import ResilienceError
from deploy.demo.planner_mcp.cache import Cache
from deploy.demo.planner_mcp.errors import GraphConflictError, GraphError
from deploy.demo.planner_mcp.graph import GraphClient, Json
from deploy.demo.planner_mcp.protection import BACKGROUND, GRAPH, kept_answers
from deploy.demo.planner_mcp.store import DATABASE_ERRORS, Store

logger = logging.getLogger(__name__)

_MINE = "tasks:me"
_MAX_UNRECORDED = 1000
_MAX_ASKED = 20
# How often a change is put on top of what others changed meanwhile.
_MAX_CONFLICTS = 3
_DATABASE_DOWN: tuple[type[Exception], ...] = (ResilienceError, *DATABASE_ERRORS)


class Task(TypedDict):
    """One planner task; times are RFC 3339."""

    id: str
    plan_id: str
    title: str
    percent_complete: int
    priority: int
    due: str | None


class TaskList(TypedDict):
    """Tasks; `total` counts those beyond the limit too."""

    total: int
    tasks: list[Task]


class PlanSummary(TypedDict):
    """How a plan stands; `source` says where the figures come from: cache, database or graph."""

    plan_id: str
    title: str
    total: int
    completed: int
    late: int
    source: str


class Planner:
    """`cache_seconds` and `snapshot_seconds` say how old an answer from either may be."""

    def __init__(
        self,
        graph: GraphClient,
        cache: Cache,
        store: Store,
        *,
        cache_seconds: float,
        snapshot_seconds: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._graph = graph
        self._cache = cache
        self._store = store
        self._cache_seconds = cache_seconds
        self._snapshot_age = timedelta(seconds=snapshot_seconds)
        self._now = now
        self._recording = asyncio.Lock()
        self._unrecorded: deque[dict[str, str]] = deque(maxlen=_MAX_UNRECORDED)
        # The calls to Graph inside have breaker and retries; this is what is served without them.
        self._kept = kept_answers(cache.kept_answers())
        keeping = resilience.protect(
            GRAPH,
            retry=False,
            breaker=False,
            cache=self._kept,
            cache_key=lambda key, *_: str(key),
        )
        self._tasks = keeping(self._tasks_from_graph)
        self._summary = keeping(self._summary_from_graph)
        # The plans that callers asked about last, for warming.
        self._asked: OrderedDict[str, None] = OrderedDict()

    async def list_tasks(self, plan_id: str | None, limit: int) -> TaskList:
        key = f"tasks:{plan_id}" if plan_id else _MINE
        self._note(plan_id)
        tasks: list[Task] | None = await self._cache.get(key)
        if tasks is None:
            tasks = await self._tasks(key, plan_id)
        return {"total": len(tasks), "tasks": tasks[:limit]}

    async def create_task(self, plan_id: str, title: str, due: str | None) -> Task:
        properties: Json = {"planId": plan_id, "title": title}
        if due:
            properties["dueDateTime"] = due
        return await self._written("create_task", await self._graph.create_task(properties))

    async def update_task(self, task_id: str, changes: Json) -> Task:
        return await self._written("update_task", await self._change(task_id, changes))

    async def complete_task(self, task_id: str) -> Task:
        changed = await self._change(task_id, {"percentComplete": 100})
        return await self._written("complete_task", changed)

    async def plan_summary(self, plan_id: str) -> PlanSummary:
        key = f"summary:{plan_id}"
        self._note(plan_id)
        known = await self._cache.get(key)
        if known is not None:
            return cast(PlanSummary, {**known, "source": "cache"})
        known = await self._snapshot(plan_id)
        if known is None:
            return await self._summary(key, plan_id)
        summary = cast(PlanSummary, {**known, "source": "database"})
        await self._cache.put(key, summary, seconds=self._cache_seconds)
        return summary

    async def warm(self) -> int:
        """Ask Graph anew for the answers that callers wanted last, so that the cache keeps them;
        how many those are. Raises the failure where Graph gives none of them."""
        wanted: list[tuple[str, str | None]] = [(_MINE, None)]
        wanted += [(f"tasks:{plan_id}", plan_id) for plan_id in self._asked]
        failure: Exception | None = None
        filled = 0
        for key, plan_id in wanted:
            try:
                self._kept.put(key, await self._tasks_from_graph(key, plan_id))
                filled += 1
            except (GraphError, ResilienceError) as error:
                failure = error
        if failure is not None and not filled:
            raise failure
        await self._cache.mark()
        return filled

    def _note(self, plan_id: str | None) -> None:
        if plan_id is not None:
            self._asked[plan_id] = None
            self._asked.move_to_end(plan_id)
            if len(self._asked) > _MAX_ASKED:
                self._asked.popitem(last=False)

    async def _tasks_from_graph(self, key: str, plan_id: str | None) -> list[Task]:
        found = await (self._graph.plan_tasks(plan_id) if plan_id else self._graph.my_tasks())
        tasks = [_task(each) for each in found]
        await self._cache.put(key, tasks, seconds=self._cache_seconds)
        return tasks

    async def _summary_from_graph(self, key: str, plan_id: str) -> PlanSummary:
        plan = await self._graph.plan(plan_id)
        tasks = await self._graph.plan_tasks(plan_id)
        open_tasks = [task for task in tasks if task["percentComplete"] < 100]
        now = self._now()
        summary = PlanSummary(
            plan_id=plan_id,
            title=plan["title"],
            total=len(tasks),
            completed=len(tasks) - len(open_tasks),
            late=sum(_is_late(task, now) for task in open_tasks),
            source="graph",
        )
        await self._save(plan_id, summary)
        await self._cache.put(key, summary, seconds=self._cache_seconds)
        return summary

    async def _snapshot(self, plan_id: str) -> dict[str, Any] | None:
        """The last snapshot; a database that does not answer has none, where fallbacks are on."""
        try:
            return await self._store.snapshot(plan_id, younger_than=self._snapshot_age)
        except _DATABASE_DOWN as error:
            self._pass_over(error, "The snapshot of a plan could not be read")
            return None

    async def _save(self, plan_id: str, summary: PlanSummary) -> None:
        try:
            await self._store.save_snapshot(plan_id, dict(summary))
        except _DATABASE_DOWN as error:
            self._pass_over(error, "The snapshot of a plan could not be saved")

    def _pass_over(self, error: Exception, what: str) -> None:
        if not resilience.default().variables.fallback_enabled:
            raise error
        if not isinstance(error, ResilienceError):
            logger.exception(what)

    async def _change(self, task_id: str, changes: Json) -> Json:
        present = await self._graph.task(task_id)
        for _ in range(_MAX_CONFLICTS):
            try:
                return await self._graph.update_task(task_id, present["@odata.etag"], changes)
            except GraphConflictError:
                # The change names single fields, so it is as right on top of someone else's; and it
                # may be in effect already, where only the answer to it was lost.
                present = await self._graph.task(task_id)
                if all(present.get(name) == value for name, value in changes.items()):
                    return present
        return await self._graph.update_task(task_id, present["@odata.etag"], changes)

    async def _written(self, tool: str, changed: Json) -> Task:
        task = _task(changed)
        user = baggage.get_baggage("enduser.id")
        await self._record(user_id=str(user or ""), tool=tool, task_id=task["id"])
        plan_id = task["plan_id"]
        await self._cache.drop(_MINE, f"tasks:{plan_id}", f"summary:{plan_id}")
        return task

    async def keep_recording(self, *, every: float = 1.0) -> None:
        """Write again and again, every so many seconds, what could not be written at once."""
        write = resilience.default().bulkhead(BACKGROUND)(self._write_unrecorded)
        while True:
            await asyncio.sleep(every)
            if self._unrecorded:
                # Where fallbacks are off, the call that failed has told already.
                with suppress(*_DATABASE_DOWN):
                    await write()

    async def _record(self, **entry: str) -> None:
        """Note who did what. Graph has the change: a database that is down must not undo that."""
        self._unrecorded.append(entry)
        await self._write_unrecorded()

    async def _write_unrecorded(self) -> None:
        try:
            async with self._recording:
                while self._unrecorded:
                    await self._store.record(**self._unrecorded[0])
                    self._unrecorded.popleft()
        except _DATABASE_DOWN as error:
            self._pass_over(error, "The activity log could not be written; it is kept in memory")


def _task(found: Json) -> Task:
    return Task(
        id=found["id"],
        plan_id=found["planId"],
        title=found["title"],
        percent_complete=found["percentComplete"],
        priority=found["priority"],
        due=found["dueDateTime"],
    )


def _is_late(task: dict[str, Any], now: datetime) -> bool:
    due = task["dueDateTime"]
    return due is not None and datetime.fromisoformat(due) < now
