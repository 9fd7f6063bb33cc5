"""What each kind of channel sends, and what it makes of the answers."""

from __future__ import annotations

import base64
import random
from typing import Any
from uuid import UUID

import orjson
import pytest
import standardwebhooks
import time_machine

from alerting.channels import Envelope, kind_named
from alerting.channels.email.composing import mail_of
from alerting.channels.http import retry_after
from alerting.channels.webhook.body import MOST_BYTES
from alerting.channels.webhook.signing import secret_bytes, secret_new
from alerting.choices import ChannelKind, Purpose
from alerting.models import Channel, Delivery
from alerting.services.sending import deliveries_send, delivery_send_now
from health.checks.options import OptionError
from tests.alerting.delivery.receivers import Answer, Receiver
from tests.alerting.delivery.scene import (
    INCIDENT,
    NOW,
    SECRET,
    channel,
    enqueue,
    message,
    told,
    webhook,
)

KEY = "0123456789abcdef0123456789abcdef"


def send(to: Channel, what: Any = None, **more: Any) -> Delivery:
    delivery = enqueue(to, what, **more)
    deliveries_send(now=NOW, rng=random.Random(1))
    delivery.refresh_from_db()
    return delivery


def test_slack_gets_a_card_whose_words_are_no_markup(receiver: Receiver) -> None:
    to = channel("slack", {"url": f"{receiver.url}/services/T0/B0/very-secret"})
    delivery = send(to, message(title="a <b> & c", alerts=(told(summary="x < y"),)))
    assert delivery.state == "delivered"
    card = receiver.received[0].document
    assert "Page: a &lt;b&gt; &amp; c" in card["text"]
    (attachment,) = card["attachments"]
    assert attachment["title"] == "x &lt; y"
    assert "<https://runbooks.example.com/breaker|What to do>" in attachment["text"]
    assert "The first alert of its group." in attachment["footer"]
    # The whole URL is the secret.
    assert "very-secret" not in str(delivery.tries.get().request)


def test_nobody_is_called_by_what_stands_in_texts(receiver: Receiver) -> None:
    alert = told(
        summary="@channel, <!here> and ops@here.example", runbook_url="https://x.example/|Log in"
    )
    send(
        channel("slack", {"url": f"{receiver.url}/services/T0/B0/x"}),
        message(title="@everyone", alerts=(alert,)),
    )
    card = receiver.received[0].document
    assert "Page: @\u200beveryone" in card["text"]
    (attachment,) = card["attachments"]
    assert attachment["title"].startswith("@\u200bchannel, &lt;\u200b!here&gt; and ops@")
    assert "<https://x.example/%7CLog in|What to do>" in attachment["text"]


def test_cards_list_ten_alerts_and_count_the_rest(receiver: Receiver) -> None:
    many = message(alerts=tuple(told(summary=f"no. {n}") for n in range(40)), left_out=3)
    send(channel("slack", {"url": receiver.url}), many)
    send(channel("teams", {"url": receiver.url}), many)
    slack, teams = receiver.received
    assert len(slack.document["attachments"]) == 11
    assert slack.document["attachments"][-1]["text"] == "And 33 more."
    assert "And 33 more" in teams.body.decode().replace("\\", "")


def test_teams_gets_an_adaptive_card_that_fits(receiver: Receiver) -> None:
    receiver.answers = [Answer(202)]
    to = channel("teams", {"url": receiver.url})
    long = message(alerts=tuple(told(details="é" * 1_400, summary="*x*") for _ in range(10)))
    assert send(to, long).state == "delivered"
    request = receiver.received[0]
    assert len(request.body) < 28_000
    (attachment,) = request.document["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert card["type"] == "AdaptiveCard"
    assert card["actions"][0]["url"] == message().url
    assert any(block["text"] == r"\*x\*" for block in card["body"])
    assert any("more" in block["text"] for block in card["body"])


def test_pagerduty_opens_and_resolves_one_alert_for_a_group(receiver: Receiver) -> None:
    receiver.answers = [Answer(202, body=b'{"status":"success"}')]
    to = channel("pagerduty", {"routing_key": KEY, "url": receiver.url})
    delivery = send(to)
    send(to, message(status="resolved"))
    opened, resolved = (each.document for each in receiver.received)
    assert (opened["event_action"], resolved["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == resolved["dedup_key"] == "default:breaker-open"
    assert opened["routing_key"] == KEY
    assert opened["payload"]["severity"] == "critical"
    assert opened["payload"]["source"] == "planner"
    assert KEY not in str(delivery.tries.get().request)


def test_chats_and_pagers_say_the_cause_and_the_impact_of_the_incident(receiver: Receiver) -> None:
    told_of = message(incidents=(INCIDENT,))
    send(channel("slack", {"url": receiver.url}), told_of)
    send(channel("teams", {"url": receiver.url}), told_of)
    send(channel("pagerduty", {"routing_key": KEY, "url": receiver.url}), told_of)
    slack, teams, pagerduty = (each.document for each in receiver.received)
    cause = f"{INCIDENT.cause} Also: {INCIDENT.evidence[0]}."

    first, alert = slack["attachments"]
    assert first["title"] == "Incident: Graph &lt;fails&gt;"
    assert f"Probable cause: {cause}\nImpact: {INCIDENT.impact}\n" in first["text"]
    assert f"<{INCIDENT.url}|Open the incident>" in first["text"]
    assert alert["title"] == told().summary

    (attachment,) = teams["attachments"]
    said = [block["text"].replace("\\", "") for block in attachment["content"]["body"]]
    at = said.index("Incident: Graph <fails>")
    assert said[at + 1 : at + 3] == [f"Probable cause: {cause}", f"Impact: {INCIDENT.impact}"]
    assert f"[Open the incident]({INCIDENT.url})" in said
    assert at < said.index(told().summary)

    details = pagerduty["payload"]["custom_details"]
    assert details["probable_cause"] == cause
    assert (details["impact"], details["incident"]) == (INCIDENT.impact, INCIDENT.url)


NOTE = "Sent here because the channel ops failed"


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("slack", {"url": "{url}/services/T0/B0/very-secret"}),
        ("teams", {"url": "{url}/workflows/very-secret"}),
        ("pagerduty", {"routing_key": KEY, "url": "{url}/v2/enqueue"}),
        ("webhook", {"url": "{url}/hook", "secret": SECRET}),
    ],
)
def test_what_goes_in_place_of_another_channel_says_so_in_each_form(
    receiver: Receiver, kind: str, target: dict[str, str]
) -> None:
    to = channel(kind, {name: each.format(url=receiver.url) for name, each in target.items()})
    send(to, message(note=NOTE))
    assert NOTE in str(receiver.received[0].document)


def test_mail_in_place_of_another_channel_says_so_in_both_of_its_parts() -> None:
    envelope = Envelope(
        UUID(int=1), message(note=NOTE), Purpose.ALERTS, "mail", created_at=NOW, at=NOW
    )
    mail = mail_of(envelope, sender="site@example.com", to=["ann@example.com"])
    parts = [part.get_content() for part in mail.walk() if not part.is_multipart()]
    assert len(parts) == 2
    assert parts[0].startswith(NOTE)
    assert NOTE in parts[1]


def test_a_webhook_has_the_cause_among_the_annotations_of_the_alerts_of_that_incident(
    receiver: Receiver,
) -> None:
    other = told(incident_url="http://127.0.0.1:8000/incidents/2")
    send(webhook(receiver.url), message(incidents=(INCIDENT,)))
    send(webhook(receiver.url), message(alerts=(told(), other), incidents=(INCIDENT,)))
    one, both = (each.document for each in receiver.received)
    common = one["commonAnnotations"]
    assert common["probable_cause"].startswith(INCIDENT.cause)
    assert (common["impact"], common["incident_url"]) == (INCIDENT.impact, INCIDENT.url)
    assert one["incidents"][0]["evidence"] == list(INCIDENT.evidence)
    # Texts alone, as Alertmanager's receivers read them.
    assert {type(text) for text in common.values()} == {str}
    assert "probable_cause" in both["alerts"][0]["annotations"]
    assert "probable_cause" not in both["alerts"][1]["annotations"]
    assert "probable_cause" not in both["commonAnnotations"]


@pytest.mark.parametrize(
    ("ending", "said"), [(202, ""), (500, "Close the alert of this test at PagerDuty yourself")]
)
def test_a_test_has_a_key_of_its_own_at_pagerduty_and_closes_what_it_opened(
    receiver: Receiver, ending: int, said: str
) -> None:
    receiver.answers = [Answer(202), Answer(ending)]
    to = channel("pagerduty", {"routing_key": KEY, "url": receiver.url})
    plain = message(alerts=(), why=None, severity="info")
    delivery = enqueue(to, plain, purpose=Purpose.TEST)
    delivery_send_now(delivery_id=delivery.pk, now=NOW)
    opened, closed = (each.document for each in receiver.received)
    assert opened["dedup_key"] == closed["dedup_key"] == str(delivery.pk)
    assert (opened["event_action"], closed["event_action"]) == ("trigger", "resolve")
    assert opened["payload"]["severity"] == "info"
    delivery.refresh_from_db()
    assert delivery.state == "delivered"
    assert delivery.last_error.startswith(said)
    assert bool(delivery.last_error) == bool(said)


def test_a_test_that_pagerduty_refuses_closes_nothing(receiver: Receiver) -> None:
    receiver.answers = [Answer(400)]
    to = channel("pagerduty", {"routing_key": KEY, "url": receiver.url})
    delivery = enqueue(to, message(alerts=(), why=None), purpose=Purpose.TEST)
    delivery_send_now(delivery_id=delivery.pk, now=NOW)
    assert [each.document["event_action"] for each in receiver.received] == ["trigger"]


def test_while_a_secret_is_changed_both_the_old_and_the_new_one_verify(receiver: Receiver) -> None:
    new = secret_new()
    target = {
        "url": receiver.url,
        "secret": new,
        "previous_secret": SECRET,
        "previous_until": "2026-11-26T13:00:00+00:00",
    }
    to = channel("webhook", target)
    with time_machine.travel(NOW, tick=False):
        send(to)
        (request,) = receiver.received
        for secret in (new, SECRET):
            standardwebhooks.Webhook(secret).verify(request.body, request.headers)
    with time_machine.travel("2026-11-26T13:00:01+00:00", tick=False):
        Delivery.objects.update(state="pending", lease_until=None)
        from datetime import UTC, datetime

        deliveries_send(now=datetime.now(UTC), rng=random.Random(1))
        later = receiver.received[-1]
        standardwebhooks.Webhook(new).verify(later.body, later.headers)
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(SECRET).verify(later.body, later.headers)


def test_secrets_in_headers_and_answers_are_not_kept(receiver: Receiver) -> None:
    receiver.answers = [Answer(200, body=b"you sent Bearer tok-en-1234")]
    to = channel(
        "webhook",
        {"url": receiver.url, "secret": SECRET, "headers": {"Authorization": "Bearer tok-en-1234"}},
    )
    kept = send(to).tries.get()
    assert receiver.received[0].headers["authorization"] == "Bearer tok-en-1234"
    assert "tok-en-1234" not in f"{kept.request} {kept.answer}"


@pytest.mark.parametrize(
    "written",
    ["HTTP://127.0.0.1:{port}{path}", "http://127.0.0.1:{port}{path}&x=%C3%a9%2d"],
)
def test_a_secret_url_is_hidden_also_as_the_client_and_the_server_write_it(
    receiver: Receiver, written: str
) -> None:
    path = "/workflows/0123456789abcdef/invoke?api-version=1&sig=Zm9vYmFyYmF6cXV4"
    receiver.answers = [
        Answer(404, body=f"Cannot POST {path}: workflow 0123456789abcdef is gone".encode())
    ]
    url = written.format(port=receiver.url.rpartition(":")[2], path=path)
    kept = send(channel("teams", {"url": url})).tries.get()
    assert kept.outcome == "permanent"
    for secret in ("0123456789abcdef", "Zm9vYmFyYmF6cXV4"):
        assert secret in receiver.received[0].path
        assert secret not in f"{kept.request} {kept.answer} {kept.error}"


def test_facts_with_numbers_beyond_64_bits_are_sent(receiver: Receiver) -> None:
    facts = {"value": 10**20, "each": [{"n": -(10**300)}], "small": 3}
    delivery = send(webhook(receiver.url), message(alerts=(told(facts=facts),)))
    assert delivery.state == "delivered"
    sent = receiver.received[0].document["alerts"][0]["facts"]
    assert sent == {"value": 1e20, "each": [{"n": -1e300}], "small": 3}


def test_a_body_that_would_be_too_large_says_how_much_it_leaves_out(receiver: Receiver) -> None:
    many = tuple(told(facts={"text": "x" * 10_000}) for _ in range(64))
    send(webhook(receiver.url), message(alerts=many, left_out=1))
    request = receiver.received[0]
    assert len(request.body) <= MOST_BYTES
    assert request.document["truncatedAlerts"] + len(request.document["alerts"]) == 65


# Of a storm, in which each text is as long as it may be, and of what grows most when it is written.


@pytest.mark.parametrize(
    ("kind", "target", "option"),
    [
        ("webhook", {"url": "ftp://x", "secret": SECRET}, "url"),
        ("webhook", {"url": "http://x", "secret": "plain"}, "secret"),
        ("webhook", {"url": "http://x", "secret": "whsec_!!"}, "secret"),
        ("webhook", {"url": "http://x", "secret": "whsec_c2hvcnQ="}, "secret"),
        (
            "webhook",
            {"url": "http://x", "secret": SECRET, "headers": {"Webhook-Id": "1"}},
            "headers",
        ),
        ("webhook", {"url": "http://x", "secret": SECRET, "colour": 1}, "colour"),
        ("slack", {}, "url"),
        ("slack", {"url": "hooks.slack.com"}, "url"),
        ("teams", {"url": "http://x", "ca": "none"}, "ca"),
        ("pagerduty", {"routing_key": "short"}, "routing_key"),
        ("email", {"to": []}, "to"),
        ("email", {"to": ["nobody"]}, "to"),
        ("email", {"to": ["a@b.example\nBcc: c@d.example"]}, "to"),
        ("email", {"to": ["a@b.example"]}, "smtp_url"),
        ("email", {"to": ["a@b.example"], "smtp_url": "http://x"}, "smtp_url"),
        ("email", {"to": ["a@b.example"], "smtp_url": "smtp://x", "sender": "x"}, "sender"),
        ("apprise", {"url": "no url"}, "url"),
    ],
)
def test_a_wrong_target_is_refused_by_the_name_of_its_option(
    kind: str, target: dict[str, Any], option: str
) -> None:
    known = kind_named(kind)
    assert known is not None
    with pytest.raises(OptionError) as refused:
        known.parse(target)
    assert refused.value.option == option
    assert SECRET not in str(refused.value)


def test_each_kind_of_channel_has_its_folder() -> None:
    for name in ChannelKind.values:
        assert kind_named(name) is not None


def test_new_secrets_are_of_the_form_that_receivers_expect() -> None:
    secret = secret_new()
    assert len(secret_bytes(secret)) == 32
    assert base64.b64decode(secret.removeprefix("whsec_")) == secret_bytes(secret)
    assert secret != secret_new()
    assert orjson.loads(orjson.dumps(secret)) == secret


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Thu, 26 Nov 2026 12:01:00 GMT", 60.0),
        ("Thu, 26 Nov 2026 11:00:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("9" * 40, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after(text, now=NOW) == seconds
