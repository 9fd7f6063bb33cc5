"""Services are bounded: telemetry under too many names is kept as that of one, and that is said."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics.domain.posted_errors import PostedError
from analytics.models import ErrorEvent, MetricSeries, Span
from analytics.selectors.ingest_status import ingest_status
from analytics.services import ingest, service_room
from analytics.services.ingest import StoreResult, store_spans
from analytics.services.ingest_logs import store_logs
from analytics.services.ingest_metrics import store_metrics
from analytics.services.ingest_posted import store_posted_errors
from health.domain.catalogue_room import OTHER_SERVICES
from health.models import Service
from health.services import catalogue_room
from resilience_site.probes.checks import backlog
from tests.analytics.store.telemetry import (
    batch,
    exception,
    exception_log,
    new_span,
    new_trace,
    point,
    resource,
    span_record,
)
from tests.runtime.own_lines import lines

LIMIT = 5
LONG_AGO = timedelta(days=38)


@pytest.fixture(autouse=True)
def small(store: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be five services, one is there, and nobody was told that there are too many."""
    monkeypatch.setattr(catalogue_room, "MOST_SERVICES", LIMIT)
    monkeypatch.setattr(service_room._Said, "on", date.min)
    heard("planner")


def heard(name: str, ago: timedelta = timedelta(0)) -> None:
    at = datetime.now(UTC) - ago
    Service.objects.create(name=name, first_seen=at, last_seen=at)


def span(service: str, instance: str = "1") -> Any:
    return span_record(
        new_trace(), new_span(), exceptions=[exception()], source=resource(service, instance)
    )


def send(*services: str) -> StoreResult:
    return store_spans(batch(*map(span, services)), received_at=datetime.now(UTC))


def names() -> set[str]:
    return set(Service.objects.values_list("name", flat=True))


def test_a_flood_of_service_names_is_kept_as_one_service_and_nothing_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "analytics"):
        for start in range(0, 60, 20):
            send("planner", *(f"pod-{n:02}" for n in range(start, start + 20)))
    assert names() == {"planner", "pod-00", "pod-01", "pod-02", "pod-03", OTHER_SERVICES}
    # A name from before the flood, and one that found room, are counted by themselves as ever.
    assert Span.objects.filter(service="planner").count() == 3
    assert Span.objects.filter(service=OTHER_SERVICES).count() == 56
    assert ErrorEvent.objects.count() == 63
    assert ErrorEvent.objects.filter(service=OTHER_SERVICES, instance="pod-59/1").count() == 1
    assert [line.split(":")[0] for line in lines(caplog, "services, the most")] == [
        "There are 2000 services, the most that are kept apart"
    ]


@pytest.mark.parametrize(
    ("store_all", "item"),
    [
        (store_spans, span("late")),
        (store_logs, exception_log()._replace(resource=resource("late"))),
        (store_metrics, point(value=1.0, source=resource("late"))),
    ],
)
def test_the_sender_is_told_what_became_of_its_telemetry_and_what_to_do(
    store_all: Callable[..., StoreResult], item: Any
) -> None:
    send(*(f"pod-{n}" for n in range(LIMIT - 1)))
    result = store_all(batch(item), received_at=datetime.now(UTC))
    assert result.stored == 1
    assert result.rejections == [
        (
            0,
            "1 items of 1 service, such as late, are beyond the limit of 2000 services and were "
            'stored under "(other services)"; send a fixed service.name, and what varies, such as '
            "a pod, as service.instance.id",
        )
    ]
    assert "late" not in names()
    assert OTHER_SERVICES in names()


def test_posted_errors_are_folded_and_known_again() -> None:
    send(*(f"pod-{n}" for n in range(LIMIT - 1)))
    error = PostedError("id-1", "late", "", "", "Odd", "odd", "", 0, 0, "", "", "", {})
    first = store_posted_errors([error], received_at=datetime.now(UTC))
    again = store_posted_errors([error], received_at=datetime.now(UTC))
    assert (first.stored, again.duplicates, first.ids) == (1, 1, again.ids)
    assert ErrorEvent.objects.get(type="Odd").instance == "late"


def test_totals_of_folded_services_are_not_taken_for_each_others() -> None:
    send(*(f"pod-{n}" for n in range(LIMIT - 1)))
    for value in (100.0, 110.0):
        points = [
            point(value=value * (1 + n), source=resource(f"late-{n}", "", host="h"))
            for n in range(3)
        ]
        store_metrics(batch(*points), received_at=datetime.now(UTC))
    assert list(MetricSeries.objects.values_list("service", flat=True)) == [OTHER_SERVICES]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM analytics_metricstream")
        assert cursor.fetchone() == (3,)


def test_the_state_of_ingest_says_so_for_an_hour() -> None:
    assert ingest_status(now=datetime.now(UTC)).services_words == ""
    send(*(f"pod-{n}" for n in range(LIMIT)))
    status = ingest_status(now=datetime.now(UTC))
    assert status.services_words.startswith("more than 2,000 services: telemetry of further ones")
    [outcome] = [each for each in backlog(is_down=False) if each.name == "ingest:services"]
    assert (outcome.status, outcome.output) == ("warn", status.services_words)
    assert not ingest_status(now=datetime.now(UTC) + timedelta(hours=2)).services_full


def test_services_that_fell_silent_make_room_and_may_come_back() -> None:
    for n in range(LIMIT - 1):
        heard(f"old-{n}", LONG_AGO)
    send(*(f"pod-{n}" for n in range(LIMIT)))
    assert {f"pod-{n}" for n in range(LIMIT - 1)} <= names()
    assert f"pod-{LIMIT - 1}" not in names()
    assert send("old-0").rejections == []


def test_even_silent_services_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_room, "MOST_EVER", 3)
    for n in range(2):
        heard(f"old-{n}", LONG_AGO)
    send("one-more")
    assert names() == {"planner", "old-0", "old-1", OTHER_SERVICES}


def test_a_service_that_people_add_has_room_always() -> None:
    send(*(f"pod-{n}" for n in range(LIMIT + 1)))
    heard("declared")
    assert send("declared").rejections == []
    assert Span.objects.filter(service="declared").exists()


def test_the_database_is_asked_only_for_names_that_are_not_known() -> None:
    send("planner")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        ingest.memory.services.fold([span("planner")] * 100, datetime.now(UTC))
        assert len(queries) == 0
        ingest.memory.services.fold([span("new-1"), span("new-2")], datetime.now(UTC))
        assert len(queries) == 1
