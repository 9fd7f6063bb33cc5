"""What must be looked at now waits for nothing that may wait: in groups, in the outbox, in a storm."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerting.models import Delivery, Incident
from alerting.services import incident_timeline
from alerting.services.incident_follow import incidents_follow
from alerting.services.incident_timeline import timelines_follow
from alerting.services.sending import deliveries_send
from alerting.services.sending.claims import MOST_AT_ONCE, PER_CHANNEL, claim_due
from tests.alerting.delivery.receivers import Receiver
from tests.alerting.delivery.scene import at, enqueue, group, message, webhook
from tests.alerting.pipeline.scene import WAIT, Scene, route_made

NOWHERE = "http://127.0.0.1:9/"


def claimed(seconds: float = 100, limit: int = MOST_AT_ONCE) -> set[Delivery]:
    return {each.delivery for each in claim_due(now=at(seconds), limit=limit)}


def waiting(count: int, **more: str) -> None:
    """So many messages of a channel each that have waited for longer."""
    for n in range(count):
        enqueue(webhook(NOWHERE), message(**more), now=at(n))


@pytest.mark.parametrize(
    "less", [{"severity": "ticket"}, {"status": "resolved"}], ids=["ticket", "end of a page"]
)
def test_a_page_that_fires_is_sent_before_what_has_waited_for_longer(less: dict[str, str]) -> None:
    waiting(4, **less)
    page = enqueue(webhook(NOWHERE), now=at(50))
    assert page in claimed(limit=2)


def test_a_page_is_first_of_its_channel_also_where_this_is_tried_with_one_message_alone() -> None:
    to = webhook(NOWHERE, failures=1)
    for n in range(3):
        enqueue(to, message(severity="ticket"), now=at(n))
    page = enqueue(to, now=at(50))
    assert claimed() == {page}


def test_a_page_takes_no_place_from_what_it_must_wait_for_itself() -> None:
    """Of one group the order stands, and what stands before a page is as urgent as this."""
    waiting(4, severity="ticket")
    to, its_group = webhook(NOWHERE), group()
    over = enqueue(to, message(status="resolved"), group=its_group, now=at(40))
    page = enqueue(to, group=its_group, now=at(50))
    # Another channel's message of the group holds up no page.
    other = enqueue(webhook(NOWHERE), message(status="resolved"), group=its_group, now=at(45))
    assert claimed(limit=1) == {over}
    Delivery.objects.filter(pk=over.pk).update(state="delivered")
    assert claimed(limit=1) == {page}
    assert other in claimed()


def test_of_each_group_the_oldest_alone_goes_and_what_is_of_none_waits_for_nothing() -> None:
    to, others = webhook(NOWHERE), [group() for _ in range(2)]
    first = {enqueue(to, message(severity="ticket"), group=each, now=at(5)) for each in others}
    for each in others:
        enqueue(to, message(severity="ticket"), group=each, now=at(6))
    alone = {enqueue(to, message(severity="ticket"), now=at(n)) for n in (7, 8, 9)}
    assert claimed() == first | alone


def test_a_claim_goes_through_what_waits_once_and_not_again_for_each_of_it() -> None:
    """That takes seconds where a channel recovers and thousands are due."""
    to, its_groups = webhook(NOWHERE), [group() for _ in range(10)]
    messages = [message(severity=each).to_json() for each in ("page", "ticket")]

    def burst() -> None:
        Delivery.objects.bulk_create(
            Delivery(
                channel=to, channel_name=to.name, purpose="alerts", message=messages[n % 2],
                group=its_groups[n % 10] if n < 150 else None, next_at=at(n / 10),
                created_at=at(n / 10),
            )
            for n in range(300)
        )  # fmt: skip

    burst()
    with CaptureQueriesContext(connection) as asked:
        assert len(claimed(limit=5)) == 5
    claim = asked[0]["sql"]
    Delivery.objects.all().delete()
    # What is counted between two bursts is a table of many pages with nothing on them.
    assert gone_through(burst, claim) < 5 * 300
    assert gone_through(lambda: None, claim) < 5 * 300


def gone_through(fill: Callable[[], None], claim: str) -> float:
    """Through how many messages a claim goes where the table was looked at before it was filled."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE alerting_delivery")
        fill()
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {claim}")
        ((answer,),) = cursor.fetchall()
    Delivery.objects.update(state="pending", lease_until=None)
    (plan,) = json.loads(answer) if isinstance(answer, str) else answer
    return sum(rows_of(plan["Plan"]))


def rows_of(node: dict[str, Any]) -> Iterator[float]:
    """How many messages each step of a plan went through, in all its runs."""
    if node.get("Relation Name") == "alerting_delivery" or "CTE Name" in node:
        each_run = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        yield node["Actual Loops"] * each_run
    for each in node.get("Plans", []):
        yield from rows_of(each)


def test_a_page_in_a_storm_is_told_apart_and_first_while_accounts_are_still_behind(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_timeline, "TURN_SECONDS", 0)
    monkeypatch.setattr(incident_timeline, "AT_ONCE", 3)
    route_made("all", webhook(receiver.url))
    scene = Scene()
    for n in range(30):
        scene.fire("slow", service=f"s{n}", severity="ticket")
    scene.turn()
    waited = len(scene.wait(WAIT))
    assert waited > PER_CHANNEL
    incidents_follow(now=scene.now)
    timelines_follow(now=scene.now)
    assert Incident.objects.filter(cursor=0).count() == 27
    scene.fire("down", service="shop")
    scene.turn()
    ((_, page),) = scene.wait(WAIT)
    assert page.why is not None
    assert page.why.group_labels == {"service": "shop"}
    assert deliveries_send(now=scene.now, rng=random.Random(1)) == waited + 1
    told = [each.document["alerts"][0]["labels"]["alertname"] for each in receiver.received]
    assert told.count("down") == 1
    assert told.index("down") < PER_CHANNEL
