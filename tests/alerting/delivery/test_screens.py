"""The screens of channels and deliveries."""

from __future__ import annotations

import pytest
from django.test import Client

from alerting.models import Channel, Delivery
from alerting.services.sending import deliveries_send
from resilience_site.core.sealing import unseal
from tests.alerting.delivery.receivers import Answer, Receiver
from tests.alerting.delivery.scene import NOW, SECRET, enqueue, message, webhook
from tests.queries import pinned, queries_of


def text(client: Client, path: str, **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def test_an_empty_list_teaches_how_to_be_told(operator: Client) -> None:
    page = text(operator, "/alerts/channels")
    assert "Nobody is told yet" in page
    assert "/alerts/channels/new" in page


def test_each_kind_has_a_form_with_words(operator: Client) -> None:
    kinds = text(operator, "/alerts/channels/new")
    for kind in ("email", "webhook", "slack", "teams", "pagerduty", "apprise"):
        assert f"?kind={kind}" in kinds
        assert "Make channel" in text(operator, f"/alerts/channels/new?kind={kind}")


def test_a_webhook_is_made_by_the_form_and_its_secret_shown_once(
    operator: Client, receiver: Receiver
) -> None:
    sent = {
        "kind": "webhook",
        "name": "ops",
        "target.url": receiver.url,
        "target.secret": "",
        "target.headers": "X-Team: ops",
        "send_resolved": "on",
        "enabled": "on",
        "fallback": "",
    }
    answer = operator.post("/alerts/channels/new", sent, follow=True)
    secret = unseal(Channel.objects.get().sealed)
    assert "whsec_" in secret
    assert "shown this once: whsec_" in answer.content.decode()
    page = text(operator, f"/alerts/channels/{Channel.objects.get().pk}")
    assert "whsec_" not in page
    assert "X-Team: ***" in page


def test_a_wrong_form_says_why_and_sends_no_secret_back(operator: Client) -> None:
    sent = {"kind": "webhook", "name": "", "target.url": "nowhere", "target.secret": "hush-hush"}
    answer = operator.post("/alerts/channels/new", sent)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "name must be a text" in page
    assert "hush-hush" not in page


def test_a_form_that_is_saved_unchanged_changes_no_secret(
    operator: Client, receiver: Receiver
) -> None:
    to = webhook(receiver.url, "ops")
    before = unseal(to.sealed)
    page = text(operator, f"/alerts/channels/{to.pk}/edit")
    assert SECRET not in page
    sent = {
        "name": "ops 2",
        "version": "1",
        "target.url": receiver.url,
        "target.secret": "***",
        "enabled": "on",
    }
    assert operator.post(f"/alerts/channels/{to.pk}/edit", sent).status_code == 302
    to.refresh_from_db()
    assert (to.name, to.send_resolved) == ("ops 2", False)
    assert unseal(to.sealed) == before
    own = {"name": "ops 3", "target.secret": "whsec_" + "c2VjcmV0" * 4}
    stale = operator.post(f"/alerts/channels/{to.pk}/edit", sent | own)
    assert stale.status_code == 409
    html = stale.content.decode()
    assert "Somebody else was quicker" in html
    sides = html[html.index('id="conflict"') :].partition("<form")[0]
    assert "<dt>Name</dt><dd>ops 2</dd>" in sides
    assert "<dt>Name</dt><dd>ops 3</dd>" in sides
    assert own["target.secret"] not in sides


def test_the_test_button_says_what_came_of_it(operator: Client, receiver: Receiver) -> None:
    receiver.answers = [Answer(), Answer(500)]
    to = webhook(receiver.url, "ops")
    good = operator.post(f"/alerts/channels/{to.pk}/test", follow=True).content.decode()
    assert "The test by ops was taken" in good
    bad = operator.post(f"/alerts/channels/{to.pk}/test", follow=True).content.decode()
    assert "The test by ops failed: It answered 500 Internal Server Error" in bad


def test_a_channel_is_paused_resumed_and_deleted(operator: Client, receiver: Receiver) -> None:
    to = webhook(receiver.url, "ops")
    path = f"/alerts/channels/{to.pk}"
    assert "given up after 2 hours" in text(operator, f"{path}/pause")
    operator.post(f"{path}/pause", {"reason": "moving house"})
    assert "moving house" in text(operator, path)
    operator.post(f"{path}/resume")
    assert "moving house" not in text(operator, path)
    rotated = operator.post(f"{path}/rotate", follow=True).content.decode()
    assert "shown this once: whsec_" in rotated
    assert operator.post(f"{path}/delete").status_code == 302
    assert not Channel.objects.exists()


def test_a_delivery_shows_its_message_and_every_attempt(viewer: Client, receiver: Receiver) -> None:
    receiver.answers = [Answer(500, body=b"<b>no</b>"), Answer(200, body=b"thanks")]
    delivery = enqueue(webhook(receiver.url, "ops"), message(title="<i>it</i>"))
    deliveries_send(now=NOW)
    Delivery.objects.update(next_at=NOW)
    deliveries_send(now=NOW)
    page = text(viewer, f"/alerts/deliveries/{delivery.pk}")
    assert "&lt;i&gt;it&lt;/i&gt;" in page
    assert "&lt;b&gt;no&lt;/b&gt;" in page
    assert "thanks" in page
    assert "webhook-signature" in page
    assert "Attempt 2" in page
    Delivery.objects.update(attempts=3)
    assert "1 attempt ended with the process" in text(viewer, f"/alerts/deliveries/{delivery.pk}")


@pytest.mark.parametrize("query", ["", "?state=open", "?purpose=test", "?state=failed"])
def test_deliveries_are_filtered(viewer: Client, receiver: Receiver, query: str) -> None:
    enqueue(webhook(receiver.url, "ops"))
    page = text(viewer, f"/alerts/deliveries{query}")
    assert (message().title in page) == (query in ("", "?state=open"))
    part = text(viewer, f"/alerts/deliveries{query}", **{"HX-Request": "true"})
    assert "<html" not in part


@pytest.mark.parametrize("query", ["?state=lost", "?purpose=x", "?channel=1", "?cursor=x"])
def test_a_question_that_cannot_be_is_refused(viewer: Client, query: str) -> None:
    assert viewer.get(f"/alerts/deliveries{query}").status_code == 400


def test_a_viewer_sees_no_way_to_act(viewer: Client, receiver: Receiver) -> None:
    to = webhook(receiver.url, "ops")
    page = text(viewer, f"/alerts/channels/{to.pk}")
    assert "/test" not in page
    assert viewer.post(f"/alerts/channels/{to.pk}/test").status_code == 403
    assert receiver.received == []


def test_each_screen_takes_its_pinned_number_of_queries_however_much_it_shows(
    operator: Client, receiver: Receiver
) -> None:
    to = webhook(receiver.url, "ops")
    delivery = enqueue(to)
    deliveries_send(now=NOW)
    counted = pinned(__file__)

    def counts() -> dict[str, int]:
        return {
            line: queries_of(operator, line.format(channel=to.pk, delivery=delivery.pk))
            for line in counted
        }

    assert counts() == counted
    for number in range(6):
        enqueue(webhook(receiver.url, f"other {number}"))
        enqueue(to)
    assert counts() == counted
