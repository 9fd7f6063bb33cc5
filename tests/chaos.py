"""A protected planner, an unprotected one, and callers that count how each call was answered."""

from __future__ import annotations

import asyncio
import itertools
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.demo.graph import Graph
from tests.demo.planner import UNPROTECTED, PlannerProcess
from tests.runtime.sink import Sink

LONGEST_AGE = 3600.0  # FALLBACK_CACHE_MAX_AGE_MINUTES
RECOVERY_SECONDS = 120
# Short times, so that outages and recoveries fit into a test; the logic is the same.
QUICK = {
    "PLANNER_CACHE_SECONDS": "0.05",
    "PLANNER_SNAPSHOT_SECONDS": "0.1",
}
PROTECTED = QUICK | {
    "GRAPH_TIMEOUT_SECONDS": "0.5",
    # An answer that a busy machine keeps waiting is not what these tests ask about.
    "PLANNER_TOOL_SECONDS": "60",
    "GRAPH_API_TIMEOUT_SECONDS": "1",
    "REDIS_TIMEOUT_SECONDS": "1",
    "DATABASE_TIMEOUT_SECONDS": "1",
    "RETRY_BASE_DELAY_MS": "20",
    "RETRY_MAX_DELAY_MS": "100",
}


@contextmanager
def running_planner(
    graph: Graph, *, protected: bool, more: Mapping[str, str] | None = None
) -> Iterator[PlannerProcess]:
    folder = Path(tempfile.mkdtemp(prefix="planner-"))
    try:
        with Sink().listening() as sink:
            settings = PROTECTED if protected else QUICK | UNPROTECTED
            planner = PlannerProcess(folder, graph, sink, {**settings, **(more or {})})
            try:
                planner.start_cache()
                planner.start()
                yield planner
                assert planner.stop() == 0
            finally:
                planner.close()
    finally:
        shutil.rmtree(folder)


@dataclass
class Tally:
    """How calls were answered. Writes are counted apart."""

    answered: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)
    oldest: float = 0.0
    seconds: list[float] = field(default_factory=list)

    @property
    def reads(self) -> int:
        return self.answered.total() + self.unanswered.total()

    @property
    def share(self) -> float:
        """Answered reads among all."""
        return self.answered.total() / self.reads

    def p99(self) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)]

    def __str__(self) -> str:
        return (
            f"{self.reads} reads, {self.share:.4%} answered {dict(self.answered)}, "
            f"unanswered {dict(self.unanswered)}, oldest {self.oldest:.1f} s, "
            f"writes {dict(self.writes)}, p99 {self.p99() * 1000:.0f} ms"
        )


class Callers:
    """`width` callers of the planner's tools: nine reads to one write, tiers in turn."""

    def __init__(self, planner: PlannerProcess, *, width: int = 12, seed: int = 1) -> None:
        self._planner = planner
        self._width = width
        self._random = random.Random(seed)
        self._ids = itertools.count(1)
        self.plans: list[str] = []
        self.tasks: list[str] = []

    async def learn(self, http: httpx.AsyncClient) -> None:
        """Which plans and tasks there are; and each plan is read once while all is well."""
        end = time.monotonic() + RECOVERY_SECONDS
        while (listed := await self._post(http, "list_tasks", {"limit": 500})).get("isError"):
            assert time.monotonic() < end, listed
            await asyncio.sleep(0.1)
        tasks = listed["structuredContent"]["tasks"]
        self.tasks = [task["id"] for task in tasks][:20]
        self.plans = sorted({task["plan_id"] for task in tasks})[:5]
        for plan in self.plans:
            await self._post(http, "plan_summary", {"plan_id": plan})
            await self._post(http, "list_tasks", {"plan_id": plan})

    async def run(self, calls: int, *, tally: Tally | None = None) -> Tally:
        """So many calls, and how they were answered."""
        tally = tally or Tally()
        # A kept connection may be closed by the server at the moment in which it is used again.
        limits = httpx.Limits(max_connections=self._width, max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=self._planner.url, timeout=90, limits=limits) as http:
            if not self.plans:
                await self.learn(http)
            numbers = iter(range(calls))

            async def caller() -> None:
                for number in numbers:
                    await self._one(http, number, tally)

            await asyncio.gather(*[caller() for _ in range(self._width)])
        return tally

    async def _one(self, http: httpx.AsyncClient, number: int, tally: Tally) -> None:
        began = time.monotonic()
        writes = number % 10 == 9
        tool, arguments = self._write() if writes else self._read(number)
        try:
            result = await self._post(http, tool, arguments)
        except (httpx.HTTPError, KeyError, ValueError) as error:
            kept = tally.writes if writes else tally.unanswered
            kept[f"no answer ({type(error).__name__})"] += 1
            return
        label = (result.get("_meta") or {}).get("resilience", {})
        if writes:
            refused = "refused with retry_after" if "retry_after" in label else "failed"
            tally.writes[refused if result.get("isError") else "done"] += 1
            return
        tally.seconds.append(time.monotonic() - began)
        if result.get("isError") or not result["structuredContent"]["total"]:
            tally.unanswered[str(result["content"][0]["text"])[:60]] += 1
            return
        age = float(label.get("age_seconds", 0.0))
        assert age <= LONGEST_AGE
        tally.oldest = max(tally.oldest, age)
        tally.answered[label.get("served", "unlabelled")] += 1

    def _read(self, number: int) -> tuple[str, dict[str, Any]]:
        plan = self._random.choice(self.plans)
        kinds = (
            ("list_tasks", {}),
            ("list_tasks", {"plan_id": plan}),
            ("plan_summary", {"plan_id": plan}),
        )
        return kinds[number % 3]

    def _write(self) -> tuple[str, dict[str, Any]]:
        # A title of its own, so that one write is never taken for another.
        title = f"chaos {next(self._ids)}"
        return "update_task", {"task_id": self._random.choice(self.tasks), "title": title}

    async def _post(
        self, http: httpx.AsyncClient, tool: str, arguments: dict[str, Any]
    ) -> dict[str, Any]:
        number = next(self._ids)
        tier = ("premium", "standard", "free")[number % 3]
        answer = await http.post(
            "/mcp",
            headers={"Accept": "application/json, text/event-stream"},
            json={
                "jsonrpc": "2.0",
                "id": number,
                "method": "tools/call",
                "params": {
                    "name": tool,
                    "arguments": arguments,
                    "_meta": {"baggage": f"enduser.tier={tier},X-Correlation-ID=chaos-{number}"},
                },
            },
        )
        return dict(answer.json()["result"])


async def recovered(callers: Callers) -> None:
    """Wait until everything is answered fresh again."""
    end = time.monotonic() + RECOVERY_SECONDS
    while True:
        tally = await callers.run(20)
        if set(tally.answered) == {"fresh"} and set(tally.writes) == {"done"}:
            return
        assert time.monotonic() < end, f"it did not recover: {tally}"
        await asyncio.sleep(0.1)


def graph_load(graph: Graph) -> int:
    """Requests that reached Graph since they were last cleared."""
    return sum(row["count"] for row in graph.http.get("/_requests").json()["items"])
