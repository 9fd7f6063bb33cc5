"""Channels that fail and messages that are lost are alerts: shown, told by others, and over one day."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from alerting.choices import Purpose
from alerting.models import Alert, Channel, Delivery, Incident, Route
from alerting.services import channels
from alerting.services.dispatch import alerts_dispatch
from alerting.services.incident_follow import incidents_follow
from alerting.services.rules.evaluate import rules_evaluate
from alerting.services.rules.shipped import rules_ship
from alerting.services.sending import deliveries_send
from alerting.services.shipped_routing import routing_ship
from alerting.services.silences import silence_create
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind
from tests.alerting.delivery.receivers import Answer, Receiver, running_receiver
from tests.alerting.delivery.scene import enqueue, message, told, webhook

DEAD = "http://127.0.0.1:9/"
MINUTE = timedelta(minutes=1)
# Longer than any group of alerts waits until it is told again.
SOON = 10 * MINUTE
OVER = 90 * MINUTE
ANNA = Actor(ActorKind.USER, "anna")


@pytest.fixture(autouse=True)
def shipped() -> None:
    """The site as it comes, its rules begun."""
    routing_ship()
    rules_ship(now=datetime.now(UTC))
    rules_evaluate(now=datetime.now(UTC))


def now() -> datetime:
    return datetime.now(UTC)


def send(after: timedelta = timedelta()) -> None:
    deliveries_send(now=now() + after, rng=random.Random(1))


def turn(after: timedelta = MINUTE) -> None:
    """Rules are evaluated, and what fires is told `after` a while."""
    rules_evaluate(now=now() + after)
    alerts_dispatch(now=now())
    alerts_dispatch(now=now() + after)
    send(after)


def paused(name: str = "dead", **more: Any) -> Channel:
    """A channel that has kept failing until it was paused; the message that failed is with others."""
    dead = webhook(DEAD, name, failures=4, failing_since=now() - 15 * MINUTE, **more)
    enqueue(dead, message(title="what it was to tell"), now=now())
    send()
    send(timedelta(seconds=1))
    dead.refresh_from_db()
    assert dead.paused_at is not None
    return dead


def failing() -> list[Alert]:
    return list(Alert.objects.filter(rule_name="channel_failing").order_by("started_at"))


def names(receiver: Receiver) -> list[tuple[str, str]]:
    """What a receiver was told of alerts, in order."""
    return [
        (each.document["status"], each.document["commonLabels"].get("alertname", ""))
        for each in receiver.received
        if each.document["type"].startswith("alert.")
    ]


def change(dead: Channel, **changes: Any) -> None:
    channels.channel_update(channel_id=dead.pk, changes=changes, actor=ANNA, now=now())


def test_a_channel_that_keeps_failing_is_an_alert_told_once_by_another_until_it_works(
    receiver: Receiver, viewer: Client
) -> None:
    webhook(receiver.url, "other")
    dead = paused()
    receiver.received.clear()
    turn()
    (alert,) = failing()
    assert (alert.state, alert.severity) == ("firing", "ticket")
    assert alert.labels["channel_id"] == str(dead.pk)
    assert alert.facts["link"] == f"/alerts/channels/{dead.pk}"
    assert alert.annotations["summary"] == "Channel dead keeps failing and is paused"
    details = alert.annotations["details"]
    assert details.startswith("It failed 5 times in a row since 20")
    assert "127.0.0.1:9 cannot be reached: it refused the connection" in details
    assert "Its alerts go by other, as it has no fallback that works" in details
    # Once: neither again for what was to go by the channel itself, nor in another form.
    turn(SOON)
    assert names(receiver) == [("firing", "channel_failing")]
    assert len(receiver.received) == 1
    assert details in receiver.received[0].document["alerts"][0]["annotations"]["description"]
    assert not Delivery.objects.filter(channel=dead, attempts__gt=1).exists()
    page = viewer.get("/alerts").content.decode()
    assert "Channel dead keeps failing and is paused" in page
    shown = viewer.get(f"/alerts/{alert.pk}").content.decode()
    assert "Its alerts go by other" in shown
    assert "Failures in a row" in shown
    assert f'<a href="/alerts/channels/{dead.pk}">Open its page</a>' in shown
    incidents_follow(now=now())
    assert Incident.objects.get().title == alert.annotations["summary"]
    # Mended: a test that arrives is its end.
    change(dead, target={"url": receiver.url, "secret": webhook(DEAD).target["secret"]})
    channels.channel_test(channel_id=dead.pk, actor=ANNA, now=now())
    turn(2 * SOON)
    (alert,) = failing()
    assert alert.state == "resolved"
    # Who stood in for it; the channel itself never heard of it.
    (told_over,) = [each for each in receiver.received if each.document["status"] == "resolved"]
    assert told_over.document["title"] == "Over: Channel dead keeps failing and is paused"


@pytest.mark.parametrize("fallback", [True, False])
def test_the_alert_of_a_route_to_the_paused_channel_alone_goes_by_another(
    receiver: Receiver, fallback: bool
) -> None:
    other = webhook(receiver.url, "other")
    dead = paused(fallback=other if fallback else None)
    route = Route.objects.get()
    route.every_channel = False
    route.save()
    route.channels.set([dead])
    receiver.received.clear()
    turn()
    assert names(receiver) == [("firing", "channel_failing")]
    (delivery,) = Delivery.objects.filter(channel=other, message__title__startswith="Channel dead")
    assert delivery.fallback_of is not None
    assert delivery.fallback_of.channel == dead
    assert delivery.fallback_of.attempts == 0
    meanwhile = "by its fallback other" if fallback else "Its alerts go by other"
    assert meanwhile in failing()[0].annotations["details"]


def test_where_no_other_channel_works_the_alert_stands_on_the_pages_and_says_so(
    viewer: Client,
) -> None:
    paused()
    turn()
    (alert,) = failing()
    assert "No other channel works: nobody is told" in alert.annotations["details"]
    assert "Channel dead keeps failing" in viewer.get("/alerts").content.decode()
    # What cannot be told of this is no further matter, also once it is too old to be sent.
    turn(timedelta(hours=3))
    assert not Alert.objects.filter(rule_name__in=["alert_lost"], state="firing").exists()


@pytest.mark.parametrize("end", ["resumed", "deleted", "switched off"])
def test_whatever_a_person_does_about_a_failing_channel_ends_its_alert(end: str) -> None:
    dead = paused()
    rules_evaluate(now=now())
    # By another name it is the same channel.
    change(dead, name="renamed")
    rules_evaluate(now=now())
    (alert,) = failing()
    assert (alert.state, alert.facts["channel"]) == ("firing", "renamed")
    if end == "resumed":
        channels.channel_resume(channel_id=dead.pk, actor=ANNA, now=now())
    elif end == "deleted":
        channels.channel_delete(channel_id=dead.pk, actor=ANNA, now=now())
    else:
        change(dead, enabled=False)
    rules_evaluate(now=now())
    (alert,) = failing()
    assert alert.state == "resolved"


def test_a_channel_that_is_switched_on_while_it_is_still_paused_is_told_of_again() -> None:
    dead = paused()
    change(dead, enabled=False)
    rules_evaluate(now=now())
    change(dead, enabled=True)
    rules_evaluate(now=now())
    assert [each.state for each in failing()] == ["resolved", "firing"]


def test_a_channel_that_a_person_pauses_is_no_alert_and_what_waits_for_it_waits(
    receiver: Receiver,
) -> None:
    webhook(receiver.url, "other")
    lame = webhook(DEAD, "lame")
    waiting = enqueue(lame, now=now())
    send()
    lame.refresh_from_db()
    assert lame.failures == 1
    channels.channel_pause(channel_id=lame.pk, reason="it moves", actor=ANNA, now=now())
    turn()
    assert failing() == []
    waiting.refresh_from_db()
    assert waiting.state == "pending"
    assert "anna paused it: it moves" in waiting.last_error
    assert receiver.received == []


def test_who_silences_the_rule_is_told_nothing_and_sees_it(receiver: Receiver) -> None:
    webhook(receiver.url, "other")
    silence_create(
        matchers={"alertname": "channel_failing"}, ends_in=3600, reason="it moves", actor=ANNA,
        now=now(),
    )  # fmt: skip
    paused()
    receiver.received.clear()
    turn()
    assert receiver.received == []
    (alert,) = failing()
    assert alert.suppressed_by[0]["kind"] == "silence"


# --- Messages that nobody got ----------------------------------------------------------------------


def test_a_page_that_every_channel_refuses_is_itself_a_page(receiver: Receiver) -> None:
    with running_receiver(Answer(400)) as choosy:
        receiver.answers = [Answer(413), Answer()]
        webhook(receiver.url, "other")
        lost = enqueue(webhook(choosy.url, "choosy"), now=now())
        send()
        send(timedelta(seconds=10))
        turn()
    (alert,) = Alert.objects.filter(rule_name="alert_lost")
    assert (alert.state, alert.severity) == ("firing", "page")
    assert alert.annotations["summary"] == f"Nobody was told: {message().title}"
    assert "sent by other nor" in alert.annotations["details"]
    assert "413" in alert.annotations["details"]
    assert alert.facts["link"] == f"/alerts/deliveries/{lost.fallbacks.get().pk}"
    # The first is the page that was refused there, too.
    assert names(receiver)[1:] == [("firing", "alert_lost")]
    assert not Alert.objects.filter(rule_name="message_lost").exists()
    rules_evaluate(now=now() + OVER)
    alert.refresh_from_db()
    assert alert.state == "resolved"


def test_reports_that_are_lost_are_told_of_once_an_hour(receiver: Receiver) -> None:
    with running_receiver(Answer(400)) as choosy:
        to = webhook(choosy.url, "choosy")
        for n in range(3):
            enqueue(to, message(title=f"week {n}"), purpose=Purpose.REPORT, now=now())
        send()
        webhook(receiver.url, "other")
        turn()
        turn(SOON)
    (alert,) = Alert.objects.filter(rule_name="message_lost")
    assert (alert.severity, alert.facts["count"]) == ("ticket", 3)
    assert alert.annotations["summary"].startswith("A message is lost: week ")
    assert names(receiver) == [("firing", "message_lost")]
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("what", "rule"),
    [
        ({}, "alert_lost"),
        ({"severity": "ticket"}, "message_lost"),
        ({"status": "resolved"}, "message_lost"),
        ({"alerts": (told(rule="channel_failing"),)}, ""),
        ({"alerts": (told(rule="channel_failing"), told())}, "alert_lost"),
    ],
)
def test_what_is_lost_says_how_soon_somebody_must_look(what: dict[str, Any], rule: str) -> None:
    with running_receiver(Answer(400)) as choosy:
        enqueue(webhook(choosy.url), message(**what), now=now())
        send()
    rules_evaluate(now=now())
    assert [each.rule_name for each in Alert.objects.all()] == ([rule] if rule else [])


def test_what_cannot_be_told_about_telling_goes_round_in_no_circle() -> None:
    with running_receiver(Answer(400)) as choosy:
        webhook(choosy.url)
        enqueue(Channel.objects.get(), now=now())
        send()
        for after in (MINUTE, SOON, OVER, OVER + SOON, 2 * OVER, 3 * OVER):
            turn(after)
    lost = Alert.objects.filter(rule_name__in=["alert_lost", "message_lost"])
    assert [(each.rule_name, each.state) for each in lost] == [("alert_lost", "resolved")]
    # The page, and that it was lost: whoever never heard of that hears of no end.
    assert len(choosy.received) == 2


def test_a_test_that_fails_is_no_alert(receiver: Receiver) -> None:
    receiver.answers = [Answer(400)]
    to = webhook(receiver.url)
    channels.channel_test(channel_id=to.pk, actor=ANNA, now=now())
    rules_evaluate(now=now())
    assert not Alert.objects.exists()


def test_a_channel_whose_receiver_is_gone_is_refused_for_good_not_so_often_in_a_row(
    receiver: Receiver,
) -> None:
    receiver.answers = [Answer(410)]
    enqueue(webhook(receiver.url, "gone"), now=now())
    send()
    rules_evaluate(now=now() + MINUTE)
    (alert,) = failing()
    assert alert.annotations["summary"] == "Channel gone is refused for good and is paused"
    details = alert.annotations["details"]
    assert details.startswith("Its receiver has said for good that nobody listens there, since 20")
    assert ": It answered 410 Gone. No other channel works" in details
    assert "in a row" not in details
