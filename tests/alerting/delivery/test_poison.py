"""A delivery that cannot be read, marked or settled is its own trouble, and nobody else's."""

from __future__ import annotations

import random
from typing import Any

import pytest

from alerting.models import Channel, Delivery
from alerting.services.sending import deliveries_send, turn
from alerting.services.sending.marking import attempt_mark
from tests.alerting.delivery.receivers import Receiver
from tests.alerting.delivery.scene import at, enqueue, message, webhook

HOURS = 3_600.0


def send(seconds: float = 0) -> int:
    return deliveries_send(now=at(seconds), rng=random.Random(1))


def states() -> dict[str, str]:
    return dict(Delivery.objects.values_list("channel_name", "state"))


def spoil(delivery: Delivery, **message_: Any) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(message={**delivery.message, **message_})


def test_a_message_with_fields_of_a_later_version_is_sent(receiver: Receiver) -> None:
    later = enqueue(webhook(receiver.url, "later"))
    (alert,) = later.message["alerts"]
    spoil(
        later, of_later=1, alerts=[{**alert, "of_later": 1}], why={**later.message["why"], "x": 1}
    )
    assert send() == 1
    assert states() == {"later": "delivered"}
    assert receiver.received[0].document["title"] == message().title


def test_a_message_that_nobody_can_read_keeps_no_other_from_being_sent(receiver: Receiver) -> None:
    spoil(enqueue(webhook(receiver.url, "bad")), alerts=[{"no": "alert"}])
    enqueue(webhook(receiver.url, "good"))
    assert send() == 2
    assert states() == {"bad": "pending", "good": "delivered"}
    error = Delivery.objects.get(channel_name="bad").last_error
    assert error.startswith("This site could not try it")


def test_an_old_message_that_nobody_can_read_does_not_stop_the_sender(receiver: Receiver) -> None:
    spoil(enqueue(webhook(receiver.url, "bad")), alerts=[{"no": "alert"}])
    webhook(receiver.url, "other")
    later = 3 * HOURS
    for _ in range(3):
        later += 120
        good = enqueue(webhook(receiver.url), now=at(later))
        assert send(later) >= 1
        good.refresh_from_db()
        assert good.state == "delivered"


def test_one_that_cannot_be_marked_leaves_the_others_marked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        enqueue(webhook(receiver.url, name))

    def mark(**given: Any) -> None:
        if given["claim"].delivery.channel_name == "b":
            raise RuntimeError("the database is away")
        attempt_mark(**given)

    monkeypatch.setattr(turn, "attempt_mark", mark)
    with pytest.raises(ExceptionGroup, match="1 deliveries could not be marked"):
        send()
    assert states() == {"a": "delivered", "b": "sending", "c": "delivered"}


def test_what_every_channel_refuses_goes_once_to_each_and_no_further() -> None:
    made = [webhook("https://example.com/x", f"c{number}") for number in range(9)]
    Channel.objects.update(sealed="cannot be opened")
    enqueue(made[0])
    send()
    names = Delivery.objects.values_list("channel_name", flat=True)
    assert sorted(names) == [f"c{number}" for number in range(9)]
    assert set(states().values()) == {"failed"}
