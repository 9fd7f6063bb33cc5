from __future__ import annotations

import httpx
import pytest

from breakers.runtime import ClientVariables, Resilience
from deploy.demo.graph_tasks import ME
from deploy.demo.planner_mcp import errors
from deploy.demo.planner_mcp.graph import GraphClient
from tests.demo.graph import Clock, Graph
from tests.demo.planner import UNPROTECTED


@pytest.fixture(autouse=True)
def unprotected(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Graph says reaches the caller as it is."""
    made = Resilience(ClientVariables(UNPROTECTED))
    monkeypatch.setattr("breakers.runtime.process._default", made)


def client(graph: Graph, clock: Clock | None = None) -> GraphClient:
    return GraphClient(
        graph.url,
        tenant="contoso",
        client_id="planner",
        client_secret="s",
        timeout=5,
        clock=clock or Clock(),
    )


def tokens_issued(graph: Graph) -> int:
    return sum(
        row["count"]
        for row in graph.http.get("/_requests").json()["items"]
        if row["path"].endswith("/token")
    )


async def test_a_token_serves_until_it_nears_its_end(graph: Graph) -> None:
    clock = Clock()
    planner = client(graph, clock)
    before = tokens_issued(graph)
    for _ in range(3):
        await planner.my_tasks()
    assert tokens_issued(graph) == before + 1
    clock.now += 3599 - 299
    await planner.my_tasks()
    assert tokens_issued(graph) == before + 2
    await planner.close()


async def test_a_refused_token_is_renewed_once(graph: Graph) -> None:
    planner = client(graph)
    await planner.my_tasks()
    graph.simulator.tokens._expiry.clear()
    before = tokens_issued(graph)
    assert await planner.my_tasks()
    assert tokens_issued(graph) == before + 1
    graph.sign_in()
    graph.fault("token")
    with pytest.raises(errors.GraphAuthenticationError, match="the token is expired"):
        await planner.my_tasks()
    await planner.close()


async def test_all_pages_are_read(graph: Graph) -> None:
    planner = client(graph)
    store = graph.simulator.tasks
    plan_id = next(iter(store._plans))
    made = [store.create({"planId": plan_id, "title": f"page {n}"}) for n in range(230)]
    found = {task["id"] for task in await planner.plan_tasks(plan_id)}
    assert found == {task["id"] for task in store.of_plan(plan_id, 0, 10_000).tasks}
    for task in made:
        store.delete(task["id"])
    await planner.close()


async def test_a_stale_version_is_a_conflict(graph: Graph) -> None:
    planner = client(graph)
    [task, *_] = graph.simulator.tasks.of_user(ME, 0, 1).tasks
    etag = str(task["@odata.etag"])
    await planner.update_task(task["id"], etag, {"priority": 3})
    with pytest.raises(errors.GraphConflictError) as caught:
        await planner.update_task(task["id"], etag, {"priority": 5})
    assert caught.value.status == 412
    await planner.close()


async def test_an_error_carries_what_graph_said(graph: Graph) -> None:
    planner = client(graph)
    graph.fault("throttle", value=9)
    with pytest.raises(errors.GraphThrottledError) as caught:
        await planner.my_tasks()
    assert (caught.value.code, caught.value.retry_after) == ("TooManyRequests", 9)
    assert caught.value.request_id
    assert isinstance(caught.value.__cause__, httpx.HTTPStatusError)
    await planner.close()


async def test_nobody_else_is_given_the_token(graph: Graph) -> None:
    planner = client(graph)
    with pytest.raises(errors.GraphError, match="leads elsewhere: evil"):
        await planner._call("GET", "/v1.0/me/planner/tasks", url="http://evil.example/x")
    await planner.close()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "down"}', b'{"error": {}}'])
def test_an_error_without_graphs_body_is_still_told(body: bytes) -> None:
    request = httpx.Request("GET", "http://graph/")
    response = httpx.Response(502, content=body, request=request)
    error = errors.graph_error(
        httpx.HTTPStatusError("bad", request=request, response=response), doing="GET /x"
    )
    assert isinstance(error, errors.GraphUnavailableError)
    assert str(error) == "Microsoft Graph answered 502 while GET /x: Bad Gateway"
