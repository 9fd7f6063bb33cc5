"""The planner MCP server as a real process on engines of its own, and a real OTLP receiver."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import redis
from psycopg import conninfo

from resilience_site.embedded.folders import Folders
from resilience_site.embedded.processes import spawn
from resilience_site.embedded.valkey import Valkey
from tests.demo.graph import Graph
from tests.engines import drop_database
from tests.patience import until
from tests.ports import free_port
from tests.runtime.sink import Sink, attributes

ROOT = Path(__file__).resolve().parents[2]
ERROR = 2  # of a span's status
# For what is to succeed on a busy machine; a Graph that is too slow takes longer.
GRAPH_SECONDS = 5.0
_START_SECONDS = 120
_STOP_SECONDS = 60
_ANSWER_SECONDS = 60


# What a failure looks like is best seen where nothing stands between.
UNPROTECTED = {
    "CIRCUIT_BREAKER_ENABLED": "false",
    "RETRY_ENABLED": "false",
    "FALLBACK_ENABLED": "false",
    "BULKHEAD_ISOLATION_ENABLED": "false",
}


class PlannerProcess:
    """The server, restarted at will, and its cache, stopped at will."""

    def __init__(
        self, folder: Path, graph: Graph, sink: Sink, protection: Mapping[str, str] = UNPROTECTED
    ) -> None:
        self.protection = dict(protection)
        self.graph = graph
        self.sink = sink
        self.export_log = folder / "demo" / "errors.log"
        self.version_file = folder / "planner-version"
        self.port = free_port()
        self.database = conninfo.make_conninfo(
            os.environ["DATABASE_URL"], dbname=f"planner_test_{self.port}"
        )
        self._folders = Folders(folder)
        self._folders.make()
        self._valkey = Valkey(self._folders, "planner-valkey")
        self._cache: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def instance(self) -> str:
        """What the running process calls itself to a site."""
        assert self._server is not None
        return f"{socket.gethostname()}-{self._server.pid}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "RESILIENCE_URL": self.sink.url,
            "RESILIENCE_INGEST_KEY": "k" * 20,
            "GRAPH_URL": self.graph.url,
            "GRAPH_CLIENT_SECRET": "s",
            "GRAPH_TIMEOUT_SECONDS": str(GRAPH_SECONDS),
            "PLANNER_MCP_PORT": str(self.port),
            "PLANNER_MCP_URL": f"{self.url}/mcp",
            "PLANNER_DATABASE_URL": self.database,
            "PLANNER_REDIS_URL": self._valkey.url,
            "PLANNER_CACHE_SECONDS": "60",
            "PLANNER_SNAPSHOT_SECONDS": "60",
            "PLANNER_EXPORT_LOG": str(self.export_log),
            "PLANNER_VERSION_FILE": str(self.version_file),
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_BLRP_SCHEDULE_DELAY": "50",
            **self.protection,
        }

    def start_cache(self) -> None:
        self._valkey.prepare()
        log = self._folders.logs / "valkey.log"
        self._cache = spawn(self._valkey.program(), self._folders.run, log)
        self._valkey.wait_ready(lambda: None)

    def stop_cache(self) -> None:
        assert self._cache is not None
        self._cache.kill()
        self._cache.wait()

    def start(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "deploy.demo.planner_mcp"], cwd=ROOT, env=self.environment
        )
        until(self._healthy, _START_SECONDS)

    def stop(self) -> int:
        assert self._server is not None
        self._server.send_signal(signal.SIGTERM)
        return self._server.wait(_STOP_SECONDS)

    def wait(self) -> int:
        """Its exit code, once it has ended by itself."""
        assert self._server is not None
        return self._server.wait(_STOP_SECONDS)

    def versions(self) -> set[str]:
        """The versions of the planner that have told of themselves."""
        told = (
            attributes(group.resource.attributes)
            for _, _, message in self.sink.of("/v1/traces")
            for group in message.resource_spans
        )
        return {
            str(each["service.version"])
            for each in told
            if each["service.name"] == "planner-mcp-server"
        }

    def _healthy(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, "the server ended"
        try:
            return self.health().status_code == 200
        except httpx.TransportError:
            return False

    def health(self) -> httpx.Response:
        return httpx.get(f"{self.url}/healthz", timeout=_ANSWER_SECONDS)

    def flush_cache(self) -> None:
        with redis.Redis.from_url(self._valkey.url) as client:
            client.flushall()

    def forget(self) -> None:
        """Flush the cache and the snapshots, so that the next call asks Graph."""
        self.flush_cache()
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute("TRUNCATE plan_snapshot")

    def trace(self, trace_id: str) -> list[Any]:
        """The spans of a tool call's trace; its own arrives last."""

        def complete() -> list[Any]:
            spans = [span for span in self.sink.spans() if span.trace_id.hex() == trace_id]
            called = any(span.name.startswith("tools/call") for span in spans)
            # A client asks for the tools once, before it can read the first answer.
            return [span for span in spans if span.name != "tools/list"] if called else []

        return list(until(complete))

    def close(self) -> None:
        for process in (self._server, self._cache):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        self._folders.remove_sockets()
        name = str(conninfo.conninfo_to_dict(self.database)["dbname"])
        elsewhere = conninfo.make_conninfo(self.database, dbname="postgres")
        with psycopg.connect(elsewhere, autocommit=True) as connection:
            drop_database(connection, name)


@contextmanager
def running_planner(graph: Graph) -> Iterator[PlannerProcess]:
    # A short path: sockets have a limit that pytest's own folders may exceed.
    folder = Path(tempfile.mkdtemp(prefix="planner-"))
    try:
        with Sink().listening() as sink:
            planner = PlannerProcess(folder, graph, sink)
            try:
                planner.start_cache()
                planner.start()
                yield planner
                assert planner.stop() == 0
            finally:
                planner.close()
    finally:
        shutil.rmtree(folder)


def exceptions(span: Any) -> list[str]:
    """The types of the exceptions recorded on a span, without their modules."""
    types = [attributes(event.attributes).get("exception.type", "") for event in span.events]
    return [each.rpartition(".")[2] for each in types]


def failed(spans: list[Any]) -> list[Any]:
    return [span for span in spans if span.status.code == ERROR]


def deepest(spans: list[Any]) -> Any:
    """The span furthest from the root; the earliest of several."""
    parents = {span.span_id: span.parent_span_id for span in spans}

    def depth(span_id: bytes) -> int:
        return 1 + depth(parents[span_id]) if span_id in parents else 0

    return min(failed(spans), key=lambda span: (-depth(span.span_id), span.start_time_unix_nano))
