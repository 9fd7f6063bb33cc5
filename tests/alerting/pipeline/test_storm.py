"""A storm of alerts: grouped, the pages first, in bounded memory and few queries."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from alerting.choices import AlertState
from alerting.domain.grouping import EVERYTHING_ELSE, MOST_NEW
from alerting.domain.messages import Message
from alerting.models import Alert, AlertGroup, Delivery, Incident, Notified
from alerting.services.dispatch import alerts_dispatch, placing
from tests.alerting.pipeline.scene import (
    INTERVAL,
    NOON,
    WAIT,
    Scene,
    channel_made,
    route_made,
    silence_made,
    why_of,
)

# Batches, and queries of each: the bound is on both, not on alerts.
STORM = 10_000
MOST_QUERIES = 600
MOST_GROWN = 64 * 1024  # KiB


def storm(count: int, services: int, *, severity: str = "page", name: str = "s") -> None:
    """So many alerts that fire at noon, of so many services."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO alerting_alert (id, rule_name, source, fingerprint, labels, annotations,
                facts, severity, state, service, started_at, fired_at, changed_at, suppressed_by)
            SELECT gen_random_uuid(), 'breaker_open', 'rule', lpad(n || s, 64, '0'),
                jsonb_build_object('alertname', 'breaker_open', 'service', s, 'n', n::text),
                jsonb_build_object('summary', 'Breaker ' || n || ' of ' || s || ' is open'),
                jsonb_build_object('reason', 'failure rate', 'calls', n),
                %(severity)s, 'firing', s, %(at)s, %(at)s, %(at)s, '[]'
            FROM (
                SELECT n, %(name)s || n %% %(services)s AS s FROM generate_series(1, %(count)s) n
            ) t
            """,
            {
                "at": NOON, "services": services, "count": count, "severity": severity,
                "name": name,
            },
        )  # fmt: skip


@contextmanager
def counted() -> Iterator[list[str]]:
    """The queries of a block; unlike Django's capture it does not keep their parameters."""
    found: list[str] = []

    def count(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        found.append(sql[:60])
        return execute(sql, *rest)

    with connection.execute_wrapper(count):
        yield found


@pytest.mark.django_db
def test_ten_thousand_alerts_in_a_minute_are_a_few_messages_in_bounded_memory() -> None:
    route_made("all", channel_made())
    # As the planner sees it who has never seen such a storm.
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE alerting_alert, alerting_alertgroup_alerts")
    storm(STORM, services=1_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with counted() as queries:
        alerts_dispatch(now=NOON)
        alerts_dispatch(now=NOON + timedelta(seconds=WAIT))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    deliveries = [Message.from_json(each.message) for each in Delivery.objects.all()]
    assert len(deliveries) == MOST_NEW + 1
    assert sum(len(each.alerts) + each.left_out for each in deliveries) == STORM
    assert max(len(str(each.to_json())) for each in deliveries) < 64 * 1024
    assert len(queries) < MOST_QUERIES
    assert grown < MOST_GROWN
    others = AlertGroup.objects.get(key__startswith=EVERYTHING_ELSE)
    assert others.alerts.count() == STORM - MOST_NEW * STORM // 1_000
    # A turn in which nothing happens looks at no alert.
    with counted() as queries:
        alerts_dispatch(now=NOON + timedelta(seconds=WAIT + 2))
    assert len(queries) < 120
    assert Delivery.objects.count() == MOST_NEW + 1
    Alert.objects.update(state=AlertState.RESOLVED, ended_at=NOON)
    alerts_dispatch(now=NOON + timedelta(seconds=WAIT + INTERVAL))
    ends = [Message.from_json(each.message) for each in Delivery.objects.all()[: MOST_NEW + 1]]
    assert {(why_of(each), each.status) for each in ends} == {("resolved", "resolved")}
    assert AlertGroup.objects.exclude(due_at=None).count() == 0


def looked_at(scene: Scene, monkeypatch: pytest.MonkeyPatch, keep: bool = True) -> Counter[str]:
    """What one turn looks at, by rule; without `keep` it cannot write why alerts are held."""
    found: Counter[str] = Counter()
    place = placing._batch_place

    def seen(batch: Any, *given: Any) -> list[Alert]:
        found.update(each.rule_name for each in batch)
        return place(batch, *given)

    with monkeypatch.context() as patch:
        patch.setattr(placing, "_batch_place", seen)
        if not keep:
            # As while somebody else holds the row of each.
            patch.setattr(placing, "_held_keep", lambda placed, *_: {each.id for each in placed})
        scene.turn()
    scene.now += timedelta(seconds=2)
    return found


@pytest.mark.django_db
def test_a_turn_in_a_storm_looks_at_what_is_new_and_not_at_all_of_the_last_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(placing, "BATCH", 2)
    route_made("all", channel_made(), group_by=["incident"])
    scene = Scene()
    alerts = scene.fire("a", "b", "c", "d", "e")
    assert looked_at(scene, monkeypatch) == Counter("abcde")
    assert not looked_at(scene, monkeypatch)
    scene.fire("f")
    assert looked_at(scene, monkeypatch, keep=False) == Counter("f")
    assert looked_at(scene, monkeypatch) == Counter("f"), "nothing of it was written"
    assert not looked_at(scene, monkeypatch)
    incident = Incident.objects.create(
        title="a fails", severity="page", started_at=NOON, changed_at=NOON
    )
    Alert.objects.filter(pk=alerts[0].pk).update(incident=incident)
    assert looked_at(scene, monkeypatch) == Counter("a")
    assert AlertGroup.objects.get(alerts=alerts[0].pk).labels == {"incident": str(incident.pk)}
    silence_made(scene, alertname="c")
    assert looked_at(scene, monkeypatch) == Counter("abcdef"), "all are judged by something else"
    assert not looked_at(scene, monkeypatch)
    scene.now += placing.AGAIN
    assert looked_at(scene, monkeypatch) == Counter("abcdef")


@pytest.mark.django_db
def test_channels_that_are_told_the_same_cost_one_message_to_make() -> None:
    channels = [channel_made(f"ops{n}") for n in range(5)]
    route_made("all", *channels)
    scene = Scene()
    scene.fire("a", "b")
    scene.turn()
    scene.now += timedelta(seconds=WAIT)
    with counted() as queries:
        told = scene.turn()
    assert [name for name, _ in told] == [each.name for each in channels]
    assert len({repr(message) for _, message in told}) == 1
    made = [
        sql
        for sql in queries
        if sql.startswith('SELECT "alerting_alert"."id", "alerting_alert"."rule_id"')
    ]
    assert len(made) == 1
    assert len([sql for sql in queries if "alerting_notified" in sql and "INSERT" in sql]) == 1
    log = Notified.objects.values_list("channel__name", "firing")
    assert {name for name, _ in log} == {each.name for each in channels}
    assert {len(firing) for _, firing in log} == {2}
    scene.resolve("a")
    scene.wait(INTERVAL)
    assert Notified.objects.count() == 5
    assert {(len(each.firing), len(each.resolved)) for each in Notified.objects.all()} == {(1, 1)}


@pytest.mark.django_db
def test_after_the_interval_new_groups_are_told_apart_again() -> None:
    route_made("all", channel_made())
    scene = Scene()
    storm(MOST_NEW + 5, services=MOST_NEW + 5)
    scene.turn()
    assert len(scene.wait(WAIT)) == MOST_NEW + 1
    scene.fire("late", service="late")
    scene.turn()
    assert AlertGroup.objects.get(key__startswith=EVERYTHING_ELSE).alerts.count() == 6
    scene.now += timedelta(seconds=INTERVAL)
    scene.fire("later", service="later")
    scene.turn()
    assert AlertGroup.objects.get(labels={"service": "later"}).alerts.count() == 1


def groups_of(severity: str) -> tuple[set[str], int]:
    """The services that are told of apart, and how many alerts are told together, of a severity."""
    rows = AlertGroup.objects.filter(alerts__severity=severity).distinct()
    rest = rows.filter(key__startswith=EVERYTHING_ELSE)
    apart = {each.labels["service"] for each in rows.exclude(pk__in=rest)}
    return apart, sum(each.alerts.count() for each in rest)


@pytest.mark.django_db
def test_pages_get_their_places_before_what_may_wait_whatever_comes_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(placing, "BATCH", 4)
    route_made("all", channel_made())
    scene = Scene()
    storm(MOST_NEW + 5, services=MOST_NEW + 5, severity="ticket", name="slow")
    down = scene.fire("down", service="down0") + scene.fire("down", service="down1")
    # Whatever the order of ids, tickets come before pages.
    for n, each in enumerate(down):
        Alert.objects.filter(pk=each.pk).update(id=UUID(int=2**128 - 1 - n))
    scene.turn()
    assert groups_of("page") == ({"down0", "down1"}, 0)
    apart, together = groups_of("ticket")
    assert (len(apart), together) == (MOST_NEW // 2 - 2, MOST_NEW + 5 - len(apart))
    # They find places also when tickets have taken theirs before.
    scene.fire("down", service="down2")
    scene.turn()
    assert groups_of("page") == ({"down0", "down1", "down2"}, 0)
    told = [message for _, message in scene.wait(WAIT)]
    assert len(told) == 3 + len(apart) + 1


@pytest.mark.django_db
def test_a_storm_of_pages_is_told_apart_from_one_of_tickets() -> None:
    route_made("all", channel_made())
    scene = Scene()
    storm(MOST_NEW + 3, services=MOST_NEW + 3, name="down")
    scene.turn()
    storm(MOST_NEW + 5, services=MOST_NEW + 5, severity="ticket", name="slow")
    storm(1, services=1, severity="info", name="new")
    scene.turn()
    scene.fire("down", service="late")
    scene.turn()
    (pages, more_pages), (tickets, more_tickets) = groups_of("page"), groups_of("ticket")
    assert (len(pages), more_pages) == (MOST_NEW, 4)
    assert (len(tickets), more_tickets) == (0, MOST_NEW + 5)
    told = [message for _, message in scene.wait(WAIT)]
    together = {
        each.why.group_labels["severity"]: (each.severity, len(each.alerts))
        for each in told
        if each.why and "severity" in each.why.group_labels
    }
    assert together == {
        "page": ("page", 4), "ticket": ("ticket", MOST_NEW + 5), "info": ("info", 1),
    }  # fmt: skip
    words = [each.why.text for each in told if each.why and "told together" in each.why.text]
    assert len(words) == len(together)


@pytest.mark.django_db
def test_an_alert_that_is_gone_is_forgotten() -> None:
    """Retention, or a person in the database, may take what somebody was told of."""
    route_made("all", channel_made())
    scene = Scene()
    (alert,) = scene.fire("a")
    scene.turn()
    assert scene.occasions(WAIT) == ["first"]
    Alert.objects.filter(pk=UUID(str(alert.pk))).delete()
    assert scene.occasions(INTERVAL) == []
    assert AlertGroup.objects.get().due_at is None
