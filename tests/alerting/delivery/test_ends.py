"""Whoever was told that an alert fires is told its end: by fallbacks, late, and after clocks leapt."""

from __future__ import annotations

import random

import pytest

from alerting.models import Channel, Delivery
from alerting.services.sending import deliveries_send
from alerting.services.sending.settling import settle
from tests.alerting.delivery.receivers import Receiver
from tests.alerting.delivery.scene import NOW, at, enqueue, message, webhook
from tests.alerting.pipeline.scene import INTERVAL, NOON, WAIT, Scene, channel_made, route_made


def send(seconds: float = 0) -> int:
    return deliveries_send(now=at(seconds), rng=random.Random(1))


def told_by_fallback(*, takes_itself: bool = False) -> Scene:
    """A channel that is paused, in whose place another one hears that an alert fires."""
    other = channel_made("other")
    paused = channel_made("paused", fallback=other, paused_at=NOON)
    route_made("all", paused, *([other] if takes_itself else []))
    scene = Scene()
    scene.fire("a")
    scene.turn()
    scene.wait(WAIT)
    settle(now=scene.now)
    assert Delivery.objects.get(channel=paused).state == "failed"
    return scene


def test_a_fallback_hears_of_the_end_though_the_channel_works_again() -> None:
    scene = told_by_fallback()
    assert Delivery.objects.get(channel_name="other").fallback_of is not None
    Channel.objects.update(paused_at=None)
    scene.resolve("a")
    ends = scene.wait(INTERVAL)
    # And nobody who never heard that it fires.
    assert [(name, told.status) for name, told in ends] == [("other", "resolved")]
    assert scene.wait(INTERVAL) == []


def test_a_fallback_hears_of_the_end_once_while_the_channel_is_paused() -> None:
    scene = told_by_fallback()
    scene.resolve("a")
    scene.wait(INTERVAL)
    settle(now=scene.now)
    rows = Delivery.objects.filter(channel_name="other", message__status="resolved")
    assert rows.count() == 1


def test_a_fallback_that_takes_the_same_alerts_hears_of_them_once() -> None:
    told_by_fallback(takes_itself=True)
    assert Delivery.objects.get(channel_name="other").fallback_of is None


def test_an_end_is_tried_for_a_day() -> None:
    to = webhook("http://127.0.0.1:9/", paused_at=NOW)
    end, begin = enqueue(to, message(status="resolved")), enqueue(to)
    send(7300)
    states = dict(Delivery.objects.values_list("pk", "state"))
    assert (states[end.pk], states[begin.pk]) == ("pending", "failed")
    send(86_500)
    end.refresh_from_db()
    assert end.state == "failed"


@pytest.mark.parametrize("what", ["next_at", "lease_until"])
def test_what_a_clock_that_was_ahead_left_is_sent_nevertheless(
    receiver: Receiver, what: str
) -> None:
    delivery = enqueue(webhook(receiver.url))
    Delivery.objects.update(**{what: at(30 * 86_400)})
    assert send() == 1
    delivery.refresh_from_db()
    assert delivery.state == "delivered"
