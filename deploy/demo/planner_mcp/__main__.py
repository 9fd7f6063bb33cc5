"""Run the planner MCP server: `python -m deploy.demo.planner_mcp`.

PLANNER_MCP_PORT, PLANNER_REDIS_URL, PLANNER_DATABASE_URL, GRAPH_URL, RESILIENCE_URL and
RESILIENCE_INGEST_KEY say where everything is; PLANNER_EXPORT_LOG names the log of failures,
PLANNER_VERSION_FILE the file that says which version is deployed. With PLANNER_FAULTS=on the
server can be broken on purpose (`deploy.demo.planner_mcp.healing`).
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import uvicorn
from opentelemetry.instrumentation.utils import suppress_instrumentation
from psycopg import Error as DatabaseError
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deploy.demo import deploys, signals, telemetry
from deploy.demo.planner_mcp import healing, store, tools
from deploy.demo.planner_mcp.cache import Cache
from deploy.demo.planner_mcp.graph import GraphClient
from deploy.demo.planner_mcp.planner import Planner
from deploy.demo.planner_mcp.protection import SERVICE
from deploy.demo.planner_mcp.store import Store
from deploy.demo.telemetry import required

_PROBE_TIMEOUT = 1.0  # seconds


@asynccontextmanager
async def _engines() -> AsyncIterator[tuple[GraphClient, Cache, Store]]:
    environ = os.environ
    url = required(environ, "PLANNER_DATABASE_URL")
    await store.ensure_database(url)
    graph = GraphClient(
        required(environ, "GRAPH_URL"),
        tenant=environ.get("GRAPH_TENANT", "contoso"),
        client_id=environ.get("GRAPH_CLIENT_ID", "planner-mcp-server"),
        client_secret=required(environ, "GRAPH_CLIENT_SECRET"),
        timeout=float(environ.get("GRAPH_TIMEOUT_SECONDS", "3")),
    )
    cache = Cache(required(environ, "PLANNER_REDIS_URL"))
    database = Store(url)
    try:
        await database.open()
        yield graph, cache, database
    finally:
        await database.close()
        await cache.close()
        await graph.close()


def _health(cache: Cache, database: Store) -> Callable[[Request], Awaitable[Response]]:
    async def healthz(request: Request) -> Response:
        # A probe is no call of anyone's: it must not show as traffic or as an error.
        with suppress_instrumentation():
            checks = {
                "cache": await _probe(cache.ping()),
                "kept_answers": await _probe(_kept(cache)),
                "database": await _probe(database.ping(wait=_PROBE_TIMEOUT)),
            }
        healthy = all(state == "pass" for state in checks.values())
        body = {
            "status": "pass" if healthy else "fail",
            "checks": checks,
            "pool": database.pool(),
        }
        return JSONResponse(body, 200 if healthy else 503, media_type="application/health+json")

    return healthz


class _Emptied(Exception):
    """The cache answers, and what was in it is gone."""


async def _kept(cache: Cache) -> None:
    if not await cache.is_marked():
        raise _Emptied


async def _probe(step: Awaitable[None]) -> str:
    try:
        await asyncio.wait_for(step, _PROBE_TIMEOUT + 0.5)
    except _Emptied:
        return "fail: the cache was emptied"
    except (RedisError, DatabaseError, PoolTimeout, TimeoutError, OSError) as error:
        return f"fail: {type(error).__name__}"
    return "pass"


async def serve(version: str) -> None:
    async with _engines() as (graph, cache, database):
        planner = Planner(
            graph,
            cache,
            database,
            cache_seconds=float(os.environ.get("PLANNER_CACHE_SECONDS", "2")),
            snapshot_seconds=float(os.environ.get("PLANNER_SNAPSHOT_SECONDS", "4")),
        )
        server = tools.build(planner)
        server.custom_route("/healthz", methods=["GET"])(_health(cache, database))
        if healing.faults_are_on():
            faults = healing.Faults(database)
            server.custom_route("/_faults/leak", methods=["POST"])(faults.leak)
        host = os.environ.get("PLANNER_MCP_HOST", "127.0.0.1")
        config = uvicorn.Config(
            server.streamable_http_app(json_response=True, stateless_http=True, host=host),
            host=host,
            port=int(os.environ.get("PLANNER_MCP_PORT", "8001")),
            ws="none",
            loop="asyncio",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
        )
        web = uvicorn.Server(config)
        healing.register(planner, database, functools.partial(setattr, web, "should_exit", True))
        beside = [
            asyncio.create_task(_begin_cache(cache)),
            asyncio.create_task(planner.keep_recording()),
            asyncio.create_task(_leave_when_replaced(web, version)),
        ]
        try:
            await web.serve()
        finally:
            for task in beside:
                task.cancel()


async def _begin_cache(cache: Cache) -> None:
    """A cache that this process begins with is as full as it can be; what is lost from then on is
    a loss. Tried until the cache answers."""
    while True:
        try:
            await cache.mark()
            return
        except RedisError:
            await asyncio.sleep(_PROBE_TIMEOUT)


async def _leave_when_replaced(web: uvicorn.Server, version: str) -> None:
    await deploys.replaced(_version_file(), version)
    web.should_exit = True


def _version_file() -> str:
    return os.environ.get("PLANNER_VERSION_FILE", "")


def main() -> None:
    signals.exit_on_signals()
    version = deploys.deployed(_version_file())
    connection = telemetry.start(SERVICE, version)
    store.instrument()
    try:
        asyncio.run(serve(version))
    finally:
        connection.shutdown()


if __name__ == "__main__":
    main()
