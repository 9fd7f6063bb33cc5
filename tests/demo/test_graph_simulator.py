from __future__ import annotations

import random
import re
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from deploy.demo.graph_simulator import GraphSimulator
from deploy.demo.graph_tasks import TaskStore
from tests.demo.graph import Clock, Graph

TASKS = "/v1.0/planner/tasks"
MINE = "/v1.0/me/planner/tasks"
REPRESENTATION = {"Prefer": "return=representation"}


def some_task(graph: Graph) -> dict[str, object]:
    return dict(graph.http.get(MINE, params={"$top": 1}).json()["value"][0])


def path(task: dict[str, object]) -> str:
    return f"{TASKS}/{task['id']}"


def if_match(task: dict[str, object]) -> dict[str, str]:
    return {"If-Match": str(task["@odata.etag"])}


def test_a_task_has_the_identity_and_version_of_graph(graph: Graph) -> None:
    task = some_task(graph)
    assert len(str(task["id"])) == 28
    assert re.fullmatch(r'W/"[A-Za-z0-9+/=]+"', str(task["@odata.etag"]))
    answer = graph.http.get(path(task))
    assert answer.json()["title"] == task["title"]
    assert answer.headers["request-id"]


def test_the_plan_and_its_tasks_belong_together(graph: Graph) -> None:
    plan_id = some_task(graph)["planId"]
    plan = graph.http.get(f"/v1.0/planner/plans/{plan_id}").json()
    assert plan["id"] == plan_id
    listed = graph.http.get(f"/v1.0/planner/plans/{plan_id}/tasks").json()["value"]
    assert {task["planId"] for task in listed} == {plan_id}


def test_following_next_links_yields_every_task_once(graph: Graph) -> None:
    plan_id = some_task(graph)["planId"]
    whole = graph.http.get(f"/v1.0/planner/plans/{plan_id}/tasks").json()["value"]
    url, seen = f"/v1.0/planner/plans/{plan_id}/tasks?$top=7", []
    while url:
        page = graph.http.get(url).json()
        assert len(page["value"]) <= 7
        seen += [task["id"] for task in page["value"]]
        url = page.get("@odata.nextLink", "")
    assert seen == [task["id"] for task in whole]


@pytest.mark.parametrize("query", ["$top=0", "$top=x", "$top=1000", "$skiptoken=!", "$skiptoken=é"])
def test_a_bad_paging_option_is_a_bad_request(graph: Graph, query: str) -> None:
    answer = graph.http.get(f"{MINE}?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BadRequest"


def test_a_created_task_can_be_fetched_changed_and_deleted(graph: Graph) -> None:
    plan_id = some_task(graph)["planId"]
    created = graph.http.post(TASKS, json={"planId": plan_id, "title": "Call the printer"})
    assert created.status_code == 201
    assert created.headers["location"].endswith(created.json()["id"])
    task = created.json()

    quiet = graph.http.patch(path(task), json={"priority": 1}, headers=if_match(task))
    assert (quiet.status_code, quiet.content) == (204, b"")
    task = graph.http.get(path(task)).json()
    assert task["priority"] == 1

    shown = graph.http.patch(
        path(task), json={"percentComplete": 100}, headers={**if_match(task), **REPRESENTATION}
    )
    assert shown.status_code == 200
    assert shown.headers["preference-applied"] == "return=representation"
    assert shown.json()["completedDateTime"]
    assert shown.json()["@odata.etag"] != task["@odata.etag"]

    assert graph.http.delete(path(task), headers=if_match(task)).status_code == 412
    assert graph.http.delete(path(task), headers=if_match(shown.json())).status_code == 204
    assert graph.http.get(path(task)).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({}, 412, "The If-Match header must be specified for this kind of request."),
        ({"If-Match": "latest"}, 400, "The If-Match header contains an invalid value."),
        ({"If-Match": 'W/"c3RhbGU="'}, 412, "The item was changed since the version in If-Match."),
    ],
)
def test_a_write_names_the_version_it_changes(
    graph: Graph, headers: dict[str, str], status: int, message: str
) -> None:
    task = some_task(graph)
    answer = graph.http.patch(path(task), json={"title": "x"}, headers=headers)
    assert answer.status_code == status
    assert answer.json()["error"]["message"] == message
    assert graph.http.get(path(task)).json()["title"] == task["title"]


@pytest.mark.parametrize(
    "properties",
    [
        {"percentComplete": 101},
        {"percentComplete": True},
        {"priority": "high"},
        {"title": None},
        {"dueDateTime": "tomorrow"},
        {"id": "x"},
    ],
)
def test_a_property_that_cannot_be_written_is_refused(
    graph: Graph, properties: dict[str, object]
) -> None:
    task = some_task(graph)
    answer = graph.http.patch(path(task), json=properties, headers=if_match(task))
    assert answer.status_code == 400
    assert graph.http.get(path(task)).json()["@odata.etag"] == task["@odata.etag"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000, b"\xff", b'{"title": "x"}'])
def test_a_body_that_is_no_task_is_refused(graph: Graph, body: bytes) -> None:
    assert graph.http.post(TASKS, content=body).status_code == 400


def test_an_error_has_graphs_body(graph: Graph) -> None:
    answer = graph.http.get(f"{TASKS}/nowhere", headers={"client-request-id": "c-1"})
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["message"] == "The requested item is not found."
    assert error["innerError"]["client-request-id"] == "c-1"
    assert error["innerError"]["request-id"] == answer.headers["request-id"]
    datetime.fromisoformat(error["innerError"]["date"])


def test_unknown_paths_and_methods_have_graphs_body_too(graph: Graph) -> None:
    assert graph.http.get("/v1.0/groups").json()["error"]["code"] == "BadRequest"
    refused = graph.http.post(MINE)
    assert refused.status_code == 405
    assert refused.json()["error"]["innerError"]["request-id"]


@pytest.mark.parametrize("authorization", ["", "Bearer", "Basic eA==", "Bearer forged"])
def test_without_a_good_token_there_is_no_entry(graph: Graph, authorization: str) -> None:
    answer = graph.http.get(MINE, headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_token_ends_with_its_lifetime() -> None:
    clock = Clock()
    simulator = GraphSimulator(rng=random.Random(1), clock=clock, token_lifetime=60)
    with TestClient(simulator.app()) as client:
        form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"}
        issued = client.post("/contoso/oauth2/v2.0/token", data={**form, "scope": "s"}).json()
        assert issued["expires_in"] == 60
        headers = {"Authorization": f"Bearer {issued['access_token']}"}
        clock.now += 59
        assert client.get(MINE, headers=headers).status_code == 200
        clock.now += 1
        expired = client.get(MINE, headers=headers)
    assert expired.status_code == 401
    assert "expired" in expired.json()["error"]["message"]


def test_the_token_endpoint_names_what_is_wrong(graph: Graph) -> None:
    refused = graph.token(grant_type="password")
    assert refused.status_code == 400
    assert refused.json()["error"] == "unsupported_grant_type"
    form = {"grant_type": "client_credentials", "client_id": "a"}
    missing = graph.http.post("/contoso/oauth2/v2.0/token", data=form)
    assert missing.json()["error_codes"] == [900144]
    assert missing.json()["error_description"].startswith("AADSTS900144: ")


def test_the_store_archives_completed_tasks_first() -> None:
    store = TaskStore(random.Random(1), lambda: datetime.now(UTC), tasks_per_plan=4, capacity=12)
    [plan_id, *_] = store._plans
    first = [store.create({"planId": plan_id, "title": f"t{n}"}) for n in range(3)]
    for task in first:
        store.update(task["id"], {"percentComplete": 100})
    before = len(store._tasks)
    for n in range(50):
        store.create({"planId": plan_id, "title": f"more {n}"})
    assert len(store._tasks) == before
    assert not any(store.task(task["id"]) for task in first)


def test_the_same_seed_gives_the_same_tenant() -> None:
    def ids(seed: int) -> list[str]:
        return list(GraphSimulator(rng=random.Random(seed)).tasks._tasks)

    assert ids(3) == ids(3)
    assert ids(3) != ids(4)


def test_requests_are_counted_by_outcome(graph: Graph) -> None:
    graph.http.delete("/_requests")
    graph.http.get(MINE)
    graph.fault("unavailable")
    graph.http.get(MINE)
    rows = graph.http.get("/_requests").json()["items"]
    assert [(row["path"], row["outcome"], row["count"]) for row in rows] == [
        (MINE, "200", 1),
        (MINE, "503", 1),
    ]
