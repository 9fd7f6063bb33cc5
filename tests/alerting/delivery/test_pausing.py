"""Channels that fail: who takes their messages, who is told, and what makes them work again."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.choices import Purpose
from alerting.domain.retrying import (
    LONGEST_ASKED,
    PAUSES,
    is_to_be_paused,
    pause_seconds,
)
from alerting.models import Channel, Delivery
from alerting.services.sending import deliveries_send, delivery_send_now
from resilience_site.config import config
from resilience_site.core import journal
from tests.alerting.delivery.receivers import Answer, Receiver, running_receiver
from tests.alerting.delivery.scene import NOW, at, enqueue, message, webhook

DEAD = "http://127.0.0.1:9/"


def send(seconds: float = 0) -> int:
    return deliveries_send(now=at(seconds), rng=random.Random(1))


def failing(name: str = "dead", **more: object) -> Channel:
    """A channel that has failed for a while, and is paused by its next failure."""
    return webhook(DEAD, name, failures=4, failing_since=at(-900), **more)


def kinds() -> list[str]:
    return [each.kind for each in journal.read(0) if each.topic == "deliveries"]


def test_a_channel_that_keeps_failing_is_paused_and_another_takes_its_alerts(
    receiver: Receiver,
) -> None:
    dead, other = failing(), webhook(receiver.url, "other")
    waiting = enqueue(dead)
    send()
    send(1)
    dead.refresh_from_db()
    assert dead.paused_at is not None
    assert "refused the connection" in dead.paused_why
    waiting.refresh_from_db()
    assert waiting.state == "failed"
    assert "channel.paused" in kinds()
    taken = Delivery.objects.get(channel=other, purpose="alerts")
    assert (taken.fallback_of, taken.state) == (waiting, "delivered")


def test_what_waits_for_a_channel_that_a_person_paused_waits(receiver: Receiver) -> None:
    paused = webhook(DEAD, "paused", paused_at=NOW, paused_why="moving house")
    webhook(receiver.url, "other")
    waiting = enqueue(paused)
    send()
    waiting.refresh_from_db()
    assert waiting.state == "pending"
    assert waiting.last_error.startswith("Waiting: the channel is paused")
    assert receiver.received == []


def test_what_waits_for_a_paused_channel_goes_by_its_fallback(receiver: Receiver) -> None:
    other = webhook(receiver.url, "other")
    dead = failing(fallback=other)
    first, second = enqueue(dead, message(title="one")), enqueue(dead, message(title="two"))
    send()
    send(1)
    titles = sorted(each.document["title"] for each in receiver.received)
    assert titles == ["one", "two"]
    assert {each.state for each in Delivery.objects.filter(channel=dead)} == {"failed"}
    taken = Delivery.objects.get(fallback_of=first)
    assert taken.message["note"].startswith("Sent here because the channel dead failed")
    assert taken.pk != first.pk
    assert Delivery.objects.filter(fallback_of=second).count() == 1


def test_a_refused_message_goes_by_the_fallback_though_the_channel_works(
    receiver: Receiver,
) -> None:
    with running_receiver(Answer(400)) as choosy:
        to = webhook(choosy.url, "choosy", fallback=webhook(receiver.url, "other"))
        enqueue(to)
        send()
    to.refresh_from_db()
    assert (to.failures, to.paused_at) == (1, None)
    assert [each.document["title"] for each in receiver.received] == [message().title]


def test_a_refused_alert_without_a_fallback_goes_by_any_channel_that_works(
    receiver: Receiver,
) -> None:
    with running_receiver(Answer(400)) as choosy:
        webhook(receiver.url, "other")
        enqueue(webhook(choosy.url, "choosy"))
        send()
    send(1)
    (taken,) = receiver.received
    assert taken.document["title"] == message().title
    assert taken.document["why"]["text"].startswith("Sent here because the channel choosy failed")


def test_a_ring_of_fallbacks_ends() -> None:
    one, two = webhook(DEAD, "one"), webhook(DEAD, "two")
    Channel.objects.filter(pk=one.pk).update(fallback=two, paused_at=NOW)
    Channel.objects.filter(pk=two.pk).update(fallback=one)
    enqueue(Channel.objects.get(name="one"))
    send()
    Channel.objects.filter(pk=two.pk).update(paused_at=NOW)
    Delivery.objects.filter(channel=two).update(next_at=NOW)
    for seconds in (1, 2, 3):
        send(seconds)
    assert Delivery.objects.count() == 2


def test_a_test_that_arrives_makes_a_paused_channel_work_again(receiver: Receiver) -> None:
    to = webhook(receiver.url, failures=9, failing_since=at(-900), paused_at=NOW, paused_why="x")
    waiting = enqueue(to)
    send()
    assert receiver.received == []
    test = enqueue(to, message(title="test"), purpose=Purpose.TEST)
    assert delivery_send_now(delivery_id=test.pk, now=at(1))
    to.refresh_from_db()
    assert (to.paused_at, to.failures, to.paused_why) == (None, 0, "")
    assert kinds()[-2:] == ["delivery.delivered", "channel.resumed"]
    send(5)
    waiting.refresh_from_db()
    assert waiting.state == "delivered"


def test_a_test_that_fails_is_neither_repeated_nor_counted() -> None:
    to = webhook(DEAD)
    test = enqueue(to, purpose=Purpose.TEST)
    assert delivery_send_now(delivery_id=test.pk, now=NOW)
    test.refresh_from_db()
    to.refresh_from_db()
    assert (test.state, to.failures) == ("failed", 0)


def test_a_channel_that_is_switched_off_sends_nothing(receiver: Receiver) -> None:
    delivery = enqueue(webhook(receiver.url, enabled=False))
    send()
    assert receiver.received == []
    send(7300)
    delivery.refresh_from_db()
    assert delivery.state == "failed"
    assert "switched off" in delivery.last_error


def test_a_deleted_channel_takes_no_message_along(receiver: Receiver) -> None:
    to = webhook(receiver.url, "gone")
    delivery = enqueue(to)
    to.delete()
    send()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.channel_name) == ("failed", "gone")


def test_a_channel_that_fails_is_tried_with_one_message_alone() -> None:
    to = webhook(DEAD, failures=1, failing_since=NOW)
    for _ in range(20):
        enqueue(to)
    assert send() == 1
    assert Delivery.objects.filter(next_at__lte=at(4)).count() == 0


def test_secrets_sealed_with_another_key_fail_with_what_to_do(receiver: Receiver) -> None:
    to = webhook(receiver.url, failures=9, failing_since=at(-900))
    Channel.objects.update(sealed="gAAAA-of-another-key")
    delivery = enqueue(to)
    send()
    delivery.refresh_from_db()
    assert "enter the secret again" in delivery.last_error
    to.refresh_from_db()
    assert to.paused_at is not None


def test_without_proactive_alerting_only_what_people_asked_for_is_sent(receiver: Receiver) -> None:
    to = webhook(receiver.url)
    enqueue(to, message(title="alert"))
    enqueue(to, message(title="report"), purpose=Purpose.REPORT)
    with config.override(proactive_alerting_enabled=False):
        send()
    assert [each.document["title"] for each in receiver.received] == ["report"]
    send(1)
    assert len(receiver.received) == 2


@given(attempt=st.integers(1, 500), asked=st.none() | st.floats(0, 1e9), seed=st.integers(0, 99))
def test_a_pause_is_never_shorter_than_asked_and_never_endless(
    attempt: int, asked: float | None, seed: int
) -> None:
    pause = pause_seconds(attempt, asked=asked, rng=random.Random(seed))
    assert pause >= min(asked or 0, LONGEST_ASKED)
    assert pause >= PAUSES[0]
    assert pause <= max(PAUSES[-1], LONGEST_ASKED) * 1.3


@pytest.mark.parametrize(
    ("failures", "minutes", "gone", "paused"),
    [(5, 10, False, True), (4, 60, False, False), (50, 9, False, False), (1, 0, True, True)],
)
def test_a_channel_is_paused_for_failing_both_often_and_long(
    failures: int, minutes: int, gone: bool, paused: bool
) -> None:
    since = NOW - timedelta(minutes=minutes)
    assert is_to_be_paused(failures=failures, failing_since=since, gone=gone, now=NOW) is paused
