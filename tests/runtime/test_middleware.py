"""The library at the edge of a service: real Starlette, real Django, a real MCP server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.test import override_settings as with_settings
from django.urls import path
from mcp import Client as McpClient
from mcp.server import MCPServer
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from breakers.runtime import (
    BulkheadFull,
    CircuitBreaker,
    ClientVariables,
    ConfigError,
    Degradation,
    DegradationLevel,
    FallbackHandler,
    current_tier,
    deadline,
    tier,
)
from breakers.runtime.correlation import accepted, correlation, correlation_id, outgoing_headers
from breakers.runtime.deadlines import remaining
from breakers.runtime.errors import DeadlineExceeded
from breakers.runtime.middleware.asgi import ResilienceMiddleware
from breakers.runtime.middleware.mcp import ResilienceMiddleware as McpMiddleware
from breakers.runtime.middleware.mcp import note_rejection
from breakers.runtime.testing import FakeClock


def rejected() -> None:
    breaker = CircuitBreaker(name="graph", clock=FakeClock())
    breaker.adopt_open("test", 12.3)
    breaker.acquire()


def seen() -> dict[str, Any]:
    left = remaining()
    return {
        "correlation": correlation_id(),
        "tier": current_tier(),
        "left": None if left is None or left == float("inf") else left,
    }


# --- Outgoing


def test_what_comes_in_goes_on() -> None:
    assert outgoing_headers() == {}
    with correlation("abc-1"), tier("premium"), deadline(200):
        headers = outgoing_headers()
    assert headers["X-Correlation-ID"] == "abc-1"
    assert headers["X-User-Tier"] == "premium"
    assert 100_000 < int(headers["X-Request-Timeout-Ms"]) <= 200_000


@pytest.mark.parametrize("odd", ["", "a b", "x" * 129, "a\nb", "ä", None])
def test_an_id_that_could_not_be_logged_is_replaced(odd: str | None) -> None:
    assert len(accepted(odd)) == 32
    assert accepted("a.B_c-1:/+=@") == "a.B_c-1:/+=@"


# --- ASGI


async def show(request: Request) -> JSONResponse:
    return JSONResponse(seen())


async def reject(request: Request) -> JSONResponse:
    kind = request.path_params["kind"]
    if kind == "open":
        rejected()
    if kind == "rate":
        raise BulkheadFull("graph", "rate", retry_after=0.2)
    if kind == "full":
        raise BulkheadFull("graph", "queue_full")
    await asyncio.Event().wait()
    return JSONResponse({})


async def stream(request: Request) -> StreamingResponse:
    async def items() -> AsyncIterator[bytes]:
        yield b"one"
        raise DeadlineExceeded("too late for another answer")

    return StreamingResponse(items())


def app(**settings: Any) -> httpx.AsyncClient:
    routes = [
        Route("/show", show),
        Route("/stream", stream),
        Route("/{kind}", reject),
    ]
    middleware = [Middleware(ResilienceMiddleware, **settings)]
    wrapped = Starlette(routes=routes, middleware=middleware)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(wrapped, raise_app_exceptions=True), base_url="http://x"
    )


async def test_asgi_carries_id_time_and_tier() -> None:
    async with app(max_timeout=1000) as client:
        plain = await client.get("/show")
        assert len(plain.headers["x-correlation-id"]) == 32
        assert 900 < plain.json()["left"] <= 1000
        given = {
            "X-Correlation-ID": "abc",
            "X-Request-Timeout-Ms": "200000",
            "X-User-Tier": "premium",
        }
        answer = await client.get("/show", headers=given)
        assert answer.headers["x-correlation-id"] == answer.json()["correlation"] == "abc"
        assert answer.json()["tier"] == "premium"
        assert 100 < answer.json()["left"] <= 200
        capped = await client.get("/show", headers={"X-Request-Timeout-Ms": "99999999"})
        assert capped.json()["left"] <= 1000
        odd = await client.get("/show", headers={"X-Request-Timeout-Ms": "soon"})
        assert odd.json()["left"] <= 1000
    async with app(tier=lambda scope: "by-path:" + scope["path"]) as client:
        shown = (await client.get("/show")).json()
        assert (shown["tier"], shown["left"]) == ("by-path:/show", None)


@pytest.mark.parametrize(
    ("kind", "status", "retry_after", "named"),
    [
        ("open", 503, "13", "urn:resilience:dependency-unavailable"),
        ("rate", 429, "1", "urn:resilience:too-many-requests"),
        ("full", 503, None, "urn:resilience:overloaded"),
        ("hang", 504, None, "urn:resilience:deadline-exceeded"),
    ],
)
async def test_asgi_answers_rejections_as_problems(
    kind: str, status: int, retry_after: str | None, named: str
) -> None:
    async with app() as client:
        headers = {
            "X-Correlation-ID": "abc",
            "X-Request-Timeout-Ms": "20" if kind == "hang" else "",
        }
        answer = await client.get(f"/{kind}", headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers.get("retry-after") == retry_after
    problem = answer.json()
    assert (problem["type"], problem["status"], problem["correlation_id"]) == (named, status, "abc")
    assert problem["detail"]


async def test_asgi_does_not_answer_twice() -> None:
    async with app() as client:
        with pytest.raises(DeadlineExceeded):
            await client.get("/stream")


async def test_asgi_tells_of_degraded_services() -> None:
    degradation = Degradation(ClientVariables({}))
    degradation.set("planner", DegradationLevel.REDUCED, notice="Pläne sind älter.")
    async with app(degradation=degradation) as client:
        for name in ("show", "full"):
            answer = await client.get(f"/{name}")
            assert answer.headers["x-degraded-services"] == "planner=reduced"
            assert answer.headers["x-degraded-notice"] == "Pl%C3%A4ne sind %C3%A4lter."


async def test_asgi_leaves_other_kinds_alone() -> None:
    kinds: list[str] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        kinds.append(scope["type"])

    wrapped = ResilienceMiddleware(inner)
    for kind in ("lifespan", "websocket"):
        await wrapped({"type": kind}, None, None)  # type: ignore[arg-type]
    assert kinds == ["lifespan", "websocket"]
    with pytest.raises(ConfigError, match="max_timeout is 0"):
        ResilienceMiddleware(inner, max_timeout=0)


# --- Django


def django_show(request: HttpRequest) -> HttpResponse:
    return HttpResponse(json.dumps(seen()))


async def django_show_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse(json.dumps(seen()))


def django_reject(request: HttpRequest) -> HttpResponse:
    rejected()
    return HttpResponse()


async def django_hang(request: HttpRequest) -> HttpResponse:
    await asyncio.Event().wait()
    return HttpResponse()


urlpatterns = [
    path("show", django_show),
    path("show-async", django_show_async),
    path("reject", django_reject),
    path("hang", django_hang),
]

django_site = with_settings(
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["breakers.runtime.middleware.django.ResilienceMiddleware"],
    RESILIENCE_MAX_TIMEOUT=500,
)
GIVEN = {"X-Correlation-ID": "abc", "X-Request-Timeout-Ms": "200000", "X-User-Tier": "premium"}


def check_shown(answer: Any) -> None:
    shown = json.loads(answer.content)
    assert answer.headers["X-Correlation-ID"] == shown["correlation"] == "abc"
    assert shown["tier"] == "premium"
    assert 100 < shown["left"] <= 200


def check_rejected(answer: Any) -> None:
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "13"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Correlation-ID"] == "abc"


@django_site
def test_django_under_wsgi() -> None:
    client = Client(headers=GIVEN)
    check_shown(client.get("/show"))
    check_shown(client.get("/show-async"))
    check_rejected(client.get("/reject"))


@django_site
async def test_django_under_asgi() -> None:
    client = AsyncClient()
    check_shown(await client.get("/show", headers=GIVEN))
    check_shown(await client.get("/show-async", headers=GIVEN))
    check_rejected(await client.get("/reject", headers=GIVEN))
    late = await client.get("/hang", headers=GIVEN | {"X-Request-Timeout-Ms": "20"})
    assert late.status_code == 504


# --- MCP


async def call(build: Callable[[MCPServer], None], meta: dict[str, Any], **settings: Any) -> Any:
    server = MCPServer("test", middleware=[McpMiddleware(**settings)])
    build(server)
    async with McpClient(server) as client:
        return await client.call_tool("tool", {}, meta=meta)  # type: ignore[arg-type]


async def test_mcp_carries_id_time_and_tier_and_labels_the_answer() -> None:
    def build(server: MCPServer) -> None:
        @server.tool()
        async def tool() -> str:
            return json.dumps(seen())

    result = await call(build, GIVEN, max_timeout=900)
    shown = json.loads(result.content[0].text)
    assert (shown["correlation"], shown["tier"]) == ("abc", "premium")
    assert 100 < shown["left"] <= 200
    assert result.meta["resilience"] == {"correlation_id": "abc", "served": "fresh"}


async def test_mcp_says_what_was_served_and_when_to_come_back() -> None:
    handler = FallbackHandler(variables=ClientVariables({}))
    handler.cache.put("k", "old")
    degradation = Degradation(ClientVariables({}))
    degradation.set("planner", DegradationLevel.REDUCED, notice="n")

    def cached(server: MCPServer) -> None:
        @server.tool()
        async def tool() -> str:
            result = await handler.execute_fallback("graph", OSError(), {"cache_key": "k"})
            return str(result.value)

    label = (await call(cached, {}, degradation=degradation)).meta["resilience"]
    assert label["served"] == "cached"
    assert label["age_seconds"] >= 0
    assert label["notices"] == {"planner": "n"}

    def refused(server: MCPServer) -> None:
        @server.tool()
        async def tool() -> str:
            try:
                rejected()
            except Exception as error:
                note_rejection(error)
                raise
            return ""

    result = await call(refused, {})
    assert result.is_error
    assert result.meta["resilience"]["served"] == "rejected"
    assert result.meta["resilience"]["retry_after"] == 12.3


async def test_mcp_answers_a_call_that_runs_out_of_time_as_a_tool_s_error() -> None:
    def build(server: MCPServer) -> None:
        @server.tool()
        async def tool() -> str:
            await asyncio.Event().wait()
            return ""

    result = await call(build, {"X-Request-Timeout-Ms": "20"})
    assert result.is_error
    assert "they are over" in result.content[0].text
    assert result.meta["resilience"]["served"] == "rejected"


async def test_mcp_does_not_call_a_failure_fresh() -> None:
    def build(server: MCPServer) -> None:
        @server.tool()
        async def tool() -> str:
            raise ValueError("no")

    assert (await call(build, {})).meta["resilience"]["served"] == "failed"


async def test_a_tier_that_no_header_can_carry_is_none() -> None:
    async with app(tier=lambda scope: "a\nb") as client:
        assert (await client.get("/show")).json()["tier"] == ""
