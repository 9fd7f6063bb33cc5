"""The sender against receivers that answer well, late, wrongly, or not at all."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import pytest
import standardwebhooks
import time_machine

from alerting.models import Channel, Delivery, DeliveryAttempt
from alerting.services.sending import deliveries_send, turn
from alerting.services.sending.attempts import Attempted, attempt
from alerting.services.sending.claims import Claim
from alerting.services.sending.marking import attempt_mark
from resilience_site.config import config
from resilience_site.core import journal
from tests.alerting.delivery.receivers import Answer, Receiver, running_receiver
from tests.alerting.delivery.scene import NOW, SECRET, at, enqueue, group, message, webhook
from tests.patience import PATIENCE as WITHIN

# Long enough for a busy machine to send to the one beside the one that hangs.
PATIENCE = 4.0


def send(seconds: float = 0) -> int:
    return deliveries_send(now=at(seconds), rng=random.Random(1))


def state(delivery: Delivery) -> str:
    delivery.refresh_from_db()
    return delivery.state


def test_a_webhook_arrives_signed_and_its_attempt_is_kept(receiver: Receiver) -> None:
    delivery = enqueue(webhook(f"{receiver.url}/hook"))
    with time_machine.travel(NOW, tick=False):
        assert send() == 1
        (request,) = receiver.received
        # The independent verifier of the standard looks at the clock, too.
        standardwebhooks.Webhook(SECRET).verify(request.body, request.headers)
    assert request.headers["webhook-id"] == str(delivery.pk)
    body = request.document
    assert (body["version"], body["status"], body["type"]) == ("4", "firing", "alert.firing")
    assert body["alerts"][0]["labels"]["alertname"] == "breaker-open"
    assert body["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z"
    assert body["why"]["occasion"] == "first"

    assert state(delivery) == "delivered"
    (kept,) = DeliveryAttempt.objects.filter(delivery=delivery)
    assert (kept.n, kept.status, kept.outcome, kept.answer) == (1, 200, "delivered", "ok")
    assert kept.request["url"] == f"{receiver.url}/hook"
    assert kept.request["body"] == request.body.decode()
    told = [each for each in journal.read(0) if each.topic == "deliveries"]
    assert [each.kind for each in told] == ["delivery.delivered"]


@pytest.mark.parametrize("status", [429, 500, 503, 408])
def test_a_busy_receiver_is_asked_again_with_the_same_id_and_body(
    receiver: Receiver, status: int
) -> None:
    receiver.answers = [Answer(status), Answer()]
    delivery = enqueue(webhook(receiver.url))
    assert send() == 1
    assert state(delivery) == "pending"
    assert at(5) <= delivery.next_at <= at(8)
    assert send(4) == 0
    assert send(10) == 1
    assert state(delivery) == "delivered"
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(delivery.pk)
    assert first.body == second.body
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert [each.outcome for each in delivery.tries.order_by("n")] == ["retry", "delivered"]


def test_attempts_go_on_while_another_one_is_written_down(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else a receiver that answers at once is given up, as its deadline passes meanwhile.
    first, second = (enqueue(webhook(receiver.url, name)) for name in ("first", "second"))
    marking, tried = Event(), Event()

    async def try_second_while_first_is_marked(claim: Claim, now: datetime) -> Attempted:
        if claim.delivery.pk == second.pk:
            assert await asyncio.to_thread(marking.wait, WITHIN)
        try:
            return await attempt(claim, now)
        finally:
            if claim.delivery.pk == second.pk:
                tried.set()

    def mark(**given: Any) -> None:
        if given["claim"].delivery.pk == first.pk:
            marking.set()
            assert tried.wait(WITHIN)
        attempt_mark(**given)

    monkeypatch.setattr(turn, "attempt", try_second_while_first_is_marked)
    monkeypatch.setattr(turn, "attempt_mark", mark)
    assert send() == 2
    assert [state(first), state(second)] == ["delivered", "delivered"]


def test_retry_after_makes_the_pause_longer_and_holds_for_the_whole_channel(
    receiver: Receiver,
) -> None:
    receiver.answers = [Answer(429, (("Retry-After", "120"),)), Answer()]
    to = webhook(receiver.url)
    first = enqueue(to)
    assert send() == 1
    other = enqueue(to, now=at(1))
    assert state(first) == "pending"
    assert at(120) <= first.next_at <= at(160)
    assert send(2) == 0
    assert send(161) == 2
    assert {state(first), state(other)} == {"delivered"}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 301])
def test_a_refusal_for_good_is_not_repeated(receiver: Receiver, status: int) -> None:
    receiver.answers = [Answer(status, (("Location", "http://127.0.0.1:9/"),), b"no such hook")]
    delivery = enqueue(webhook(receiver.url))
    assert send() == 1
    assert state(delivery) == "failed"
    assert str(status) in delivery.last_error
    assert send(3600) == 0
    assert len(receiver.received) == 1
    assert delivery.tries.get().answer == "no such hook"


def test_a_receiver_that_is_gone_pauses_the_channel_at_once(receiver: Receiver) -> None:
    receiver.answers = [Answer(410)]
    to = webhook(receiver.url)
    enqueue(to)
    send()
    to.refresh_from_db()
    assert to.paused_at is not None
    assert "410 Gone" in to.paused_why
    kinds = [each.kind for each in journal.read(0) if each.topic == "deliveries"]
    assert kinds == ["delivery.failed", "channel.paused"]


def test_a_connection_that_is_reset_is_tried_again(receiver: Receiver) -> None:
    receiver.answers = [Answer(act="reset"), Answer()]
    delivery = enqueue(webhook(receiver.url))
    send()
    assert state(delivery) == "pending"
    assert "127.0.0.1" in delivery.last_error
    send(10)
    assert state(delivery) == "delivered"


def test_a_receiver_that_hangs_is_given_up_and_holds_up_no_other(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerting.channels.http.ATTEMPT_SECONDS", PATIENCE)
    with running_receiver(Answer(act="hang")) as silent:
        stuck = enqueue(webhook(silent.url))
        quick = enqueue(webhook(receiver.url))
        assert send() == 2
        assert state(quick) == "delivered"
        assert state(stuck) == "pending"
        assert f"{PATIENCE:g} s while waiting for 127.0.0.1" in stuck.last_error
        assert quick.ended_at is not None
        assert quick.ended_at < stuck.next_at - timedelta(seconds=5)
        assert stuck.tries.get().request["url"] == silent.url


def test_a_private_address_is_called_by_setting_alone(receiver: Receiver) -> None:
    delivery = enqueue(webhook(receiver.url))
    with config.override(resilience_allow_private_targets=False):
        send()
    assert state(delivery) == "failed"
    assert "RESILIENCE_ALLOW_PRIVATE_TARGETS" in delivery.last_error
    assert receiver.received == []


def test_an_end_does_not_overtake_its_beginning(receiver: Receiver) -> None:
    receiver.answers = [Answer(500), Answer()]
    to, its_group = webhook(receiver.url), group()
    began = enqueue(to, message(title="began"), group=its_group)
    assert send() == 1
    ended = enqueue(to, message(title="ended", status="resolved"), group=its_group, now=at(1))
    assert send(2) == 0
    assert state(ended) == "pending"
    assert send(20) == 2
    assert [each.document["title"] for each in receiver.received] == ["began", "began", "ended"]
    assert {state(began), state(ended)} == {"delivered"}


def test_what_is_too_old_is_given_up(receiver: Receiver) -> None:
    receiver.answers = [Answer(500)]
    delivery = enqueue(webhook(receiver.url))
    for seconds in (0, 100, 3600):
        send(seconds)
    assert state(delivery) == "pending"
    assert send(7300) == 0
    assert state(delivery) == "failed"
    assert "in time" in delivery.last_error
    assert Channel.objects.get().paused_at is None or Channel.objects.get().failures < 5
