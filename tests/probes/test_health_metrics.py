"""The story's metrics of health on /metrics."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from health.models import CheckStatus, Dependency, StateChange
from resilience_site.probes import collectors, health_collectors, views
from resilience_site.probes.story_metrics import STORY_METRICS
from tests.health.status.scenes import DAY, check, hours, outage, service

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    views.forget()
    yield
    views.forget()


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


def samples(name: str, now: datetime) -> dict[tuple[str, ...], float]:
    health_collectors.forget()
    return dict(collectors.COLLECTORS[name](now))


def test_every_metric_of_health_has_a_collector() -> None:
    wanted = {metric.name for metric in STORY_METRICS if metric.owner == "health"}
    assert wanted == set(health_collectors.HEALTH_COLLECTORS)
    assert wanted <= set(collectors.COLLECTORS)


def test_an_empty_site_has_no_samples(now: datetime) -> None:
    for name in health_collectors.HEALTH_COLLECTORS:
        assert samples(name, now) == {}, name


def test_recovery_and_failures_of_the_last_30_days(now: datetime) -> None:
    planner = service("planner", "", now)
    probe, other = check(planner, now), check(planner, now)
    hours(planner, now - 10 * DAY, up=3_000, down=600)
    for days, minutes in ((10, 4), (5, 8)):
        outage(probe, now - days * DAY, minutes)
    # At the same time: one failure of the service.
    outage(other, now - 5 * DAY, 8)
    outage(probe, now - 45 * DAY, 500)
    outage(probe, now - 3 * DAY, 30, held_by="maintenance")
    assert samples("resilience_mean_time_to_recovery_seconds", now) == {("planner",): 360.0}
    assert samples("resilience_mean_time_between_failures_seconds", now) == {("planner",): 1_500.0}


def test_the_duration_of_the_last_run_in_seconds(now: datetime) -> None:
    planner = service("planner", "", now)
    probe = check(planner, now, name="pg")
    check(planner, now, name="never ran")
    paused = check(planner, now, name="paused")
    CheckStatus.objects.filter(check_row__in=[probe, paused]).update(last_latency_ms=12.5)
    type(paused).objects.filter(id=paused.id).update(enabled=False)
    found = samples("resilience_health_check_duration_seconds", now)
    assert found == {("planner", "pg"): 0.0125}


def test_the_availability_of_what_services_need(now: datetime) -> None:
    planner, store = service("planner", "", now), service("store", "", now)
    probe, mail = check(store, now, name="pg"), check(store, now, name="mail", critical=False)
    half = now - timedelta(hours=2)
    for each in (probe, mail):
        CheckStatus.objects.filter(check_row=each).update(hours_from=now - DAY)
        for since, state in ((now - 4 * timedelta(hours=1), "up"), (half, "down")):
            StateChange.objects.create(
                check_row=each, at=since, since=since, from_state="unknown",
                state=state, own_state=state,
            )  # fmt: skip
    for status, parent in (
        ("declared", {"parent_service": store}),
        ("proposed", {"parent_check": probe}),
        ("rejected", {"parent_check": mail}),
    ):
        Dependency.objects.create(
            id=uuid4(), child_service=planner, status=status, created_at=now, **parent
        )
    found = samples("resilience_dependency_availability_ratio", now)
    assert set(found) == {("planner", "store")}
    assert found["planner", "store"] == pytest.approx(0.5, abs=0.01)


def test_the_score_of_services_that_have_one(now: datetime) -> None:
    check(service("planner", "", now), now, "up")
    check(service("mail", "", now), now, "down")
    check(service("new", "", now), now, "unknown")
    found = samples("resilience_health_score", now)
    assert set(found) == {("planner",), ("mail",)}
    assert found["planner",] == 100
    assert found["mail",] < 50


def test_the_number_of_queries_does_not_grow_with_the_services(now: datetime) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            for name in health_collectors.HEALTH_COLLECTORS:
                samples(name, now)
        return len(queries)

    def add(number: int) -> None:
        made = service(f"service-{number}", "", now)
        outage(check(made, now), now - DAY, 5)
        Dependency.objects.create(
            child_service=made, parent_service=service(f"parent-{number}", "", now),
            status="declared", created_at=now,
        )  # fmt: skip

    add(0)
    before = count()
    for number in range(1, 8):
        add(number)
    assert count() == before


def test_the_exposition_carries_them(now: datetime) -> None:
    probe = check(service("planner", "", now), now, name="pg")
    CheckStatus.objects.filter(check_row=probe).update(last_latency_ms=40)
    body = Client().get("/metrics").content.decode()
    found = {each.name: each for each in text_string_to_metric_families(body)}
    [sample] = found["resilience_health_check_duration_seconds"].samples
    assert (sample.labels, sample.value) == ({"service": "planner", "check": "pg"}, 0.04)
    up = {s.labels["collector"]: s.value for s in found["resilience_collector_up"].samples}
    assert all(up[name] == 1 for name in health_collectors.HEALTH_COLLECTORS)
