"""Receivers that ask to be left alone for a while are, and one message that fails keeps no other."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.channels.base import Outcome
from alerting.choices import AttemptOutcome, Purpose
from alerting.domain.retrying import ASKED_AHEAD, LONGEST_ASKED, left_alone_until
from alerting.models import Channel, Delivery
from alerting.services import channels
from alerting.services.sending import deliveries_send, delivery_send_now
from alerting.services.sending.attempts import Attempted
from alerting.services.sending.claims import Claim, claim_due
from alerting.services.sending.marking import attempt_mark
from alerting.services.sending.pausing import channel_leave_alone
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind
from tests.alerting.delivery.receivers import Answer, Receiver
from tests.alerting.delivery.scene import NOW, SECRET, at, enqueue, message, webhook

ASKED = 20.0
BUSY = Answer(429, (("Retry-After", f"{ASKED:g}"),))
NOWHERE = "http://127.0.0.1:9/"
TAKEN = Outcome(AttemptOutcome.DELIVERED, status=200)
ASKS = Outcome(AttemptOutcome.RETRY, status=429, error="It answered 429", retry_after=ASKED)
FAILS = Outcome(AttemptOutcome.RETRY, status=500, error="It answered 500")


def send(seconds: float = 0) -> int:
    return deliveries_send(now=at(seconds), rng=random.Random(1))


def mark(claim: Claim, outcome: Outcome, seconds: float, *, took: float = 0.5) -> None:
    attempt_mark(
        claim=claim, attempted=Attempted(outcome, took), now=at(seconds), rng=random.Random(1)
    )


def claimed(seconds: float) -> dict[str, Claim]:
    return {each.delivery.message["title"]: each for each in claim_due(now=at(seconds))}


def waiting(to: Channel, *titles: str) -> list[Delivery]:
    return [enqueue(to, message(title=each)) for each in titles]


def fresh(*deliveries: Delivery | Channel) -> None:
    for each in deliveries:
        each.refresh_from_db()


def test_no_retry_is_sooner_than_its_receiver_asked_that_takes_every_other_message(
    receiver: Receiver,
) -> None:
    receiver.answers = [BUSY, Answer()] * 60
    to = webhook(receiver.url)
    waiting(to, *(f"message {n}" for n in range(14)))
    seconds = 0.0
    while Delivery.objects.exclude(state="delivered").exists():
        send(seconds)
        seconds += 7
        assert seconds < 1_000
    asked = 0
    for delivery in Delivery.objects.prefetch_related("tries"):
        for former, later in itertools.pairwise(delivery.tries.order_by("n")):
            assert later.at - former.at >= timedelta(seconds=ASKED)
            asked += 1
    assert asked > 5


def test_a_message_on_its_way_when_the_receiver_asks_for_a_pause_shortens_it_not() -> None:
    first, second, _ = waiting(webhook(NOWHERE), "first", "second", "third")
    Delivery.objects.exclude(pk__in=[first.pk, second.pk]).update(next_at=at(0.5))
    mine = claimed(0)
    assert set(mine) == {"first", "second"}
    mark(mine["first"], ASKS, 1)
    mark(mine["second"], TAKEN, 2, took=2)
    fresh(first)
    assert first.next_at >= at(1 + ASKED)
    assert not claimed(ASKED)
    # It tells nothing of what the receiver does since: one alone at first.
    assert len(claimed(1 + ASKED * 1.4)) == 1


def test_a_receiver_that_works_again_gets_what_failed_soon_but_no_sooner_than_it_asked() -> None:
    to = webhook(NOWHERE)
    waiting(to, "first", "second")
    Delivery.objects.update(attempts=7)
    mine = claimed(0)
    mark(mine["first"], FAILS, 1)
    mark(mine["second"], ASKS, 2)
    enqueue(to, message(title="probe"), now=at(3))
    probe = claimed(2 + ASKED)["probe"]
    # Another one asked for more while it was on its way.
    channel_leave_alone(Channel.objects.get(), 60, at(30))
    mark(probe, TAKEN, 31, took=1)
    assert not claimed(89)
    assert set(claimed(90)) == {"first", "second"}


def test_what_failed_alone_keeps_its_pause_whatever_else_arrives(receiver: Receiver) -> None:
    receiver.answers = [Answer(500), Answer()]
    to = webhook(receiver.url)
    (failed,) = waiting(to, "failed")
    Delivery.objects.update(attempts=7)
    send()
    fresh(failed)
    due = failed.next_at
    assert due >= at(600)
    for seconds in (100, 200, 300):
        other = enqueue(to, now=at(seconds))
        send(seconds)
        fresh(failed, other)
        assert (other.state, failed.state, failed.next_at) == ("delivered", "pending", due)


def test_a_test_that_ends_a_pause_lets_go_what_waits_once_the_receiver_wants_it(
    receiver: Receiver,
) -> None:
    to = webhook(receiver.url, failures=9, failing_since=at(-900), paused_at=NOW, paused_why="x")
    Channel.objects.update(not_before=at(600))
    (late,) = waiting(to, "late")
    Delivery.objects.update(next_at=at(3_000))
    test = enqueue(to, purpose=Purpose.TEST)
    assert delivery_send_now(delivery_id=test.pk, now=at(1))
    fresh(to)
    assert (to.paused_at, to.not_before) == (None, at(600))
    assert send(500) == 0
    assert send(601) == 1
    fresh(late)
    assert late.state == "delivered"


def test_a_test_that_is_answered_with_a_wish_to_be_left_alone_is_heard(receiver: Receiver) -> None:
    receiver.answers = [Answer(429, (("Retry-After", "600"),)), Answer()]
    to = webhook(receiver.url)
    test = enqueue(to, purpose=Purpose.TEST)
    assert delivery_send_now(delivery_id=test.pk, now=NOW)
    enqueue(to)
    assert send(500) == 0
    assert send(700) == 1


@pytest.mark.parametrize("moves", [True, False], ids=["moved", "renamed"])
def test_what_one_receiver_asked_for_holds_for_no_other(receiver: Receiver, moves: bool) -> None:
    receiver.answers = [Answer(429, (("Retry-After", "3000"),)), Answer()]
    to = webhook(f"{receiver.url}/former")
    waiting(to, "waiting")
    send()
    url = f"{receiver.url}/{'new' if moves else 'former'}"
    changes = {"name": "renamed", "target": {**to.target, "url": url, "secret": SECRET}}
    anna = Actor(ActorKind.USER, "anna")
    channels.channel_update(channel_id=to.pk, changes=changes, actor=anna, now=at(60))
    assert send(100) == int(moves)
    assert Delivery.objects.get().state == ("delivered" if moves else "pending")


def test_what_was_on_its_way_when_a_person_paused_its_channel_ends_no_pause() -> None:
    to = webhook(NOWHERE)
    waiting(to, "under way")
    claim = claimed(0)["under way"]
    Channel.objects.update(paused_at=at(1), paused_why="anna paused it")
    mark(claim, TAKEN, 2, took=2)
    fresh(to)
    assert to.paused_at == at(1)
    assert Delivery.objects.get().state == "delivered"


def test_what_was_not_tried_yet_goes_when_others_on_their_way_arrive() -> None:
    """A receiver that fails now and then is not left alone for it."""
    to = webhook(NOWHERE)
    waiting(to, "bad", "good", "untried")
    Delivery.objects.filter(message__title="untried").update(next_at=at(0.5))
    mine = claimed(0)
    mark(mine["bad"], FAILS, 1)
    assert not claimed(2)
    mark(mine["good"], TAKEN, 2, took=2)
    assert set(claimed(3)) == {"untried"}


def test_a_message_that_always_fails_holds_up_no_other_for_its_own_long_pause() -> None:
    to = webhook(NOWHERE)
    bad, good = waiting(to, "bad", "good")
    Delivery.objects.filter(pk=bad.pk).update(attempts=9)
    Delivery.objects.filter(pk=good.pk).update(next_at=at(0.5))
    mark(claimed(0)["bad"], FAILS, 1)
    fresh(bad)
    assert bad.next_at >= at(600)
    assert not claimed(2)
    assert set(claimed(10)) == {"good"}


def test_a_channel_that_failed_is_tried_with_what_has_failed_the_least() -> None:
    to = webhook(NOWHERE, failures=1)
    bad, _ = waiting(to, "bad", "good")
    Delivery.objects.filter(pk=bad.pk).update(attempts=3)
    assert set(claimed(1)) == {"good"}


@pytest.mark.parametrize("ahead", [2 * LONGEST_ASKED, 5 * 3_600, 30 * 86_400])
def test_a_clock_that_was_ahead_leaves_no_receiver_alone_for_longer(ahead: float) -> None:
    to = webhook(NOWHERE, failures=1, failing_since=at(ahead))
    Channel.objects.update(not_before=at(ahead))
    waiting(to, "waiting")
    claim = claimed(0)["waiting"]
    # Nor does it take what arrives for older than the failure.
    mark(claim, TAKEN, 1)
    fresh(to)
    assert to.failures == 0
    waiting(to, "failed")
    Channel.objects.update(failing_since=at(ahead), failures=1)
    mark(claimed(2)["failed"], FAILS, 3)
    fresh(to)
    assert to.failing_since == at(3)


@given(
    asked=st.none() | st.floats(0, 1e9),
    before=st.none() | st.floats(-LONGEST_ASKED, 2 * LONGEST_ASKED),
    heard=st.floats(0, 1e5),
)
def test_what_was_asked_stands_until_it_is_past_and_is_never_endless(
    asked: float | None, before: float | None, heard: float
) -> None:
    now = at(heard)
    stood = now + timedelta(seconds=before) if before is not None else None
    until = left_alone_until(asked, before=stood, now=now)
    if asked:
        assert until is not None
        assert until >= now + timedelta(seconds=min(asked, LONGEST_ASKED))
    if stood is not None and now < stood <= now + ASKED_AHEAD:
        assert until is not None
        assert until >= stood
    assert until is None or until <= now + ASKED_AHEAD
