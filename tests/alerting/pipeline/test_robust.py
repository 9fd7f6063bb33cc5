"""Two senders, a death in the middle, clocks that jump and routes that change."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from alerting.domain.messages import Message
from alerting.models import Alert, AlertGroup, Channel, Delivery, Notified, Route
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
    why_of,
)


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
