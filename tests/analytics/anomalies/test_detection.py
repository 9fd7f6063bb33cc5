"""The watch over services: from figures per minute to spells, journal entries and the API."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest
from django.test import Client

from analytics.domain.anomalies import detector
from analytics.models import Anomaly, DetectorState, MetricRollup, MetricSeries
from analytics.models.partitions import METRIC_ROLLUPS
from analytics.selectors import anomalies as selectors
from analytics.selectors.anomalies import anomaly_marks, lacking, watched_series
from analytics.services import anomaly_detection
from analytics.services.anomaly_detection import SETTLE, Watched, anomalies_detect
from health.models import Service
from resilience_site.config import config
from resilience_site.core import partitions
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Scope
from resilience_site.core.keys import key_create
from resilience_site.core.models import JournalEntry
from resilience_site.core.timerange import TimeRange
from tests.analytics.figures.history import Minute, write_calls, write_errors

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
UNTIL = NOW - SETTLE
BROKEN = UNTIL - timedelta(minutes=5)
MINUTE = timedelta(minutes=1)

pytestmark = pytest.mark.usefixtures("store")


def calm(seed: int = 1) -> Callable[[datetime], Minute]:
    noise = random.Random(seed)
    return lambda at: (noise.randrange(180, 220), noise.randrange(0, 4), noise.uniform(9, 11))


def broken(at: datetime) -> Minute:
    return (200, 120, 10.0)


def write_gauge(
    service: str,
    name: str,
    since: datetime,
    until: datetime,
    value: Callable[[], float],
    unit: str = "1",
) -> None:
    series, _ = MetricSeries.objects.get_or_create(
        id=uuid5(UUID(int=0), name + unit),
        defaults={
            "service": service, "scope": "", "name": name, "unit": unit, "kind": "gauge",
            "temporality": 0, "monotonic": False, "attributes": {}, "first_seen": since,
            "last_seen": until.date(),
        },
    )  # fmt: skip
    partitions.ensure(METRIC_ROLLUPS, since, until)
    minutes = int((until - since) / MINUTE)
    MetricRollup.objects.bulk_create(
        MetricRollup(
            id=None, series_id=series.id, minute=since + i * MINUTE, points=1, count=0, resets=0,
            total=value(), changed_at=NOW,
        )
        for i in range(minutes)
    )  # fmt: skip


def told(kind: str) -> list[JournalEntry]:
    return list(JournalEntry.objects.filter(topic="anomalies", kind=kind).order_by("id"))


def rows() -> list[dict[str, Any]]:
    return list(Anomaly.objects.order_by("id").values())


def rounded() -> list[dict[str, float]]:
    return [
        {
            name: value.timestamp() if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in Anomaly.objects.order_by("id").values(
            "started_at", "at", "value", "score", "lower"
        )
    ]


def test_errors_that_rise_are_found_told_and_told_to_be_over() -> None:
    write_calls("planner", NOW - timedelta(hours=6), BROKEN, calm())
    write_calls("planner", BROKEN, UNTIL, broken)
    done = anomalies_detect(now=NOW)
    assert done.services == 1
    assert done.late == []
    found = Anomaly.objects.get(service="planner", metric="error_rate", started_at__gte=BROKEN)
    assert found.started_at == BROKEN
    assert found.ended_at is None
    assert found.value == pytest.approx(0.6)
    assert 0 <= found.lower <= found.expected <= found.upper < 0.1
    assert found.score >= 0.5
    [entry] = [each for each in told("anomaly_started") if each.state == "error_rate"]
    assert entry.key == entry.service == "planner"
    assert entry.payload == {
        "id": str(found.id), "service": "planner", "metric": "error_rate", "unit": "1",
        "at": found.at.isoformat(), "value": found.value, "expected": found.expected,
        "lower": found.lower, "upper": found.upper, "score": found.score,
        "started_at": BROKEN.isoformat(), "ended_at": None, "window_seconds": 60,
    }  # fmt: skip
    later = NOW + timedelta(minutes=25)
    write_calls("planner", UNTIL, later - SETTLE, calm(2))
    anomalies_detect(now=later)
    found.refresh_from_db()
    assert found.ended_at is not None
    assert found.ended_at <= UNTIL + timedelta(minutes=12)
    assert [e.payload["id"] for e in told("anomaly_ended") if e.state == "error_rate"] == [
        str(found.id)
    ]
    [mark] = anomaly_marks("planner", "error_rate", TimeRange(BROKEN, later))
    assert mark.text.startswith("0.6 where 0.0")


def test_the_same_minutes_twice_find_and_tell_nothing_more() -> None:
    write_calls("planner", NOW - timedelta(hours=4), BROKEN, calm())
    write_calls("planner", BROKEN, UNTIL, broken)
    anomalies_detect(now=NOW)
    before, entries = rows(), JournalEntry.objects.count()
    states = list(DetectorState.objects.order_by("id").values("through", "points"))
    assert anomalies_detect(now=NOW).minutes == 0
    assert rows() == before
    assert JournalEntry.objects.count() == entries
    # What was learnt may be lost: the same minutes lead to the same spells.
    DetectorState.objects.all().delete()
    assert anomalies_detect(now=NOW).started == 0
    assert rows() == before
    assert list(DetectorState.objects.order_by("id").values("through", "points")) == states


def test_minute_by_minute_finds_what_all_at_once_finds() -> None:
    write_calls("planner", NOW - timedelta(hours=3), BROKEN, calm())
    write_calls("planner", BROKEN, UNTIL, broken)
    anomalies_detect(now=NOW)
    # Sums that were written down in between differ in their last digits.
    at_once = [pytest.approx(row) for row in rounded()]
    Anomaly.objects.all().delete()
    DetectorState.objects.all().delete()
    for minutes in range(6, -1, -1):
        anomalies_detect(now=NOW - minutes * MINUTE)
    assert rounded() == at_once


def test_one_error_of_two_calls_is_nothing() -> None:
    write_calls("planner", NOW - timedelta(hours=4), BROKEN, calm())
    write_calls("planner", BROKEN, UNTIL, lambda at: (2, 1, 10.0))
    anomalies_detect(now=NOW)
    assert not Anomaly.objects.filter(metric="error_rate", started_at__gte=BROKEN).exists()


def test_a_service_that_appears_today_is_watched_and_said_to_lack_data() -> None:
    write_calls("old", NOW - timedelta(hours=5), UNTIL, calm())
    write_calls("new", UNTIL - timedelta(minutes=40), UNTIL, calm())
    anomalies_detect(now=NOW)
    assert not Anomaly.objects.filter(service="new").exists()
    lacks = {each.metric: each.lacks for each in watched_series("new")}
    assert lacks["traffic"] == "not enough data: needs 150 minutes with data, has 40"
    assert (
        "needs 24 hours" in {each.metric: each.lacks for each in watched_series("old")}["traffic"]
    )
    assert lacking(1440) == ""
    assert lacking(detector.NEEDS - 1) != lacking(detector.NEEDS)
    assert selectors.NEEDS == detector.NEEDS


def test_a_service_that_stops_is_found_unless_nothing_is_received_at_all() -> None:
    write_calls("planner", NOW - timedelta(hours=4), BROKEN, calm())
    anomalies_detect(now=NOW)
    assert not Anomaly.objects.filter(metric="traffic", started_at__gte=BROKEN).exists()
    DetectorState.objects.all().delete()
    write_calls("other", NOW - timedelta(hours=4), UNTIL, calm(5))
    anomalies_detect(now=NOW)
    found = Anomaly.objects.get(service="planner", metric="traffic", started_at__gte=BROKEN)
    assert found.value == 0
    assert found.unit == "1/s"


def test_gauges_named_like_a_metric_or_like_each_other_are_kept_apart() -> None:
    since = NOW - timedelta(minutes=30)
    write_calls("planner", since, UNTIL, calm())
    for name, unit in (("errors", "1"), ("traffic", "%"), ("pool", "1"), ("pool", "%")):
        write_gauge("planner", name, since, UNTIL, lambda: 0.5, unit)
    anomalies_detect(now=NOW)
    watched = [each.metric for each in watched_series("planner")]
    assert watched == [
        "error_rate", "errors", "errors (gauge)", "latency_p95", "pool", "traffic",
        "traffic (gauge)",
    ]  # fmt: skip


def test_a_gauge_of_saturation_is_watched_and_its_silence_ends_its_spell() -> None:
    noise = random.Random(4)
    write_calls("planner", NOW - timedelta(hours=4), UNTIL, calm())
    write_gauge(
        "planner",
        "db.pool.utilization",
        NOW - timedelta(hours=4),
        BROKEN,
        lambda: noise.uniform(0.4, 0.5),
    )
    write_gauge("planner", "db.pool.utilization", BROKEN, UNTIL, lambda: 1.0)
    anomalies_detect(now=NOW)
    found = Anomaly.objects.get(metric="db.pool.utilization")
    assert (found.started_at, found.value, found.ended_at) == (BROKEN, 1.0, None)
    write_calls("planner", UNTIL, UNTIL + 12 * MINUTE, calm(3))
    anomalies_detect(now=NOW + 12 * MINUTE)
    found.refresh_from_db()
    assert found.ended_at == UNTIL


def test_stored_errors_that_burst_are_found() -> None:
    write_calls("planner", NOW - timedelta(hours=4), UNTIL, calm())
    write_errors("planner", UUID(int=7), [(UNTIL - 2 * MINUTE, 40), (UNTIL - MINUTE, 60)])
    anomalies_detect(now=NOW)
    found = Anomaly.objects.get(metric="errors")
    assert (found.value, found.expected) == (60, 0)


def test_what_is_old_is_kept_but_is_no_news() -> None:
    write_calls("planner", NOW - timedelta(hours=8), NOW - timedelta(hours=2), calm())
    write_calls("planner", NOW - timedelta(hours=2), NOW - timedelta(minutes=114), broken)
    write_calls("planner", NOW - timedelta(minutes=114), UNTIL, calm(3))
    anomalies_detect(now=NOW)
    assert Anomaly.objects.filter(metric="error_rate").exclude(ended_at=None).exists()
    assert [e for e in told("anomaly_started") if e.state == "error_rate"] == []


def test_states_that_cannot_be_read_are_learnt_anew() -> None:
    write_calls("planner", NOW - timedelta(hours=1), UNTIL, calm())
    anomalies_detect(now=NOW - MINUTE)
    DetectorState.objects.update(state=b"nothing")
    done = anomalies_detect(now=NOW)
    assert done.begun_anew == 4
    assert {each.minutes for each in watched_series("planner")} <= {0, 1}


def test_a_spell_whose_state_was_lost_is_told_to_be_over() -> None:
    write_calls("planner", NOW - timedelta(hours=4), BROKEN, calm())
    write_calls("planner", BROKEN, UNTIL, broken)
    anomalies_detect(now=NOW)
    lost = {str(each.id) for each in Anomaly.objects.filter(ended_at=None)}
    assert lost
    DetectorState.objects.update(state=b"nothing")
    write_calls("planner", UNTIL, UNTIL + MINUTE, broken)
    anomalies_detect(now=NOW + MINUTE)
    assert not Anomaly.objects.filter(ended_at=None).exists()
    assert {each.payload["id"] for each in told("anomaly_ended")} >= lost


def test_a_turn_ends_and_says_who_is_late() -> None:
    for name in ("a", "b"):
        write_calls(name, NOW - timedelta(hours=1), UNTIL, calm())
    ticks = iter([0.0, 0.0, 99.0])
    done = anomalies_detect(now=NOW, turn_seconds=20, clock=lambda: next(ticks))
    assert (done.services, len(done.late)) == (1, 1)
    assert anomalies_detect(now=NOW).services == 1


def test_the_number_of_services_is_bounded_and_what_is_left_out_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(anomaly_detection, "MOST_SERVICES", 1)
    for name in ("a", "b"):
        write_calls(name, UNTIL - timedelta(minutes=9), UNTIL, calm())
    assert anomalies_detect(now=NOW).left_out == 1
    assert {each.service for each in watched_series()} == {"a"}
    assert selectors.services_left_out(now=NOW) == ["b"]


def test_a_new_service_takes_no_place_from_those_that_are_known_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(anomaly_detection, "MOST_SERVICES", 1)
    for age, name in enumerate(("!1", "planner")):
        write_calls(name, UNTIL - timedelta(minutes=9), UNTIL, calm())
        Service.objects.create(name=name, first_seen=NOW - timedelta(days=age), last_seen=NOW)
    assert anomalies_detect(now=NOW).left_out == 1
    assert {each.service for each in watched_series()} == {"planner"}


def test_the_variable_switches_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    write_calls("planner", UNTIL - timedelta(minutes=9), UNTIL, calm())
    monkeypatch.setattr(config, "error_analytics_enabled", False)
    assert anomalies_detect(now=NOW) == Watched()
    assert not DetectorState.objects.exists()


def test_the_api_lists_what_was_found(client: Client) -> None:
    write_calls("planner", NOW - timedelta(hours=4), BROKEN, calm())
    write_calls("planner", BROKEN, UNTIL, broken)
    anomalies_detect(now=NOW)
    _, token = key_create(name="reader", scope=Scope.READ, actor=Actor.system("test"))
    headers = {"Authorization": f"Bearer {token}"}
    path = "/api/v1/anomalies"
    answer = client.get(path, {"service": "planner", "metric": "error_rate"}, headers=headers)
    assert answer.status_code == 200
    [found] = [each for each in answer.json()["items"] if each["ended_at"] is None]
    assert found["service"] == "planner"
    assert found["metric"] == "error_rate"
    assert found["value"] == pytest.approx(0.6)
    assert found["score"] >= 0.5
    none = client.get(path, {"service": "nobody", "since": "1h"}, headers=headers)
    assert none.json() == {"items": [], "next_cursor": None}
    assert client.get(path, {"cursor": "x"}, headers=headers).status_code in (400, 422)
