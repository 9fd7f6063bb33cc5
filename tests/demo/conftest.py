from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import pytest

from deploy.demo.graph_simulator import GraphSimulator, server
from tests.demo.graph import Graph
from tests.demo.planner import PlannerProcess
from tests.demo.planner import running_planner as planner_process


@pytest.fixture(scope="session")
def running_graph() -> Iterator[Graph]:
    simulator = GraphSimulator(rng=random.Random(1))
    web = server(simulator, "127.0.0.1", 0)
    thread = threading.Thread(target=web.run, daemon=True)
    thread.start()
    while not web.started:
        thread.join(0.01)
        assert thread.is_alive()
    port = web.servers[0].sockets[0].getsockname()[1]
    graph = Graph(simulator, f"http://127.0.0.1:{port}")
    graph.sign_in()
    yield graph
    graph.http.close()
    web.should_exit = True
    thread.join()


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
