"""A sender that is killed between sending and writing down, and two that send at the same time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections

from alerting import tasks
from alerting.channels.base import Outcome
from alerting.choices import AttemptOutcome
from alerting.models import Delivery
from alerting.services.sending import deliveries_send, failing, sending_begin
from alerting.services.sending.attempts import Attempted, attempt
from alerting.services.sending.carrying import Carried, carried
from alerting.services.sending.claims import LEASE, Claim, claim_due
from alerting.services.sending.marking import attempt_mark
from alerting.services.sending.turn import _send
from resilience_site.core import partitions
from tests.alerting.delivery.receivers import Answer, Received, Receiver
from tests.alerting.delivery.scene import NOW, enqueue, group, webhook
from tests.livesite import ROOT, _test_database_url

pytestmark = pytest.mark.django_db(transaction=True)
_SENDER = """
import django
django.setup()
from datetime import UTC, datetime
from alerting.services.sending import deliveries_send
deliveries_send(now=datetime.now(UTC))
"""


def send(now: datetime) -> int:
    return deliveries_send(now=now, rng=random.Random(1))


def test_a_sender_killed_between_sending_and_marking_loses_nothing(receiver: Receiver) -> None:
    delivery = enqueue(webhook(receiver.url), now=datetime.now(UTC))
    environment = {
        **os.environ,
        "DATABASE_URL": _test_database_url(),
        "DJANGO_SETTINGS_MODULE": "resilience_site.settings",
        "RESILIENCE_ALLOW_PRIVATE_TARGETS": "true",
    }
    sender = subprocess.Popen([sys.executable, "-c", _SENDER], cwd=ROOT, env=environment)

    def kill(request: Received) -> None:
        # The message is here, and the sender waits for the answer that it will never write down.
        receiver.first = lambda request: None
        sender.send_signal(signal.SIGKILL)

    receiver.first = kill
    assert sender.wait(150) == -signal.SIGKILL
    now = datetime.now(UTC)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("sending", 1)
    assert delivery.tries.count() == 0

    assert send(now) == 0, "the lease of a sender that may still live was not kept"
    assert send(now + LEASE + timedelta(seconds=5)) == 1
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("delivered", 2)
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(delivery.pk)
    assert first.body == second.body
    assert [each.n for each in delivery.tries.all()] == [2]


def test_a_sender_that_wakes_up_late_changes_nothing(receiver: Receiver) -> None:
    receiver.answers = [Answer(500), Answer()]
    delivery = enqueue(webhook(receiver.url))
    (late,) = claim_due(now=NOW)
    later = NOW + LEASE + timedelta(seconds=1)
    (current,) = claim_due(now=later)
    assert (late.fence, current.fence) == (1, 2)

    failed: Attempted = asyncio.run(attempt(late, NOW))
    attempt_mark(claim=late, attempted=failed, now=later, rng=random.Random(1))
    delivery.refresh_from_db()
    assert delivery.state == "sending"
    _send([current], later, random.Random(1))
    delivery.refresh_from_db()
    assert delivery.state == "delivered"
    attempt_mark(claim=late, attempted=failed, now=later, rng=random.Random(1))
    delivery.refresh_from_db()
    assert (delivery.state, delivery.last_error) == ("delivered", "")


def test_the_task_sends_beside_itself_and_begins_nothing_for_nothing(receiver: Receiver) -> None:
    assert not sending_begin()
    delivery = enqueue(webhook(receiver.url), now=datetime.now(UTC))
    tasks.deliveries_send()
    for thread in threading.enumerate():
        if thread.name == "deliveries":
            thread.join(60)
    delivery.refresh_from_db()
    assert delivery.state == "delivered"
    assert not sending_begin()


def test_many_senders_at_once_send_each_message_once(receiver: Receiver) -> None:
    to = [webhook(receiver.url) for _ in range(5)]
    wanted = {str(enqueue(each).pk) for each in to for _ in range(12)}
    partitions.forget_known()
    together = threading.Barrier(3)
    counts: list[int] = []

    def sender() -> None:
        together.wait(60)
        try:
            counts.append(send(NOW))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=sender) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(150)
    assert sum(counts) == 60
    assert sorted(each.headers["webhook-id"] for each in receiver.received) == sorted(wanted)
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}


def test_two_senders_whose_channels_fail_at_once_find_one_to_stand_in_and_tell_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nowhere = "http://127.0.0.1:9/"
    other, its_group = webhook(nowhere, "other"), group()
    for name in ("one", "two"):
        enqueue(webhook(nowhere, name, fallback=other), group=its_group)
    partitions.forget_known()
    refused = Attempted(Outcome(AttemptOutcome.PERMANENT, error="It answered 400"), 0.1)
    # Neither writes anything before both have looked, if both may look at the same time.
    together = threading.Barrier(2)

    def look(delivery: Delivery) -> Carried:
        found = carried(delivery)
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(1)
        return found

    def mark(claim: Claim) -> None:
        try:
            attempt_mark(claim=claim, attempted=refused, now=NOW, rng=random.Random(1))
        finally:
            connections.close_all()

    monkeypatch.setattr(failing, "carried", look)
    threads = [threading.Thread(target=mark, args=(each,)) for each in claim_due(now=NOW)]
    assert len(threads) == 2
    for each in threads:
        each.start()
    for each in threads:
        each.join(150)
    states = Delivery.objects.order_by("channel_name").values_list("channel_name", "state")
    assert list(states) == [("one", "failed"), ("other", "pending"), ("two", "failed")]
    note = Delivery.objects.get(channel=other).message["note"]
    assert note.endswith("failed: It answered 400.")
    assert " one and two " in note or " two and one " in note
