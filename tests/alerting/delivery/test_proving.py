"""Mail over TLS with a login, and secrets that are tried before a channel is saved."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from standardwebhooks import Webhook

from alerting.models import Channel, Delivery
from alerting.services.sending import deliveries_send
from resilience_site.core.choices import Scope
from resilience_site.core.models import AuditEntry
from tests.alerting.delivery.mailserver import SecureServer, running_server
from tests.alerting.delivery.receivers import Answer, Receiver
from tests.alerting.delivery.scene import NOW, channel, enqueue, message
from tests.health.api.conftest import Api

URL = "alerts/channels"
KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def by_command() -> Iterator[SecureServer]:
    with running_server("smtp") as found:
        yield found


@pytest.fixture(scope="module")
def from_the_start() -> Iterator[SecureServer]:
    with running_server("smtps") as found:
        yield found


@pytest.fixture(params=["smtp", "smtps"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(scheme: str, by_command: SecureServer, from_the_start: SecureServer) -> SecureServer:
    found = by_command if scheme == "smtp" else from_the_start
    found.mails.clear()
    found.logins.clear()
    return found


def sent(target: dict[str, Any]) -> Delivery:
    delivery = enqueue(channel("email", {"to": ["a@b.example"], **target}))
    deliveries_send(now=NOW, rng=random.Random(1))
    delivery.refresh_from_db()
    return delivery


def mail_target(server: SecureServer, scheme: str, **more: str) -> dict[str, Any]:
    url = server.url(scheme, **more)
    return {"to": ["a@b.example"], "smtp_url": url, "ca": server.authority}


def test_a_mail_goes_by_tls_after_a_login(server: SecureServer, scheme: str) -> None:
    delivery = sent(mail_target(server, scheme))
    assert (delivery.state, delivery.last_error) == ("delivered", "")
    assert server.logins == [True]
    assert message().title.encode() in server.mails[0]


def test_a_certificate_that_nobody_trusts_gets_neither_password_nor_mail(
    server: SecureServer, scheme: str
) -> None:
    delivery = sent({"smtp_url": server.url(scheme)})
    assert delivery.state == "pending"
    assert "certificate" in delivery.last_error
    assert (server.logins, server.mails) == ([], [])


def test_a_wrong_password_is_refused_for_good(server: SecureServer, scheme: str) -> None:
    delivery = sent(mail_target(server, scheme, password="wrong-word-2"))
    assert delivery.state == "failed"
    assert "535" in delivery.last_error
    assert "wrong-word-2" not in f"{delivery.last_error} {delivery.tries.get().request}"


# --- Before it is saved --------------------------------------------------------------------------


@pytest.fixture
def api() -> Api:
    return Api(Scope.OPERATE)


def test_a_mail_channel_with_a_wrong_password_is_not_saved(
    api: Api, server: SecureServer, scheme: str
) -> None:
    target = mail_target(server, scheme, password="wrong-word-2")
    status, refused = api("POST", URL, {"kind": "email", "name": "ops", "target": target})
    assert status == 422
    (error,) = refused["errors"]
    assert error["field"] == "body.target"
    assert "It was tried before it was saved: 127.0.0.1" in error["message"]
    assert "535" in error["message"]
    assert "wrong-word-2" not in str(refused)
    assert not Channel.objects.exists()
    assert AuditEntry.objects.filter(action="channel.create.refused").exists()


def test_the_right_password_is_tried_without_a_mail_and_a_change_of_it_too(
    api: Api, by_command: SecureServer
) -> None:
    by_command.logins.clear()
    by_command.mails.clear()
    target = mail_target(by_command, "smtp")
    status, made = api("POST", URL, {"kind": "email", "name": "ops", "target": target})
    assert (status, by_command.logins, by_command.mails) == (201, [True], [])
    one = f"{URL}/{made['id']}"
    # What does not change is not tried again.
    assert api("PATCH", one, {"name": "ops 2", "target": made["target"]})[0] == 200
    assert by_command.logins == [True]
    wrong = mail_target(by_command, "smtp", password="wrong-word-2")
    assert api("PATCH", one, {"target": wrong})[0] == 422
    # By each of the ways that the server offers.
    assert len(by_command.logins) > 1
    assert not any(by_command.logins[1:])
    assert api("PATCH", one, {"target": wrong, "verify": False})[0] == 200


def test_a_server_that_is_away_refuses_nothing(api: Api) -> None:
    target = {"to": ["a@b.example"], "smtp_url": "smtp://me:pass-word-1@127.0.0.1:9"}
    assert api("POST", URL, {"kind": "email", "name": "ops", "target": target})[0] == 201


@pytest.mark.parametrize(
    ("kind", "path"), [("slack", "/services/T0/B0/very-secret"), ("teams", "/hook/very-secret")]
)
def test_other_kinds_are_tried_by_a_test_if_asked(
    api: Api, receiver: Receiver, kind: str, path: str
) -> None:
    receiver.answers = [Answer(403, body=b"invalid_token")]
    body = {"kind": kind, "name": "ops", "target": {"url": receiver.url + path}}
    status, refused = api("POST", URL, {**body, "verify": True})
    assert status == 422
    assert "403" in refused["errors"][0]["message"]
    assert "very-secret" not in str(refused)
    assert api("POST", URL, {**body, "verify": "yes"})[0] == 422
    assert len(receiver.received) == 1
    # Nobody is told of a channel unasked.
    assert api("POST", URL, body)[0] == 201
    assert len(receiver.received) == 1
    assert not Delivery.objects.exists()


def test_the_test_of_a_webhook_is_signed_by_the_secret_that_is_kept(
    operator: Client, receiver: Receiver
) -> None:
    form = {
        "kind": "webhook", "name": "ops", "target.url": receiver.url, "target.secret": "",
        "target.headers": "", "enabled": "on", "fallback": "", "verify": "on",
    }  # fmt: skip
    receiver.answers = [Answer(401), Answer()]
    refused = operator.post("/alerts/channels/new", form)
    assert refused.status_code == 422
    page = refused.content.decode()
    assert "It was tried before it was saved: It answered 401" in page
    made = operator.post("/alerts/channels/new", form, follow=True).content.decode()
    secret = made.partition("shown this once: ")[2].split("<")[0].strip()
    told = Webhook(secret).verify(receiver.received[-1].body, receiver.received[-1].headers)
    assert told["title"] == "Test of the channel ops"
