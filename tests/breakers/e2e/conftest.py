"""The real planner, which reports to the real site and polls it for its control document."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chaos import PROTECTED
from tests.demo.graph import Graph
from tests.demo.planner import PlannerProcess
from tests.livesite import LiveSite, WebProcess, fresh_site
from tests.runtime.sink import Sink

SERVICE = "planner-mcp-server"
ANSWER_SECONDS = 60
# What a breaker does is to be what people told it: no stall of a busy machine opens it, and what
# has opened does not close by itself while a test looks.
_DELIBERATE = {"GRAPH_TIMEOUT_SECONDS": "5", "GRAPH_API_TIMEOUT_SECONDS": "120"}


class SteeredPlanner(PlannerProcess):
    """A planner whose reports go to a site."""

    site_url = ""
    ingest_key = ""
    http: httpx.Client

    @property
    def environment(self) -> dict[str, str]:
        reports = {"RESILIENCE_URL": self.site_url, "RESILIENCE_INGEST_KEY": self.ingest_key}
        return {**super().environment, **reports}

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The result of a tool call."""
        answer = self.http.post(
            f"{self.url}/mcp",
            headers={"Accept": "application/json, text/event-stream"},
            json={
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": tool, "arguments": arguments},
            },
        )
        return dict(answer.json()["result"])


@contextmanager
def steered_planner(graph: Graph, url: str, key: str) -> Iterator[SteeredPlanner]:
    # A short path: sockets have a limit that pytest's own folders may exceed.
    folder = Path(tempfile.mkdtemp(prefix="planner-"))
    planner = SteeredPlanner(folder, graph, Sink(), PROTECTED | _DELIBERATE)
    planner.site_url, planner.ingest_key = url, key
    try:
        planner.start_cache()
        planner.start()
        with httpx.Client(timeout=ANSWER_SECONDS) as planner.http:
            yield planner
    finally:
        planner.close()
        shutil.rmtree(folder)


@pytest.fixture
def planner(site: LiveSite, faulty_graph: Graph) -> Iterator[SteeredPlanner]:
    """A planner that the session's site steers."""
    with steered_planner(faulty_graph, site.url, site.ingest_key) as running:
        yield running


@pytest.fixture
def mortal_site(transactional_db: None) -> Iterator[tuple[WebProcess, LiveSite]]:
    """A site that a test may kill and start again."""
    process = WebProcess("web-mortal")
    process.start()
    try:
        yield process, fresh_site(process.url)
    finally:
        process.stop()


def label(result: dict[str, Any]) -> dict[str, Any]:
    """What the middleware says of a result."""
    return dict((result.get("_meta") or {}).get("resilience", {}))
