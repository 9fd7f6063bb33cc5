"""A message of a group reaches whoever stands in for others once, and somebody in any case."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from alerting.domain.messages import Message
from alerting.domain.standing_in import MOST_NAMED, note_of, says_all_of
from alerting.models import Channel, Delivery
from alerting.services.sending import deliveries_send
from alerting.services.sending.settling import settle
from resilience_site.core import journal
from tests.alerting.delivery.receivers import Answer, Receiver, running_receiver
from tests.alerting.delivery.scene import webhook
from tests.alerting.pipeline.scene import (
    INTERVAL,
    NOON,
    REPEAT,
    WAIT,
    Scene,
    channel_made,
    route_made,
)

SOON, LATER = timedelta(seconds=20), timedelta(hours=1)
GONE = "It answered 410 Gone"


def failing(name: str, **more: Any) -> Channel:
    """A channel that is paused as it fails."""
    return channel_made(
        name, paused_at=NOON, failing_since=NOON, failures=5, paused_why=GONE, **more
    )


def fired(*channels: Channel) -> Scene:
    """An alert that the route of these channels has just told."""
    route_made("all", *channels)
    scene = Scene()
    scene.fire("a")
    scene.turn()
    scene.wait(WAIT)
    return scene


def send(scene: Scene) -> None:
    deliveries_send(now=scene.now, rng=random.Random(1))


def copies(channel: Channel | str, **more: Any) -> list[Delivery]:
    name = channel if isinstance(channel, str) else channel.name
    return list(Delivery.objects.filter(channel_name=name, **more).order_by("created_at", "pk"))


def note(delivery: Delivery) -> str:
    return Message.from_json(delivery.message).note


def lost() -> list[str]:
    """Of each message that nobody took, by which channel it failed last."""
    return [
        each.payload["channel"]
        for each in journal.read(0)
        if each.kind == "delivery.failed" and each.payload["lost"]
    ]


def test_one_that_stands_in_for_three_hears_once_for_whom_and_of_the_end_once() -> None:
    other = channel_made("other")
    scene = fired(failing("one"), failing("two"), failing("three"))
    settle(now=scene.now)
    (copy,) = copies(other)
    assert note(copy) == (
        f"Sent here because the channels one, three and two failed: the channel is paused ({GONE})."
    )
    assert {each.state for each in Delivery.objects.exclude(pk=copy.pk)} == {"failed"}
    assert lost() == []
    scene.resolve("a")
    scene.wait(INTERVAL)
    settle(now=scene.now)
    firing, resolved = copies(other)
    assert (firing.message["status"], resolved.message["status"]) == ("firing", "resolved")


def test_each_turn_of_a_group_is_told_to_who_stands_in() -> None:
    scene = fired(failing("one"), failing("two"))
    other = channel_made("other")
    # It was found out a while later that the others fail.
    settle(now=scene.now + SOON)
    Delivery.objects.filter(channel=other).update(state="delivered")
    scene.wait(REPEAT)
    settle(now=scene.now)
    assert len(copies(other)) == 2
    assert [each.message["why"]["occasion"] for each in copies(other)] == ["first", "repeated"]


def test_nobody_else_is_called_where_another_channel_of_the_route_has_the_message() -> None:
    outsider, well = channel_made("a of no route"), channel_made("well")
    scene = fired(failing("one"), failing("two"), failing("three"), well)
    settle(now=scene.now)
    assert copies(outsider) == []
    (own,) = copies(well)
    assert (own.fallback_of, note(own)) == (None, "")
    assert lost() == []
    (told,) = copies("two")
    assert told.last_error == (
        f"the channel is paused ({GONE}). The channel well has this message anyway"
    )


@pytest.mark.parametrize(
    "doubtful", [{"failures": 2, "failing_since": NOON}, {"not_before": NOON + 2 * LATER}]
)
def test_a_page_does_not_wait_for_a_channel_that_may_not_get_it_either(
    doubtful: dict[str, Any],
) -> None:
    idle = channel_made("idle")
    scene = fired(failing("one"), channel_made("doubtful", **doubtful))
    settle(now=scene.now)
    (copy,) = copies(idle)
    assert "the channel one failed" in note(copy)
    assert [each.fallback_of for each in copies("doubtful")] == [None]


def test_where_no_other_works_it_is_left_to_the_one_that_may_not_get_it() -> None:
    scene = fired(failing("one"), channel_made("doubtful", failures=2, failing_since=NOON))
    settle(now=scene.now)
    assert [each.fallback_of for each in copies("doubtful")] == [None]
    assert Delivery.objects.count() == 2
    assert lost() == []


def test_a_fallback_of_three_channels_hears_once() -> None:
    other = channel_made("other")
    scene = fired(
        *(failing(each, fallback=other) for each in ("one", "two", "three")), channel_made("well")
    )
    settle(now=scene.now)
    (copy,) = copies(other)
    assert "the channels one, three and two failed" in note(copy)


def test_one_that_has_got_the_message_already_gets_no_second_when_another_channel_fails(
    receiver: Receiver,
) -> None:
    other = webhook(receiver.url, "other")
    late = channel_made("late")
    scene = fired(failing("early", fallback=other), late)
    Delivery.objects.filter(channel=late).update(next_at=scene.now + LATER)
    Channel.objects.filter(pk=late.pk).update(
        fallback=other, paused_at=scene.now, failing_since=NOON, paused_why="down"
    )
    send(scene)
    (copy,) = copies(other, state="delivered")
    Delivery.objects.filter(channel=late).update(next_at=scene.now)
    settle(now=scene.now)
    assert copies(other) == [copy]
    assert len(receiver.received) == 1
    assert note(copies(other)[0]) == note(copy)
    (own,) = copies(late)
    assert own.state == "failed"
    assert own.last_error.endswith("The channel other has this message anyway")


def test_a_message_that_was_tried_already_says_the_same_again() -> None:
    other = channel_made("other")
    early, late = failing("early", fallback=other), failing("late", fallback=other)
    scene = fired(early, late)
    Delivery.objects.filter(channel=late).update(next_at=scene.now + LATER)
    Channel.objects.filter(pk=late.pk).update(paused_at=None)
    settle(now=scene.now)
    (copy,) = copies(other)
    Delivery.objects.filter(pk=copy.pk).update(attempts=1)
    Channel.objects.filter(pk=late.pk).update(paused_at=scene.now)
    Delivery.objects.filter(channel=late).update(next_at=scene.now)
    settle(now=scene.now)
    (same,) = copies(other)
    assert same.message == copy.message
    assert copies(late)[0].state == "failed"


def test_where_the_one_that_stands_in_refuses_the_next_takes_it_and_names_all(
    receiver: Receiver,
) -> None:
    with running_receiver(Answer(400)) as choosy:
        webhook(choosy.url, "first")
        last = webhook(receiver.url, "last", failures=1)
        scene = fired(failing("one"), failing("two"))
        send(scene)
    (copy,) = copies(last)
    assert copy.state == "delivered"
    assert note(copy).startswith("Sent here because the channels one, two and first failed. one: ")
    assert note(copy).endswith("first: It answered 400 Bad Request.")
    assert (len(choosy.received), len(receiver.received)) == (1, 1)
    assert lost() == []


def test_what_others_counted_on_and_is_refused_goes_by_a_channel_of_no_route(
    receiver: Receiver,
) -> None:
    with running_receiver(Answer(400)) as choosy:
        well = webhook(choosy.url, "well")
        outsider = webhook(receiver.url, "outsider")
        scene = fired(failing("one"), well)
        send(scene)
    (copy,) = copies(outsider)
    assert copy.state == "delivered"
    assert lost() == []


@pytest.mark.parametrize("fallback", [True, False], ids=["each other's", "none"])
def test_a_page_that_all_channels_of_its_route_refuse_is_lost_and_that_is_said_once(
    fallback: bool,
) -> None:
    with running_receiver(Answer(400)) as choosy:
        one, two = webhook(choosy.url, "one"), webhook(choosy.url, "two")
        if fallback:
            Channel.objects.filter(pk=one.pk).update(fallback=two)
            Channel.objects.filter(pk=two.pk).update(fallback=one)
        scene = fired(one, two, failing("three"))
        send(scene)
    assert len(choosy.received) == 2
    assert len(lost()) == 1
    assert Delivery.objects.count() == 3


def test_who_refused_to_stand_in_is_asked_again_in_the_next_turn(receiver: Receiver) -> None:
    receiver.answers = [Answer(400), Answer()]
    other = webhook(receiver.url, "other")
    with running_receiver(Answer(400)) as choosy:
        scene = fired(webhook(choosy.url, "own"))
        send(scene)
        assert [each.state for each in copies(other)] == ["failed"]
        # A person has mended both since, the first in vain.
        scene.now += LATER
        Channel.objects.update(changed_at=scene.now)
        scene.wait(INTERVAL)
        send(scene)
        assert len(choosy.received) == 2
    assert [each.state for each in copies(other)] == ["failed", "delivered"]


# --- Words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failed", "said"),
    [
        ([], ""),
        ([("ops", "it is gone.")], "Sent here because the channel ops failed: it is gone."),
        (
            [("ops", "gone"), ("sms", "gone")],
            "Sent here because the channels ops and sms failed: gone.",
        ),
        (
            [("ops", "gone"), ("sms", "busy"), ("mail", "gone")],
            "Sent here because the channels ops, sms and mail failed. ops: gone. sms: busy. "
            "mail: gone.",
        ),
        (
            [(f"c{n}", "gone") for n in range(MOST_NAMED + 3)],
            "Sent here because the channels c0, c1, c2, c3, c4, c5, c6, c7 and 3 more failed: gone.",
        ),
    ],
)
def test_a_note_names_all_channels_that_failed(failed: list[tuple[str, str]], said: str) -> None:
    assert note_of(failed) == said


def test_a_note_is_short_however_much_is_said_of_each_failure() -> None:
    found = note_of([(f"c{n}", f"{n}" * 500) for n in range(99)])
    assert len(found) < 2_000
    assert "c7 and 91 more failed" in found


def said(*alerts: tuple[str, str], status: str = "firing", left_out: int = 0) -> dict[str, Any]:
    listed = [{"id": name, "status": each} for name, each in alerts]
    return {"alerts": listed, "status": status, "left_out": left_out}


A, B = ("a", "firing"), ("b", "firing")


@pytest.mark.parametrize(
    ("theirs", "ours", "enough"),
    [
        (said(A), said(A), True),
        (said(B, A), said(A, B), True),
        (said(A, B), said(A), True),
        (said(A), said(A, B), False),
        (said(("a", "resolved")), said(A), False),
        (said(A, ("b", "resolved")), said(A, status="resolved"), False),
        (said(A), said(A, left_out=1), False),
        (said(A, B), said(A, left_out=1), True),
        (said(), said(), False),
    ],
)
def test_one_message_is_enough_where_it_says_all_of_the_other(
    theirs: dict[str, Any], ours: dict[str, Any], enough: bool
) -> None:
    assert says_all_of(theirs, ours) is enough
