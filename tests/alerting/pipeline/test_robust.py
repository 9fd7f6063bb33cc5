"""Two senders, a death in the middle, clocks that jump, routes that change, and a storm."""

from __future__ import annotations

import resource
import threading
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
from alerting.models import Alert, AlertGroup, Channel, Delivery, Incident, Notified, Route
from alerting.services.dispatch import alerts_dispatch, delivering, placing
from alerting.services.outbox import delivery_enqueue
from tests.alerting.pipeline.scene import (
    INTERVAL,
    NOON,
    REPEAT,
    WAIT,
    Scene,
    channel_made,
    names_of,
    route_made,
    silence_made,
    why_of,
)

# Batches, and queries of each: the bound is on both, not on alerts.
STORM = 10_000
MOST_QUERIES = 600
MOST_GROWN = 64 * 1024  # KiB


def at_once(work: Callable[[], Any], times: int = 4) -> None:
    """Run `work` in several threads that start together; errors of any fail the test."""
    start, failed = threading.Barrier(times), []

    def run() -> None:
        start.wait()
        try:
            work()
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(times)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failed == []


@pytest.mark.django_db(transaction=True)
def test_several_senders_at_a_time_tell_once() -> None:
    route_made("all", channel_made("a"), channel_made("b"))
    scene = Scene()
    for n in range(12):
        scene.fire("x", service=f"s{n}")
    at_once(lambda: alerts_dispatch(now=scene.now))
    scene.turn()
    assert AlertGroup.objects.count() == 12
    later = scene.now + timedelta(seconds=WAIT)
    at_once(lambda: alerts_dispatch(now=later))
    alerts_dispatch(now=later)
    told = Counter(Delivery.objects.values_list("channel_name", "group_id"))
    assert len(told) == 24
    assert set(told.values()) == {1}


@pytest.mark.django_db
def test_whoever_dies_in_the_middle_of_a_group_has_told_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    route_made("all", channel_made("a"), channel_made("b"))
    scene = Scene()
    scene.fire("x")
    scene.turn()

    def dies(*, channel: Channel, **more: Any) -> Delivery:
        if channel.name == "b":
            raise KeyboardInterrupt
        return delivery_enqueue(channel=channel, **more)

    with monkeypatch.context() as patch:
        patch.setattr(delivering, "delivery_enqueue", dies)
        with pytest.raises(KeyboardInterrupt):
            scene.wait(WAIT)
    assert Delivery.objects.count() == 0
    assert Notified.objects.count() == 0
    assert [name for name, _ in scene.wait(1)] == ["a", "b"]
    assert scene.wait(1) == []


@pytest.mark.django_db
def test_a_group_that_fails_keeps_no_other_from_being_told(monkeypatch: pytest.MonkeyPatch) -> None:
    route_made("all", channel_made())
    scene = Scene()
    scene.fire("x", service="bad")
    scene.turn()
    scene.fire("y", service="good")
    scene.turn()
    compose = delivering.message_compose

    def fails(group: AlertGroup, *given: Any) -> Message:
        if group.labels == {"service": "bad"}:
            raise ValueError("a group that cannot be told")
        return compose(group, *given)

    with monkeypatch.context() as patch:
        patch.setattr(delivering, "message_compose", fails)
        with pytest.raises(ExceptionGroup):
            scene.wait(WAIT)
    assert Delivery.objects.get().message["alerts"][0]["rule"] == "y"
    assert scene.occasions(1) == ["first"]


@pytest.mark.django_db
def test_whoever_dies_while_placing_leaves_the_rest_to_the_next_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(placing, "BATCH", 2)
    route_made("all", channel_made())
    scene = Scene()
    scene.fire("a", "b", "c", "d", "e")
    done = placing._batch_place

    def dies(*given: Any) -> list[Alert]:
        placed = done(*given)
        if AlertGroup.alerts.through.objects.count() == 4:
            raise KeyboardInterrupt
        return placed

    with monkeypatch.context() as patch:
        patch.setattr(placing, "_batch_place", dies)
        with pytest.raises(KeyboardInterrupt):
            scene.turn()
    assert AlertGroup.alerts.through.objects.count() == 2
    ((_, message),) = (*scene.turn(), *scene.wait(WAIT))
    assert names_of(message, "firing") == {"a", "b", "c", "d", "e"}


@pytest.mark.django_db
def test_a_clock_that_was_ahead_keeps_nobody_from_being_told() -> None:
    route_made("all", channel_made())
    scene = Scene(now=NOON + timedelta(days=3))
    scene.fire("a")
    scene.turn()
    assert scene.occasions(WAIT) == ["first"]
    # The clock is put right; what was told stays told, and nothing waits for three days.
    scene.now = NOON
    assert scene.occasions(0) == []
    scene.fire("b")
    assert scene.occasions(INTERVAL) == ["grown"]
    assert scene.occasions(REPEAT) == ["repeated"]


@pytest.mark.django_db
def test_a_clock_that_leaps_ahead_tells_what_is_due_once() -> None:
    route_made("all", channel_made())
    scene = Scene()
    scene.fire("a")
    scene.turn()
    assert scene.occasions(86_400) == ["first"]
    assert scene.occasions(REPEAT - 1) == []
    assert scene.occasions(1 + INTERVAL) == ["repeated"]


@pytest.mark.django_db
def test_a_changed_route_moves_what_fires_and_its_end_goes_to_both() -> None:
    chat, pager = channel_made("chat"), channel_made("pager")
    route = route_made("all", chat)
    scene = Scene()
    scene.fire("a")
    scene.turn()
    assert [name for name, _ in scene.wait(WAIT)] == ["chat"]
    severe = [{"label": "severity", "op": "=", "value": "page"}]
    route_made("pages", pager, position=1, matchers=severe)
    scene.turn()
    assert [(name, why_of(each)) for name, each in scene.wait(WAIT)] == [("pager", "first")]
    # No repeats by the old way.
    assert {name for name, _ in scene.wait(REPEAT + INTERVAL)} == {"pager"}
    scene.resolve("a")
    told = scene.wait(INTERVAL)
    assert [(name, why_of(each)) for name, each in told] == [
        ("chat", "resolved"), ("pager", "resolved"),
    ]  # fmt: skip
    assert route.groups.get().due_at is None


@pytest.mark.django_db
def test_the_end_is_told_also_when_its_route_was_deleted_or_its_channel_taken_away() -> None:
    chat, pager = channel_made("chat"), channel_made("pager")
    route = route_made("all", chat, pager)
    route_made("rest", position=9_000)
    scene = Scene()
    scene.fire("a", severity="ticket")
    scene.turn()
    assert len(scene.wait(WAIT)) == 2
    route.channels.remove(chat)
    scene.fire("b", severity="ticket")
    assert [name for name, _ in scene.wait(INTERVAL)] == ["pager"]
    Route.objects.filter(name="all").delete()
    scene.turn()
    assert scene.wait(INTERVAL) == []
    scene.resolve("a", "b", severity="ticket")
    told = scene.wait(INTERVAL)
    assert [(name, why_of(each), names_of(each, "resolved")) for name, each in told] == [
        ("chat", "resolved", {"a"}), ("pager", "resolved", {"a", "b"}),
    ]  # fmt: skip
    assert all(each.due_at is None for each in AlertGroup.objects.all())


@pytest.mark.django_db
def test_routes_that_go_on_tell_by_several_ways() -> None:
    chat, pager = channel_made("chat"), channel_made("pager")
    route_made("log", chat, position=1, goes_on=True, group_by=[])
    route_made("rest", pager)
    scene = Scene()
    scene.fire("a")
    scene.fire("a", service="tasks")
    scene.turn()
    told = scene.wait(WAIT)
    assert Counter(name for name, _ in told) == {"chat": 1, "pager": 2}


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
