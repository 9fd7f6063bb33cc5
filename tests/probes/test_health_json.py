"""`/healthz` as health+json: groups, details for those who may read, the fleet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from resilience_site.config import config
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Scope
from resilience_site.core.keys import key_create
from resilience_site.probes import checks, groups, views
from tests.health.status.scenes import check, service, turn
from tests.ports import free_port

pytestmark = pytest.mark.django_db
OWN = {"database", "migrations", "redis", "background", "worker", "ingest", "tasks", "checks"}


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(checks, "WORKER_SECONDS", 0.05)
    views.forget()
    yield
    views.forget()


@pytest.fixture
def key() -> str:
    return key_create(name="probe", scope=Scope.READ, actor=Actor(ActorKind.SYSTEM, "tests"))[1]


def ask(path: str, key: str = "") -> Any:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return Client().get(path, headers=headers)


def components(answer: Any) -> set[str]:
    return {name.rpartition(":")[0] for name in answer.json()["checks"]}


@pytest.mark.parametrize("path", ["/healthz?group=ready", "/healthz/ready"])
def test_the_group_ready_is_what_a_request_needs(path: str, key: str) -> None:
    answer = ask(path, key)
    assert answer.headers["Content-Type"] == "application/health+json"
    assert components(answer) == {"database", "migrations", "redis", "background"}


def test_without_a_group_the_answer_is_deep(key: str) -> None:
    answer = ask("/healthz", key)
    assert components(answer) == components(ask("/healthz/deep", key)) == OWN


def test_the_root_says_who_answers_and_each_check_what_it_saw(key: str) -> None:
    document = ask("/healthz", key).json()
    assert set(document) - {"output"} == {
        "status", "version", "releaseId", "serviceId", "description", "notes", "links", "checks",
    }  # fmt: skip
    assert document["releaseId"][0].isdigit()
    assert document["links"]["self"] == "http://testserver/healthz"
    [seen] = document["checks"]["database:connection"]
    assert seen["componentId"] == "database"
    assert seen["componentType"] == "datastore"
    assert isinstance(seen["observedValue"], float)
    assert seen["observedUnit"] == "ms"
    assert abs((datetime.now(UTC) - datetime.fromisoformat(seen["time"])).total_seconds()) < 60
    for found in document["checks"].values():
        assert found[0]["status"] in ("pass", "warn", "fail")


def test_what_fails_says_what_it_affects(key: str) -> None:
    with config.override(redis_url=f"redis://127.0.0.1:{free_port()}/0"):
        answer = ask("/healthz", key)
    assert answer.status_code == 503
    document = answer.json()
    assert document["status"] == "fail"
    assert document["output"].startswith("redis: ")
    [seen] = document["checks"]["redis:connection"]
    assert seen["affectedEndpoints"] == ["/ws/live/"]
    assert document["checks"]["worker:heartbeat"][0]["output"] == "unknown while redis is down"


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def test_a_browser_is_shown_a_page_of_the_same(key: str) -> None:
    headers = {"Accept": BROWSER, "Authorization": f"Bearer {key}"}
    with config.override(redis_url=f"redis://127.0.0.1:{free_port()}/0"):
        answer = Client().get("/healthz", headers=headers)
    assert answer.status_code == 503
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "Accept" in answer.headers["Vary"]
    text = answer.content.decode()
    assert "redis:connection: " in text
    assert "Alerts are evaluated by the web process." in text
    stranger = Client().get("/healthz", headers={"Accept": BROWSER}).content.decode()
    assert "Log in" in stranger
    assert "database:connection" not in stranger


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/html;q=0.9"])
def test_whoever_would_rather_have_json_gets_it(accept: str, key: str) -> None:
    headers = {"Accept": accept, "Authorization": f"Bearer {key}"}
    answer = Client().get("/healthz", headers=headers)
    assert answer.headers["Content-Type"] == "application/health+json"
    assert components(answer) == OWN


def test_a_group_that_is_not_there_is_404_and_names_those_that_are() -> None:
    for path in ("/healthz?group=odd", "/healthz/odd", "/healthz/ready?group=odd"):
        answer = ask(path)
        assert answer.status_code == 404
        assert answer.json()["allowed"] == ["ready", "deep", "services"]


def test_an_indicator_of_several_groups_is_looked_at_once(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(checks, "database", lambda: seen.append(1) or [])
    groups.forget()
    began = time.monotonic()
    for _ in range(5):
        ask("/healthz/ready?group=deep,services&group=ready", key)
        ask("/readyz")
    # It is remembered for a second; a busy machine may take longer for ten answers.
    assert 1 <= len(seen) <= 1 + int(time.monotonic() - began)


# --- The fleet --------------------------------------------------------------------------------


@pytest.fixture
def fleet() -> dict[str, Any]:
    now = datetime.now(UTC)
    service("idle", "", now)
    return {
        name: check(service(name, "", now), now, state, name=f"{name}-probe")
        for name, state in (("planner", "up"), ("mail", "degraded"), ("odd:name", "unknown"))
    }


def test_services_are_checks_for_whoever_may_read(fleet: dict[str, Any], key: str) -> None:
    answer = ask("/healthz?group=services", key)
    assert answer.status_code == 200
    document = answer.json()
    assert document["status"] == "warn"
    assert components(answer) == {*OWN, "planner", "mail", "odd:name"}
    [mail] = document["checks"]["mail:health"]
    assert (mail["componentType"], mail["status"], mail["observedValue"]) == (
        "system", "warn", "degraded",
    )  # fmt: skip
    assert mail["output"] == "mail-probe is degraded"
    assert mail["links"]["about"] == "http://testserver/services/mail"
    assert document["checks"]["planner:health"][0]["status"] == "pass"


def test_a_failing_service_fails_the_group_but_not_the_site(
    fleet: dict[str, Any], key: str
) -> None:
    turn(fleet["planner"], "down")
    assert ask("/healthz?group=services", key).status_code == 503
    assert ask("/healthz", key).status_code == 200
    assert ask("/readyz").status_code == 200


def test_strangers_learn_nothing_of_the_fleet(fleet: dict[str, Any]) -> None:
    turn(fleet["planner"], "down")
    answer = ask("/healthz?group=services")
    assert answer.status_code == 200
    assert set(answer.json()) == {"status", "serviceId"}
    assert "planner" not in answer.text


@pytest.mark.usefixtures("kept_keys")
def test_the_fleet_takes_as_many_queries_however_large_it_is(
    fleet: dict[str, Any], key: str
) -> None:
    def count() -> int:
        groups.forget()
        with CaptureQueriesContext(connection) as queries:
            ask("/healthz?group=services", key)
        return len(queries)

    ask("/healthz?group=services", key)
    before = count()
    now = datetime.now(UTC)
    for number in range(10):
        check(service(f"more-{number}", "", now), now)
    assert count() == before
