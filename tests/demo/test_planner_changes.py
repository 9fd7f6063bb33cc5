"""A change of a task that meets other changes, and answers that are lost on their way."""

from __future__ import annotations

from typing import Any, cast

from deploy.demo.planner_mcp.cache import Cache
from deploy.demo.planner_mcp.errors import GraphConflictError
from deploy.demo.planner_mcp.graph import GraphClient, Json
from deploy.demo.planner_mcp.planner import Planner
from deploy.demo.planner_mcp.store import Store


class Contested:
    """Graph with one task: others change it first, then the answer to our own change is lost, and
    the client's repetition of it meets our own new version."""

    def __init__(self) -> None:
        self.version = 1
        self.title = "as it was"
        self.asked = 0

    async def task(self, task_id: str) -> Json:
        return {"id": task_id, "@odata.etag": self.version, "title": self.title}

    async def update_task(self, task_id: str, etag: int, changes: Json) -> Json:
        self.asked += 1
        self.version += 1
        self.title = "by others" if self.asked == 1 else changes["title"]
        raise GraphConflictError("it has another version")


async def test_a_change_whose_answer_is_lost_after_a_conflict_is_known_to_be_in_effect() -> None:
    graph = Contested()
    planner = Planner(
        cast(GraphClient, graph),
        Cache("redis://127.0.0.1:9"),
        cast(Store, _NoStore()),
        cache_seconds=0,
        snapshot_seconds=0,
    )
    changed = await planner._change("t", {"title": "ours"})
    assert (changed["title"], graph.asked) == ("ours", 2)


class _NoStore:
    """A change asks for none."""

    snapshot: Any = None
