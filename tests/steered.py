"""A small web service as users of the library write one: it tells how the site steers it.

Run as a program it serves on the socket that is its standard input.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import breakers.runtime as resilience
from breakers.runtime.middleware.asgi import ResilienceMiddleware
from resilience_site.embedded.processes import spawn
from resilience_site.embedded.programs import Program
from tests.patience import until

ROOT = Path(__file__).resolve().parent.parent
BREAKER = "graph"
TOGGLE = "planner.write"
# Its first answer comes once it has started.
ANSWER_SECONDS = 120


def main() -> None:
    url, key, service, instance = sys.argv[1:]
    connection = resilience.connect(
        url, key=key, service=service, instance=instance, metric_interval=0.5
    )
    graph = resilience.breaker(BREAKER)

    async def call(request: Request) -> Response:
        try:
            await graph.call(_answer)
        except resilience.CallNotPermitted:
            return JSONResponse({}, 503)
        return JSONResponse({})

    async def standing(request: Request) -> Response:
        told = resilience.default()
        return JSONResponse(
            {
                "status": connection.control.status,
                "version": connection.control.applied_version,
                "state": graph.state.value,
                "timeout": graph.policy.timeout,
                "toggle": told.toggles.value(TOGGLE),
                "level": told.degradation.level(service).value,
                "notice": told.degradation.notice(service),
            }
        )

    routes = [Route("/call", call, methods=["POST"]), Route("/standing", standing)]
    app = ResilienceMiddleware(
        Starlette(routes=routes), degradation=resilience.default().degradation
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    server.run(sockets=[socket.socket(fileno=0)])


async def _answer() -> None:
    """What the service calls answers."""


class SteeredService:
    """The running service, seen from outside."""

    def __init__(self, url: str, instance: str) -> None:
        self.instance = instance
        self.http = httpx.Client(base_url=url, timeout=ANSWER_SECONDS)

    def call(self) -> bool:
        """Whether a call goes through."""
        return self.http.post("/call").status_code == 200

    def standing(self) -> dict[str, Any]:
        """How it stands with the site, and what it was told."""
        return dict(self.http.get("/standing").json())

    def headers(self) -> httpx.Headers:
        """The headers of one of its answers."""
        return self.http.get("/standing").headers


@contextmanager
def steered_service(
    url: str, key: str, service: str, instance: str = "steered-1"
) -> Iterator[SteeredService]:
    """A process of the service, connected to the site at `url`; it ends with the block."""
    state = Path(os.environ["RESILIENCE_STATE_DIR"])
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        program = Program(
            instance,
            [sys.executable, "-m", "tests.steered", url, key, service, instance],
            environment={
                "OTEL_BLRP_SCHEDULE_DELAY": "50",
                "OTEL_METRIC_EXPORT_INTERVAL": "500",
            },
            directory=ROOT,
        )
        log = state / "logs" / f"{instance}.log"
        process = spawn(program, state / "run", log, listen_descriptor=listening.fileno())
        port = listening.getsockname()[1]
    try:
        made = SteeredService(f"http://127.0.0.1:{port}", instance)
        with made.http:
            # The socket listens from the start: the first answer comes once the program serves.
            until(lambda: process.poll() is not None or made.standing())
            assert process.poll() is None, log.read_text(encoding="utf-8")
            yield made
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
