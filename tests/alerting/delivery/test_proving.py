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
from tests.alerting.delivery.receivers import Answer, Received, Receiver
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
    assert made["proof"].endswith("nobody was told: it was tried by a login.")
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
    status, made = api("POST", URL, {"kind": "email", "name": "ops", "target": target})
    assert (status, made["proven"]) == (201, False)
    assert "cannot be asked now: 127.0.0.1:9 cannot be reached" in made["proof"]
    assert "pass-word-1" not in made["proof"]


# What each of these answers to what tells nobody: to whom it knows, and to whom it does not.
KNOWN = {
    "slack": [Answer(400, body=b"no_text"), Answer(400, body=b"invalid_payload")],
    "teams": [Answer(400, body=b'{"error":{"code":"InvalidRequestContent","message":"..."}}')],
    "pagerduty": [Answer(202, body=b'{"status":"success","message":"Event processed"}')],
}
UNKNOWN = {
    "slack": [Answer(403, body=b"invalid_token"), Answer(404, body=b"no_service"), Answer(410)],
    "teams": [
        Answer(401, body=b'{"error":{"code":"DirectApiAuthorizationRequired"}}'),
        Answer(404),
    ],
    "pagerduty": [
        Answer(400, body=b'{"status":"invalid event","errors":["Invalid routing key"]}'),
        Answer(403),
    ],
}


TRIED_BY = {
    "slack": "an empty message",
    "teams": "a message that is no JSON",
    "pagerduty": "the end of what never began",
}


def each_of(answers: dict[str, list[Answer]]) -> list[tuple[str, Answer]]:
    return [(kind, each) for kind, found in answers.items() for each in found]


def hook(kind: str, url: str, secret: str = "very-secret") -> dict[str, Any]:
    """A channel of a kind that posts, at a receiver."""
    target = {"url": f"{url}/hook/{secret}"}
    if kind == "pagerduty":
        target = {"url": url, "routing_key": KEY}
    return {"kind": kind, "name": "ops", "target": target}


def is_news(request: Received) -> bool:
    """Whether somebody would have been told of a request."""
    try:
        told = request.document
    except ValueError:
        return False
    return bool(told) and told.get("event_action") != "resolve"


@pytest.mark.parametrize(("kind", "answer"), each_of(KNOWN))
def test_a_right_secret_is_proven_unasked_and_tells_nobody(
    api: Api, receiver: Receiver, kind: str, answer: Answer
) -> None:
    receiver.answers = [answer]
    # Also where a test is asked for: there is nothing left to find out.
    status, made = api("POST", URL, {**hook(kind, receiver.url), "verify": True})
    assert (status, made["proven"]) == (201, True)
    by = TRIED_BY[kind]
    assert made["proof"] == f"Its receiver takes it; nobody was told: it was tried by {by}."
    (asked,) = receiver.received
    assert not is_news(asked)
    # What does not change is not tried again, and a new name is no new secret.
    one = f"{URL}/{made['id']}"
    status, changed = api("PATCH", one, {"name": "ops 2", "target": made["target"]})
    assert (status, changed["proven"], changed["proof"]) == (200, None, "")
    assert len(receiver.received) == 1
    assert not Delivery.objects.exists()


@pytest.mark.parametrize(("kind", "answer"), each_of(UNKNOWN))
def test_a_wrong_secret_is_refused_unasked_with_what_was_answered(
    api: Api, receiver: Receiver, kind: str, answer: Answer
) -> None:
    receiver.answers = [answer]
    status, refused = api("POST", URL, hook(kind, receiver.url))
    assert status == 422
    (error,) = refused["errors"]
    assert error["field"] == "body.target"
    assert f"It was tried before it was saved: It answered {answer.status}" in error["message"]
    words = answer.body.decode()
    assert words in ("", "ok") or words in error["message"]
    assert "very-secret" not in str(refused)
    assert KEY not in str(refused)
    assert not Channel.objects.exists()
    assert not any(map(is_news, receiver.received))
    assert api("POST", URL, {**hook(kind, receiver.url), "verify": "yes"})[0] == 422
    # Whoever knows better saves it nevertheless.
    status, made = api("POST", URL, {**hook(kind, receiver.url), "verify": False})
    assert (status, made["proven"], made["proof"]) == (201, None, "")
    assert len(receiver.received) == 1


def test_a_secret_that_is_changed_for_a_wrong_one_stays_as_it_was(
    api: Api, receiver: Receiver
) -> None:
    receiver.answers = [*KNOWN["slack"][:1], *UNKNOWN["slack"][:1]]
    _, made = api("POST", URL, hook("slack", receiver.url))
    one = f"{URL}/{made['id']}"
    wrong = hook("slack", receiver.url, "another")["target"]
    assert api("PATCH", one, {"target": wrong})[0] == 422
    assert api("GET", one)[1]["version"] == made["version"]


@pytest.mark.parametrize("kind", KNOWN)
def test_where_the_answer_says_nothing_a_test_is_sent_if_asked_for(
    api: Api, receiver: Receiver, kind: str
) -> None:
    receiver.answers = [Answer(418, body=f"/hook/very-secret {KEY}".encode())]
    status, made = api("POST", URL, hook(kind, receiver.url))
    assert (status, made["proven"]) == (201, False)
    assert made["proof"].startswith(
        f"It could not be proven: it was tried by {TRIED_BY[kind]}, which tells nobody, and what its "
        "receiver said shows nothing. It answered 418"
    )
    assert "very-secret" not in made["proof"] or kind == "pagerduty"
    assert KEY not in made["proof"] or kind != "pagerduty"
    assert len(receiver.received) == 1
    receiver.answers = [Answer(418), Answer(503)]
    status, made = api("POST", URL, {**hook(kind, receiver.url), "name": "away", "verify": True})
    assert (status, made["proven"]) == (201, False)
    assert (
        "a test was sent by it, which its receiver cannot take now: It answered 503"
        in made["proof"]
    )
    receiver.received.clear()
    receiver.answers = [Answer(418), Answer(202)]
    body = {**hook(kind, receiver.url), "name": "other", "verify": True}
    status, made = api("POST", URL, body)
    assert (status, made["proven"]) == (201, True)
    assert made["proof"] == "A test was sent by it, and taken."
    told = [is_news(each) for each in receiver.received]
    assert told[:2] == [False, True]
    # At PagerDuty the test is closed again.
    assert not any(told[2:])


@pytest.mark.parametrize("kind", KNOWN)
def test_a_receiver_that_cannot_be_asked_now_refuses_nothing_and_that_is_said(
    api: Api, receiver: Receiver, kind: str
) -> None:
    receiver.answers = [Answer(503, body=b"later")]
    # No test either: it would be answered so, too.
    status, made = api("POST", URL, {**hook(kind, receiver.url), "verify": True})
    assert (status, made["proven"]) == (201, False)
    assert "cannot be asked now: It answered 503 Service Unavailable (later)" in made["proof"]
    assert len(receiver.received) == 1
    body = {**hook(kind, "http://127.0.0.1:9"), "name": "away"}
    status, made = api("POST", URL, body)
    assert (status, made["proven"]) == (201, False)
    assert "cannot be asked now: 127.0.0.1:9 cannot be reached" in made["proof"]
    assert "very-secret" not in str(made)


def test_a_kind_that_cannot_be_asked_silently_is_saved_unproven(
    api: Api, receiver: Receiver
) -> None:
    status, made = api("POST", URL, hook("webhook", receiver.url))
    assert (status, made["proven"]) == (201, False)
    assert "nothing asks its receiver that tells nobody" in made["proof"]
    assert receiver.received == []


def test_a_mail_server_without_a_login_is_asked_nothing_and_that_is_said(api: Api) -> None:
    target = {"to": ["a@b.example"], "smtp_url": "smtp://127.0.0.1:9"}
    status, made = api("POST", URL, {"kind": "email", "name": "ops", "target": target})
    assert (status, made["proven"]) == (201, False)
    assert "It could not be proven: its mail server is used without a login" in made["proof"]


def test_the_page_says_whether_a_secret_is_proven(operator: Client, receiver: Receiver) -> None:
    form = {
        "kind": "slack", "name": "ops", "target.url": f"{receiver.url}/hook/very-secret",
        "target.ca": "", "enabled": "on", "fallback": "", "verify": "on",
    }  # fmt: skip
    receiver.answers = [Answer(404, body=b"no_service"), Answer(400, body=b"no_text"), Answer(503)]
    refused = operator.post("/alerts/channels/new", form)
    assert refused.status_code == 422
    assert "It answered 404 Not Found (no_service)" in refused.content.decode()
    made = operator.post("/alerts/channels/new", form, follow=True)
    said = "ops is made. Its receiver takes it; nobody was told: it was tried by an empty message."
    assert said in made.content.decode()
    away = operator.post("/alerts/channels/new", {**form, "name": "other"}, follow=True)
    said = "other is made. It could not be proven, as its receiver cannot be asked now"
    assert said in away.content.decode()
    untried = {**form, "name": "third", "verify": ""}
    page = operator.post("/alerts/channels/new", untried, follow=True).content.decode()
    assert "third is made. It was not tried. Press Test" in page
    assert len(receiver.received) == 3
    assert not any(map(is_news, receiver.received))


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
