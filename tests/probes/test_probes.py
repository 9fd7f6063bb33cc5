from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import Group, User
from django.db import OperationalError, connection, connections
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from analytics.models import ChainPending, IngestRollup
from resilience_site.config import config
from resilience_site.core import background
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Scope
from resilience_site.core.keys import key_create
from resilience_site.probes import checks, collectors, exposition, views
from resilience_site.probes.story_metrics import STORY_METRICS
from tests.analytics.trends.test_figure_hours import chain, write
from tests.health.world import World
from tests.ports import free_port

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
ACTOR = Actor(ActorKind.SYSTEM, "tests", None)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # No worker runs beside these tests; asking for one need not take its full second.
    monkeypatch.setattr(checks, "WORKER_SECONDS", 0.05)
    views.forget()
    yield
    views.forget()


@pytest.fixture
def redis_down() -> Iterator[None]:
    with config.override(redis_url=f"redis://127.0.0.1:{free_port()}/0"):
        yield


@pytest.fixture
def database_down(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = connections["default"].settings_dict
    monkeypatch.setitem(settings, "HOST", "127.0.0.1")
    monkeypatch.setitem(settings, "PORT", str(free_port()))
    monkeypatch.setitem(settings, "OPTIONS", {"pool": settings["OPTIONS"].get("pool")})


# --- Liveness and readiness ------------------------------------------------------------------


@pytest.mark.usefixtures("redis_down", "database_down")
def test_livez_answers_with_everything_down(client: Client) -> None:
    assert client.get("/livez").json() == {"status": "alive"}


async def test_livez_is_answered_in_front_of_the_application() -> None:
    async def never(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    request = ApplicationCommunicator(
        views.with_livez(never), {"type": "http", "path": "/livez", "method": "GET"}
    )
    assert (await request.receive_output(60))["status"] == 200
    assert (await request.receive_output(60))["body"] == views.ALIVE


def test_readyz_is_200_when_everything_answers(client: Client) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200, response.content
    assert response.json() == {
        "status": "ready",
        "failing": [],
        "working": ["database", "migrations", "redis", "background"],
    }


@pytest.mark.usefixtures("redis_down")
def test_readyz_names_redis_and_what_still_works(client: Client) -> None:
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert [each["name"] for each in response.json()["failing"]] == ["redis"]
    assert "database" in response.json()["working"]


@pytest.mark.usefixtures("database_down")
def test_readyz_names_the_database(client: Client) -> None:
    response = client.get("/readyz")
    assert response.status_code == 503
    assert [each["name"] for each in response.json()["failing"]] == ["database", "migrations"]
    assert "redis" in response.json()["working"]


def test_readyz_waits_for_migrations(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    known = checks.known_migrations() | {("analytics", "9999_of_the_new_release")}
    monkeypatch.setattr(checks, "known_migrations", lambda: known)
    response = client.get("/readyz")
    assert response.status_code == 503
    [failing] = response.json()["failing"]
    assert failing["name"] == "migrations"
    assert "analytics.9999_of_the_new_release" in failing["reason"]


def test_readyz_shows_a_dead_background_task(client: Client) -> None:
    async def run() -> None:
        task = background.supervise("tests.fanout", asyncio.Event().wait)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    try:
        response = client.get("/readyz")
        assert response.status_code == 503
        assert "tests.fanout is dead" in response.json()["failing"][0]["reason"]
    finally:
        asyncio.run(background.stop("tests.fanout"))


def test_probes_leave_no_session_and_are_not_cached(client: Client) -> None:
    for path in ("/livez", "/readyz", "/healthz", "/metrics"):
        response = client.get(path)
        assert response.headers["Cache-Control"] == "no-store", path
        assert not response.cookies, path
        assert client.post(path).status_code == 405


# --- Health ----------------------------------------------------------------------------------


def test_healthz_is_bare_for_strangers(client: Client) -> None:
    response = client.get("/healthz")
    assert response.headers["Content-Type"] == "application/health+json"
    assert set(response.json()) == {"status", "serviceId"}


def test_healthz_shows_details_to_people_with_a_role(client: Client) -> None:
    person = User.objects.create_user("viewer")
    person.groups.add(Group.objects.get_or_create(name="viewer")[0])
    client.force_login(person)
    detail = client.get("/healthz").json()["checks"]
    assert detail["database:connection"][0]["status"] == "pass"
    assert detail["database:connection"][0]["componentType"] == "datastore"
    assert detail["database:connection"][0]["observedUnit"] == "ms"
    assert {"redis:connection", "worker:heartbeat", "tasks:queue_age", "ingest:lag"} <= set(detail)
    assert detail["checks:lateness"][0]["status"] == "pass"


def test_checks_that_nobody_runs_are_told(client: Client) -> None:
    world = World(datetime.now(UTC) - timedelta(minutes=5))
    world.check("page")
    _, token = key_create(name="probe", scope=Scope.READ, actor=ACTOR)
    document = client.get("/healthz", headers={"Authorization": f"Bearer {token}"}).json()
    (lateness,) = document["checks"]["checks:lateness"]
    assert lateness["status"] == "warn"
    assert lateness["observedValue"] > 290
    assert "overdue" in lateness["output"]


@pytest.mark.parametrize(
    ("scope", "sees"), [(Scope.READ, True), (Scope.ADMIN, True), (Scope.INGEST, False)]
)
def test_healthz_shows_details_to_keys_that_may_read(
    client: Client, scope: Scope, sees: bool
) -> None:
    _, token = key_create(name="probe", scope=scope, actor=ACTOR)
    document = client.get("/healthz", headers={"Authorization": f"Bearer {token}"}).json()
    assert ("checks" in document) is sees


@pytest.mark.usefixtures("redis_down")
def test_healthz_fails_with_redis_and_does_not_wait_for_workers(client: Client) -> None:
    response = client.get("/healthz")
    assert response.status_code == 503
    assert response.json()["status"] == "fail"


def test_a_missing_worker_is_a_warning_not_a_failure(client: Client) -> None:
    response = client.get("/healthz")
    assert response.json()["status"] in ("pass", "warn")
    assert response.status_code == 200


# --- Metrics ---------------------------------------------------------------------------------


def families(client: Client, **headers: str) -> dict[str, Any]:
    response = client.get("/metrics", headers=headers)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain")
    return {each.name: each for each in text_string_to_metric_families(response.content.decode())}


def test_the_table_holds_the_fifteen_metrics_once_each() -> None:
    assert len(STORY_METRICS) == 15
    assert len({metric.name for metric in STORY_METRICS}) == 15
    assert set(collectors.COLLECTORS) == {metric.name for metric in STORY_METRICS}
    owners = {"runtime", "health", "analytics", "alerts", "healing", "first-light"}
    assert {metric.owner for metric in STORY_METRICS} <= owners


def test_every_metric_of_the_story_is_exposed(client: Client) -> None:
    exposed = families(client)
    for metric in STORY_METRICS:
        assert metric.name in exposed, metric.name


def test_errors_reach_the_other_services_of_chains_that_began_in_the_last_hour() -> None:
    minute = timedelta(minutes=1)
    write(
        chain(NOW - 59 * minute, "graph", "planner", "gateway"),
        chain(NOW - minute, "graph", "planner", "mailer"),
        chain(NOW - 2 * minute, "planner"),
        chain(NOW - 61 * minute, "redis", "planner"),
        chain(NOW + minute, "redis", "planner"),
    )
    samples = dict(collectors.COLLECTORS["resilience_error_impact_radius"](NOW))
    assert samples == {("graph",): 3, ("planner",): 0}


def test_error_rates_by_service_and_operation() -> None:
    minute = NOW.replace(second=0) - timedelta(minutes=2)
    add_calls(minute, "planner", "", calls=600, errors=30)
    add_calls(minute, "planner", "GET tasks", calls=300, errors=30)
    add_calls(NOW - timedelta(minutes=20), "planner", "old", calls=10, errors=10)
    add_calls(NOW, "planner", "running minute", calls=10, errors=10)
    samples = dict(collectors.COLLECTORS["resilience_errors_per_second"](NOW))
    assert samples == {("planner", "GET tasks"): 0.1}
    [calls] = collectors.calls_per_second(NOW)
    assert {sample.value for sample in calls.samples} == {1.0}


def test_ingest_counts_since_midnight(client: Client) -> None:
    # Rows of partitioned tables stay after a test.
    IngestRollup.objects.all().delete()
    add_ingest(NOW.replace(second=0), "traces", "stored", items=512, requests=1)
    add_ingest(NOW.replace(hour=3, second=0), "traces", "stored", items=8, requests=1)
    add_ingest(NOW.replace(second=0), "logs", "rejected", items=3, requests=1)
    add_ingest(NOW - timedelta(days=1), "traces", "stored", items=9000, requests=9)
    items, requests = collectors.ingest_counts(NOW)
    assert {tuple(s.labels.values()): s.value for s in items.samples} == {
        ("traces", "stored"): 520,
        ("logs", "rejected"): 3,
    }
    assert sum(sample.value for sample in requests.samples) == 3


def value(name: str) -> float:
    [family] = [each for each in collectors.backlog(NOW) if each.name == name]
    return family.samples[0].value


def test_lag_is_the_age_of_the_oldest_due_entry() -> None:
    assert value("resilience_ingest_lag_seconds") == 0
    for due in (NOW - timedelta(seconds=40), NOW - timedelta(seconds=5), NOW + timedelta(hours=1)):
        ChainPending.objects.create(
            trace_id="a" * 32, correlation_id="", occurred_at=NOW, created_at=NOW, due_at=due
        )
    assert value("resilience_ingest_lag_seconds") == 40


def test_a_collector_that_fails_is_named_and_the_others_go_on(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(now: datetime) -> Iterator[Any]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")
        yield from ()

    monkeypatch.setitem(collectors.COLLECTORS, "resilience_error_patterns", slow)
    up = {
        s.labels["collector"]: s.value for s in families(client)["resilience_collector_up"].samples
    }
    assert up["resilience_error_patterns"] == 0
    assert up["ingest"] == 1


@pytest.mark.usefixtures("redis_down")
def test_metrics_go_on_without_redis(client: Client) -> None:
    with config.override(celery_broker_url=config.redis_url):
        exposed = families(client)
    assert "resilience_task_queue_length" not in exposed
    assert "resilience_ingest_lag_seconds" in exposed


def test_openmetrics_is_spoken_to_those_who_prefer_it(client: Client) -> None:
    response = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert response.content.endswith(b"# EOF\n")


def test_metrics_can_be_closed_to_strangers(client: Client) -> None:
    _, read = key_create(name="prometheus", scope=Scope.READ, actor=ACTOR)
    _, ingest = key_create(name="service", scope=Scope.INGEST, actor=ACTOR)
    with config.override(resilience_metrics_public=False):
        assert client.get("/metrics").status_code == 401
        wrong = client.get("/metrics", headers={"Authorization": f"Bearer {ingest}"})
        assert wrong.status_code == 403
        assert json.loads(wrong.content)["status"] == 403
        families(client, Authorization=f"Bearer {read}")


def add_calls(minute: datetime, service: str, operation: str, *, calls: int, errors: int) -> None:
    from analytics.domain.histogram import BUCKETS
    from analytics.models import partitions as tables
    from resilience_site.core import partitions

    partitions.ensure(tables.CALL_ROLLUPS, minute, minute)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO analytics_callrollup (minute, service, operation, kind, calls, errors, "
            "duration_ns, duration_max_ns, buckets) VALUES (%s, %s, %s, 2, %s, %s, %s, %s, %s)",
            [
                minute.replace(second=0),
                service,
                operation,
                calls,
                errors,
                calls * 1000,
                1000,
                [calls, *[0] * (BUCKETS - 1)],
            ],
        )


def add_ingest(minute: datetime, signal: str, outcome: str, *, items: int, requests: int) -> None:
    from analytics.models import partitions as tables
    from analytics.services.rollups import write_ingest_counts
    from resilience_site.core import partitions

    partitions.ensure(tables.INGEST_ROLLUPS, minute, minute)
    write_ingest_counts([(minute.replace(second=0), signal, outcome, "", items, requests)])


def test_without_a_connection_no_further_collector_waits_for_one(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def refused(read: Any) -> list[Any]:
        asked.append(read)
        raise OperationalError("connection refused")

    monkeypatch.setattr(exposition, "_bounded", refused)
    up = families(client)["resilience_collector_up"].samples
    assert len(asked) == 1
    assert {sample.value for sample in up} == {0}
