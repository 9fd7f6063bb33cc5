from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.demo.graph import Graph
from tests.demo.graph import running_graph as graph_server
from tests.demo.planner import PlannerProcess
from tests.demo.planner import running_planner as planner_process


@pytest.fixture(scope="session")
def running_graph() -> Iterator[Graph]:
    with graph_server() as graph:
        yield graph


@pytest.fixture
def graph(running_graph: Graph) -> Iterator[Graph]:
    running_graph.http.delete("/_faults")
    yield running_graph
    running_graph.http.delete("/_faults")


@pytest.fixture(scope="session")
def running_planner(running_graph: Graph) -> Iterator[PlannerProcess]:
    with planner_process(running_graph) as planner:
        yield planner


@pytest.fixture
def planner(running_planner: PlannerProcess, graph: Graph) -> PlannerProcess:
    """The server without faults, cache or snapshots."""
    running_planner.forget()
    return running_planner
