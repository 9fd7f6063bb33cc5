"""A running Graph simulator to test against."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from deploy.demo.graph_simulator import GraphSimulator, server


class Graph:
    """A running simulator and a client of it that carries a token."""

    def __init__(self, simulator: GraphSimulator, url: str) -> None:
        self.simulator = simulator
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=60)

    def token(self, **changes: str) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_id": "planner",
            "client_secret": "s",
            "scope": "https://graph.microsoft.com/.default",
            **changes,
        }
        return self.http.post("/contoso/oauth2/v2.0/token", data=form)

    def sign_in(self) -> None:
        token = self.token().json()["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"

    def fault(self, kind: str, **fields: float) -> None:
        self.http.put("/_faults", json={"kind": kind, **fields}).raise_for_status()


class Clock:
    """A clock that moves only when told to, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def running_graph() -> Iterator[Graph]:
    """A simulator that listens, with a client that is signed in."""
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
    try:
        yield graph
    finally:
        graph.http.close()
        web.should_exit = True
        thread.join()
