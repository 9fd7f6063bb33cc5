"""Whoever was told that an alert fires is told its end: by fallbacks, late, and after clocks leapt."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Max

from alerting.domain.wording import MOST_LISTED
from alerting.models import Channel, Delivery
from alerting.services import channels
from alerting.services.sending import deliveries_send
from alerting.services.sending.settling import settle
from resilience_site.core.audit import Actor
from tests.alerting.delivery.receivers import Receiver
from tests.alerting.delivery.scene import NOW, at, enqueue, message, webhook
from tests.alerting.pipeline.scene import INTERVAL, NOON, WAIT, Scene, channel_made, route_made

ANNA = Actor.system("anna")


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


def paused_route(receiver: Receiver, **more: Any) -> tuple[Scene, Channel]:
    """A route to a channel that a person has paused, and a clock that goes on."""
    paused = webhook(receiver.url, "paused", **more)
    route_made("all", paused)
    return Scene(), paused


def step(scene: Scene, seconds: float) -> None:
    """Some time later: groups are told, and what is due is sent."""
    scene.turn()
    scene.wait(seconds)
    deliveries_send(now=scene.now, rng=random.Random(1))
    # Sending takes its time; what is done next is done after it.
    ended = Delivery.objects.aggregate(at=Max("ended_at"))["at"] or scene.now
    scene.now = max(scene.now, ended) + timedelta(seconds=1)


def do(scene: Scene, paused: Channel, act: str, name: str) -> None:
    match act:
        case "fire":
            scene.fire(name)
        case "end":
            scene.resolve(name)
        case "storm":
            scene.fire(*MORE_THAN_ARE_LISTED)
        case "calm":
            scene.resolve(*MORE_THAN_ARE_LISTED)
        case "pause":
            Channel.objects.update(paused_at=scene.now, paused_why="moving house")
        case "resume":
            channels.channel_resume(channel_id=paused.pk, actor=ANNA, now=scene.now)


def heard(receiver: Receiver) -> list[tuple[str, list[str], list[str]]]:
    """Of each message that arrived why it went, what fires and what is over."""
    return [
        (
            each.document["why"]["occasion"],
            *(
                sorted(a["rule"] for a in each.document["alerts"] if a["status"] == status)
                for status in ("firing", "resolved")
            ),
        )
        for each in receiver.received
    ]


HOUR = 3_600
MORE_THAN_ARE_LISTED = [f"a{n}" for n in range(MOST_LISTED + 5)]
# What happens while the channel is paused, `h` for each hour that passes, and what its receiver
# hears by then and after it is resumed.
LATE: dict[str, tuple[str, list[tuple[str, list[str], list[str]]]]] = {
    "what expired and is over is not told": ("pause fire:a h end:a h h resume", []),
    "what expired and goes on is told": (
        "pause fire:a h h h resume end:a", [("first", ["a"], []), ("resolved", [], ["a"])],
    ),
    "what was told and ends meanwhile is told as over": (
        "fire:a pause h end:a h h resume", [("first", ["a"], []), ("resolved", [], ["a"])],
    ),
    "of two that end, the one that was told, also hours later": (
        "fire:a pause fire:b h end:a h h h resume end:b",
        [("first", ["a"], []), ("shrunk", ["b"], ["a"]), ("resolved", [], ["b"])],
    ),
    "the end that stood in a message too old for what has begun since": (
        "fire:a pause end:a+fire:b h h resume end:b",
        [
            ("first", ["a"], []), ("grown", ["b"], []), ("shrunk", ["b"], ["a"]),
            ("resolved", [], ["b"]),
        ],
    ),
    "the end of one while another goes on, of which neither was told": (
        "pause fire:a fire:b h end:a h h resume", [("first", ["b"], [])],
    ),
    "the end of one that was not told while another goes on that was": (
        "fire:b pause fire:a h end:a h h resume end:b",
        [("first", ["b"], []), ("resolved", [], ["b"])],
    ),
    "of a storm that expired and is over nothing is told": ("pause storm h calm h h resume", []),
    "both in time": (
        "pause fire:a end:a resume", [("first", ["a"], []), ("resolved", [], ["a"])],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("happens", "told"), LATE.values(), ids=LATE)
def test_who_never_heard_that_something_fires_hears_of_no_end(
    receiver: Receiver, happens: str, told: list[tuple[str, list[str], list[str]]]
) -> None:
    scene, paused = paused_route(receiver)
    for each in happens.split():
        for act in each.split("+"):
            do(scene, paused, *act.partition(":")[::2])
        step(scene, HOUR if each == "h" else INTERVAL)
    step(scene, INTERVAL)
    assert heard(receiver) == told
    assert not Delivery.objects.filter(state="pending").exists()


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
