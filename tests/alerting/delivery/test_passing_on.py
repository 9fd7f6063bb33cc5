"""A page that its channel does not take soon is told by another one, too; what is less urgent waits."""

from __future__ import annotations

import random
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Max
from django.test import Client

from alerting.channels.base import Outcome
from alerting.choices import AttemptOutcome, Purpose
from alerting.domain.retrying import must_be_seen
from alerting.domain.standing_in import not_taken
from alerting.models import Alert, Channel, Delivery
from alerting.services.sending import deliveries_send
from alerting.services.sending.attempts import Attempted
from alerting.services.sending.claims import claim_due
from alerting.services.sending.marking import attempt_mark
from alerting.services.sending.passing import pages_wait
from tests.alerting.delivery.receivers import Answer, Receiver, running_receiver
from tests.alerting.delivery.scene import NOW, at, enqueue, message, webhook
from tests.alerting.pipeline.scene import INTERVAL, WAIT, Scene, route_made
from tests.alerting.pipeline.test_api import Api

DEAD = "http://127.0.0.1:9/"
DOWN, TAKEN = Answer(500), Answer()
ASKS = Answer(503, (("Retry-After", "900"),))


def send(seconds: float = 0) -> int:
    return deliveries_send(now=at(seconds), rng=random.Random(1))


def told(receiver: Receiver) -> list[str]:
    return [each.document["status"] for each in receiver.received]


def tried(*seconds: float) -> None:
    for each in seconds:
        send(each)


@pytest.mark.parametrize("refuses", ["connection", "500"])
def test_a_page_goes_by_another_channel_after_three_failures(
    receiver: Receiver, refuses: str
) -> None:
    with running_receiver(DOWN) as down:
        own = webhook(DEAD if refuses == "connection" else down.url, "own")
        webhook(receiver.url, "other")
        page = enqueue(own)
        tried(0, 20)
        assert told(receiver) == []
        tried(55)
        page.refresh_from_db()
        assert (page.attempts, page.state, page.stand_in_at) == (3, "pending", None)
        copy = Delivery.objects.get(channel_name="other")
        assert (copy.fallback_of, copy.state) == (page, "delivered")
        said = "Sent here because the channel own failed: it has not taken it for "
        assert re.match(said + r"\d+ (s|min) \(", copy.message["note"])
        # It is told no second time, however long its channel fails.
        tried(120, 300, 600)
    own.refresh_from_db()
    assert own.failures > 3
    assert told(receiver) == ["firing"]


def test_a_page_goes_by_another_channel_after_a_minute_though_its_own_is_left_alone(
    receiver: Receiver,
) -> None:
    with running_receiver(ASKS) as asks:
        page = enqueue(webhook(asks.url, "own"))
        webhook(receiver.url, "other")
        tried(0, 30)
        assert told(receiver) == []
        assert not pages_wait(at(30))
        assert pages_wait(at(70))
        tried(70)
        assert told(receiver) == ["firing"]
        # Its receiver is asked no sooner for that.
        tried(800)
        assert len(asks.received) == 1
    page.refresh_from_db()
    assert page.state == "pending"


@pytest.mark.parametrize("calls", [{"severity": "ticket"}, {"status": "resolved"}])
def test_what_calls_nobody_waits_for_its_channel(receiver: Receiver, calls: dict[str, Any]) -> None:
    enqueue(webhook(DEAD, "own"), message(**calls))
    webhook(receiver.url, "other")
    tried(0, 10, 40, 120, 300, 500)
    assert told(receiver) == []
    assert Delivery.objects.get().attempts >= 4


def test_what_waits_behind_what_fails_goes_by_another_without_being_tried(
    receiver: Receiver,
) -> None:
    own = webhook(DEAD, "own")
    webhook(receiver.url, "other")
    pages = [enqueue(own, message(title=f"page {n}")) for n in range(4)]
    tried(0, 10, 30, 62)
    assert sorted(each.document["title"] for each in receiver.received) == [
        each.message["title"] for each in pages
    ]
    assert not Delivery.objects.exclude(stand_in_at=None).filter(channel=own).exists()


def test_a_page_that_waits_for_its_sender_alone_is_passed_to_nobody(receiver: Receiver) -> None:
    own = webhook(receiver.url, "own")
    webhook(DEAD, "other")
    enqueue(own)
    tried(300)
    assert told(receiver) == ["firing"]
    assert Delivery.objects.count() == 1


def test_a_page_for_which_nobody_can_stand_in_goes_by_the_first_that_can(
    receiver: Receiver,
) -> None:
    page = enqueue(webhook(DEAD, "own"))
    other = webhook(receiver.url, "other", paused_at=NOW, paused_why="anna paused it")
    tried(0, 10, 40)
    page.refresh_from_db()
    assert page.stand_in_at is not None
    Channel.objects.filter(pk=other.pk).update(paused_at=None, paused_why="")
    tried(140)
    assert told(receiver) == ["firing"]


def test_two_channels_of_a_route_that_both_fail_are_stood_in_for_once(receiver: Receiver) -> None:
    route_made("all", webhook(DEAD, "one"), webhook(DEAD, "two"))
    webhook(receiver.url, "other")
    scene = Scene()
    scene.fire("a")
    scene.turn()
    scene.wait(WAIT)
    for _ in range(5):
        deliveries_send(now=scene.now, rng=random.Random(1))
        scene.now += timedelta(seconds=30)
    assert told(receiver) == ["firing"]
    assert Delivery.objects.filter(channel_name__in=["one", "two"], state="pending").count() == 2


def test_a_route_s_other_channel_that_has_the_page_is_enough(receiver: Receiver) -> None:
    with running_receiver() as idle:
        route_made("all", webhook(DEAD, "own"), webhook(receiver.url, "well"))
        webhook(idle.url, "a of no route")
        scene = Scene()
        scene.fire("a")
        scene.turn()
        scene.wait(WAIT)
        for _ in range(4):
            deliveries_send(now=scene.now, rng=random.Random(1))
            scene.now += timedelta(seconds=30)
        assert told(idle) == []
    assert told(receiver) == ["firing"]
    assert Delivery.objects.get(channel_name="own").stand_in_at is None


def test_pages_and_api_say_who_stood_in_and_both_hear_the_end_once(
    receiver: Receiver, viewer: Client
) -> None:
    with running_receiver(DOWN) as down:
        route_made("all", webhook(down.url, "bad2"))
        webhook(receiver.url, "ops")
        scene = Scene()
        scene.fire("a")
        scene.turn()
        scene.wait(WAIT)

        def step(seconds: float) -> None:
            deliveries_send(now=scene.now, rng=random.Random(1))
            ended = Delivery.objects.aggregate(at=Max("ended_at"))["at"] or scene.now
            scene.now = max(ended, scene.now) + timedelta(seconds=seconds)

        step(10)
        alert = Alert.objects.get()
        found = Api()("GET", f"alerts/{alert.pk}")[1]
        assert found["told"] == "waits"
        assert found["why_not_told"] == (
            "bad2 has not taken it yet (It answered 500 Internal Server Error); if it goes on, "
            "another stands in soon."
        )
        assert found["why_not_told"] in viewer.get(f"/alerts/{alert.pk}").content.decode()
        step(60)
        step(1)
        found = Api()("GET", f"alerts/{alert.pk}")[1]
        said = (
            "bad2 has not taken it for 1 min (It answered 500 Internal Server Error); ops stood in."
        )
        assert (found["told"], found["why_not_told"]) == ("told", said)
        (bad,) = (each for each in found["groups"][0]["told"] if each["channel"] == "bad2")
        assert (bad["state"], bad["stood_in"]) == ("waits", "ops")
        shown = viewer.get(f"/alerts/{alert.pk}").content.decode()
        assert said in shown
        assert "; ops stood in; to be tried" in shown
        assert "bad2 has not taken it for 1 min" in viewer.get("/alerts").content.decode()
        down.answers = [TAKEN]
        down.received.clear()
        scene.resolve("a")
        scene.wait(INTERVAL)
        step(1)
        step(1)
        assert told(down) == ["firing", "resolved"]
    assert told(receiver) == ["firing", "resolved"]


def test_one_whose_channel_has_failed_for_long_is_passed_on_by_its_first_failure() -> None:
    own = webhook(DEAD, "own", failures=7, failing_since=at(-60))
    page = enqueue(own)
    (claim,) = claim_due(now=NOW)
    failed = Attempted(Outcome(AttemptOutcome.RETRY, error="It answered 500"), 0.1)
    attempt_mark(claim=claim, attempted=failed, now=at(1), rng=random.Random(1))
    page.refresh_from_db()
    assert page.stand_in_at == at(1)


@pytest.mark.parametrize(
    ("purpose", "occasion", "seen"),
    [("alerts", "first", True), ("alerts", "repeated", True), ("alerts", "shrunk", False), ("report", "first", False)],
)  # fmt: skip
def test_what_must_be_seen(purpose: str, occasion: str, seen: bool) -> None:
    said = {"status": "firing", "severity": "page", "why": {"occasion": occasion}}
    assert must_be_seen(purpose, said) is seen
    assert not must_be_seen(Purpose.TEST, {**said, "why": None})


def test_how_long_it_was_not_taken_is_said_in_words() -> None:
    assert not_taken(timedelta(seconds=25.6), "It answered 500.") == (
        "it has not taken it for 26 s (It answered 500)"
    )
    assert not_taken(timedelta(seconds=119), "") == (
        "it has not taken it for 1 min, as it fails or asks to be left alone"
    )
