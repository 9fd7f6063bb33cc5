"""Channels and deliveries over the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from alerting.models import Channel, Delivery
from alerting.services.delivery_pruning import deliveries_prune
from resilience_site.config import config
from resilience_site.core import journal
from resilience_site.core.choices import Scope
from resilience_site.core.models import AuditEntry
from tests.alerting.delivery.receivers import Answer, Receiver
from tests.alerting.delivery.scene import NOW, SECRET, enqueue, webhook
from tests.health.api.conftest import Api

URL = "alerts/channels"


@pytest.fixture
def api() -> Api:
    return Api(Scope.OPERATE)


def make(api: Api, receiver: Receiver, **more: Any) -> Any:
    body = {
        "kind": "webhook",
        "name": "ops",
        "target": {"url": receiver.url, "secret": SECRET},
    }
    status, document = api("POST", URL, body | more)
    assert status == 201, document
    return document


def test_a_channel_is_made_and_shows_no_secret(api: Api, receiver: Receiver) -> None:
    made = make(api, receiver)
    assert (made["state"], made["secret"]) == ("on", None)
    assert made["target"] == {"url": receiver.url, "secret": "***"}
    everything = f"{api.get(URL)} {list(AuditEntry.objects.values())} {journal.read(0)}"
    assert SECRET not in everything
    assert SECRET not in Channel.objects.get().sealed
    assert [each.kind for each in journal.read(0)] == ["channel.changed"]


def test_a_webhook_without_a_secret_is_given_one_that_is_answered_once(
    api: Api, receiver: Receiver
) -> None:
    made = make(api, receiver, target={"url": receiver.url})
    assert made["secret"].startswith("whsec_")
    assert "secret" not in api.get(f"{URL}/{made['id']}")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "pigeon"}, "body.kind"),
        ({"name": ""}, "body.name"),
        ({"name": "x" * 101}, "body.name"),
        ({"target": "x"}, "body.target"),
        ({"target": {"url": "nowhere"}}, "body.target.url"),
        ({"target": {"url": "http://x", "secret": "wrong"}}, "body.target.secret"),
        ({"target": {"url": "http://x", "secret": "***"}}, "body.target.secret"),
        ({"target": {"url": "http://169.254.169.254/"}}, "body.target"),
        ({"fallback": "nobody"}, "body.fallback"),
        ({"fallback": "a\0b"}, "body.fallback"),
        ({"target": {"url": "http://x", "ca": "\u2028"}}, "body.target.ca"),
        ({"enabled": "yes"}, "body.enabled"),
        ({"colour": "red"}, "body.colour"),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_its_field(
    api: Api, receiver: Receiver, change: dict[str, Any], field: str
) -> None:
    body = {"kind": "webhook", "name": "ops", "target": {"url": receiver.url}}
    status, document = api("POST", URL, body | change)
    assert status == 422, document
    assert [each["field"] for each in document["errors"]] == [field]


def test_private_addresses_are_refused_when_a_channel_is_saved(
    api: Api, receiver: Receiver
) -> None:
    with config.override(resilience_allow_private_targets=False):
        status, document = api(
            "POST", URL, {"kind": "webhook", "name": "x", "target": {"url": receiver.url}}
        )
    assert status == 422
    assert "RESILIENCE_ALLOW_PRIVATE_TARGETS" in document["detail"]


def test_two_channels_of_one_name_are_refused(api: Api, receiver: Receiver) -> None:
    make(api, receiver)
    status, document = api(
        "POST", URL, {"kind": "webhook", "name": "ops", "target": {"url": receiver.url}}
    )
    assert (status, document["errors"][0]["field"]) == (422, "body.name")


def test_a_test_is_sent_at_once_and_answers_what_came_of_it(api: Api, receiver: Receiver) -> None:
    receiver.answers = [Answer(200, body=b"hello"), Answer(403)]
    made = make(api, receiver)
    status, document = api("POST", f"{URL}/{made['id']}/test")
    assert (status, document["state"], document["purpose"]) == (200, "delivered", "test")
    (attempt,) = document["tries"]
    assert (attempt["status"], attempt["answer"]) == (200, "hello")
    assert receiver.received[0].document["type"] == "test"
    _, document = api("POST", f"{URL}/{made['id']}/test")
    assert (document["state"], document["last_error"]) == ("failed", "It answered 403 Forbidden")


def test_a_secret_that_comes_masked_stays_and_a_new_one_signs_beside_the_old(
    api: Api, receiver: Receiver
) -> None:
    made = make(api, receiver)
    path = f"{URL}/{made['id']}"
    status, _ = api("PUT", path, {"target": {**made["target"], "headers": {"X-Team": "ops"}}})
    assert status == 200
    api("POST", f"{path}/test")
    assert len(receiver.received[-1].headers["webhook-signature"].split()) == 1
    status, rotated = api("POST", f"{path}/rotate")
    assert (status, rotated["secret"][:6]) == (200, "whsec_")
    assert set(rotated["target"]) == {
        "url",
        "secret",
        "headers",
        "previous_secret",
        "previous_until",
    }
    api("POST", f"{path}/test")
    assert len(receiver.received[-1].headers["webhook-signature"].split()) == 2
    assert receiver.received[-1].headers["x-team"] == "ops"


def test_a_kept_header_is_not_sent_to_another_host(api: Api, receiver: Receiver) -> None:
    target = {"url": receiver.url, "secret": SECRET, "headers": {"Authorization": "tok-en-1"}}
    made = make(api, receiver, target=target)
    moved = {**made["target"], "url": "http://127.0.0.1:9/"}
    status, document = api("PUT", f"{URL}/{made['id']}", {"target": moved})
    assert (status, document["errors"][0]["field"]) == (422, "body.target.headers")
    moved["headers"] = {"Authorization": "another"}
    assert api("PUT", f"{URL}/{made['id']}", {"target": moved})[0] == 200


def test_a_stale_version_is_refused_with_both_sides(api: Api, receiver: Receiver) -> None:
    made = make(api, receiver)
    path = f"{URL}/{made['id']}"
    assert api("PUT", path, {"name": "first"}, If_Match='"1"')[0] == 200
    wanted = {"name": "second", "target": {**made["target"], "secret": "whsec_" + "c2VjcmV0" * 4}}
    status, document = api("PUT", path, wanted, If_Match='"1"')
    assert status == 409
    assert (document["current"]["name"], document["proposed"]["name"]) == ("first", "second")
    assert document["proposed"]["target"] == {**made["target"], "secret": "***"}


def test_a_channel_is_paused_with_a_reason_and_resumed(api: Api, receiver: Receiver) -> None:
    path = f"{URL}/{make(api, receiver)['id']}"
    status, document = api("POST", f"{path}/pause", {"reason": "moving house"})
    assert (status, document["state"]) == (200, "paused")
    assert document["paused_why"].endswith("paused it: moving house")
    assert api("POST", f"{path}/pause")[0] == 422
    assert api("POST", f"{path}/resume")[1]["state"] == "on"
    assert api("DELETE", path)[0] == 204
    assert api("GET", path)[0] == 404
    kinds = [each.kind for each in journal.read(0)]
    assert kinds == ["channel.changed", "channel.paused", "channel.resumed", "channel.deleted"]


def test_deliveries_of_long_ago_are_forgotten(api: Api, receiver: Receiver) -> None:
    old, open_one, new = (enqueue(webhook(receiver.url)) for _ in range(3))
    Delivery.objects.filter(pk__in=[old.pk, new.pk]).update(state="delivered", ended_at=NOW)
    Delivery.objects.filter(pk=new.pk).update(ended_at=NOW + timedelta(days=2))
    Delivery.objects.update(created_at=NOW)
    assert deliveries_prune(now=NOW + timedelta(days=31)) == 1
    assert set(Delivery.objects.all()) == {open_one, new}


def test_a_ring_of_one_is_refused(api: Api, receiver: Receiver) -> None:
    path = f"{URL}/{make(api, receiver)['id']}"
    assert api("PUT", path, {"fallback": "ops"})[0] == 422


def test_deliveries_are_listed_by_state_and_channel(api: Api, receiver: Receiver) -> None:
    to = webhook(receiver.url, "a")
    for _ in range(3):
        enqueue(to)
    enqueue(webhook(receiver.url, "b"))
    Delivery.objects.filter(channel_name="b").update(state="failed")
    page = api.get("alerts/deliveries?limit=2&state=open")
    assert len(page["items"]) == 2
    rest = api.get(f"alerts/deliveries?limit=2&state=open&cursor={page['next_cursor']}")
    assert len(rest["items"]) == 1
    assert len(api.get(f"alerts/deliveries?channel={to.pk}")["items"]) == 3
    assert api.get("alerts/deliveries?channel=a") == api.get(f"alerts/deliveries?channel={to.pk}")
    status, problem = api("GET", "alerts/deliveries?channel=c")
    assert (status, [each["field"] for each in problem["errors"]]) == (422, ["query.channel"])
    (failed,) = api.get("alerts/deliveries?state=failed")["items"]
    assert (failed["channel"], failed["next_at"]) == ("b", None)
    detail = api.get(f"alerts/deliveries/{failed['id']}")
    assert detail["message"]["alerts"][0]["rule"] == "breaker-open"
