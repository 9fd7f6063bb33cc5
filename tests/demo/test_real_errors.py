"""The errors that the whole demo shows are real: who caused them is gone, so are new ones, and each
stands in the log of the service that reported it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import psycopg
import pytest

from deploy.demo.programs import DRIVER, PLANNER_MCP
from resilience_site.embedded.folders import Folders
from resilience_site.embedded.supervisor import Supervisor, socket_path
from tests.collected import seed
from tests.embedded.running import Up, until
from tests.ports import free_port

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into Linux's /proc"),
]

SERVICES = (PLANNER_MCP, DRIVER)
ENOUGH = 20
ARRIVAL_SECONDS = 120
# Some twenty calls of the users who are gone, and some ten exports.
QUIET_SECONDS = 2.0


class Demo:
    """A running demo whose faults are switched on by hand."""

    def __init__(self, up: Up, graph_port: int) -> None:
        self._folder = up.state / "demo"
        self._graph = f"http://127.0.0.1:{graph_port}"
        self._supervisor = Supervisor(socket_path(Folders(up.state)))
        kept = json.loads((up.state / "kept.json").read_text(encoding="utf-8"))
        self._database = str(kept["DATABASE_URL"])

    def break_graph(self) -> None:
        fault = {"kind": "unavailable", "rate": 1}
        httpx.put(f"{self._graph}/_faults", json=fault, timeout=60).raise_for_status()

    def graph_requests(self) -> object:
        return httpx.get(f"{self._graph}/_requests", timeout=60).raise_for_status().json()

    def stop_driver(self) -> None:
        self._supervisor.stop(DRIVER)

    def errors(self) -> dict[str, set[str]]:
        """The traces of the errors that the site shows, by service."""
        with psycopg.connect(self._database) as connection:
            rows = connection.execute("SELECT service, trace_id FROM analytics_errorevent")
            found: dict[str, set[str]] = {}
            for service, trace in rows.fetchall():
                found.setdefault(service, set()).add(trace)
        return found

    def count(self) -> int:
        with psycopg.connect(self._database) as connection:
            row = connection.execute("SELECT count(*) FROM analytics_errorevent").fetchone()
        assert row is not None
        return int(row[0])

    def reported(self) -> dict[str, set[str]]:
        """The traces that the services' own logs hold."""
        found = {}
        for service in SERVICES:
            log = self._folder / f"{service}-errors.log"
            lines = log.read_text(encoding="utf-8").splitlines()
            if lines:
                found[service] = {line.split()[1] for line in lines}
        return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    graph_port = free_port()
    changes = {
        "GRAPH_SIM_PORT": str(graph_port),
        "PLANNER_MCP_PORT": str(free_port()),
        "DEMO_SCENARIO": "off",
        "DEMO_CALLS_PER_SECOND": "10",
        "PLANNER_CACHE_SECONDS": "0.1",
        "PLANNER_SNAPSHOT_SECONDS": "0.1",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_BLRP_SCHEDULE_DELAY": "200",
        # Errors of the site itself are real as well, but not the demo's.
        "DISTRIBUTED_TRACING_ENABLED": "false",
    }
    with ExitStack() as stack:
        state = seed(tmp_path_factory.mktemp("demo"))
        up = Up(state, changes=changes, words=["--demo"])
        stack.callback(up.discard)
        up.ready()
        yield Demo(up, graph_port)


def test_each_error_stands_in_its_service_log_and_none_comes_without_the_driver(
    demo: Demo,
) -> None:
    assert demo.count() == 0
    demo.break_graph()
    until(lambda: demo.count() >= ENOUGH, ARRIVAL_SECONDS, "the first errors")

    demo.stop_driver()
    until(lambda: demo.errors() == demo.reported(), ARRIVAL_SECONDS, "the last errors")

    assert set(demo.errors()) == set(SERVICES)
    assert "" not in demo.errors()[PLANNER_MCP]
    # Graph is still broken: whoever called it now would fail. A last retry may be on its way.
    until(lambda: is_quiet(demo), ARRIVAL_SECONDS, "a time without calls and errors")
    assert demo.errors() == demo.reported()


def is_quiet(demo: Demo) -> bool:
    before = demo.count(), demo.graph_requests()
    time.sleep(QUIET_SECONDS)
    return (demo.count(), demo.graph_requests()) == before
