"""Mail servers that may not be called are not: at save, at send, and whatever names answer later."""

from __future__ import annotations

import random
import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from alerting.models import Channel, Delivery
from alerting.services.sending import deliveries_send
from resilience_site.config import config
from resilience_site.core.choices import Scope
from tests.alerting.delivery.scene import NOW, channel, enqueue
from tests.alerting.delivery.test_email import Mailbox, OwnPort
from tests.health.api.conftest import Api

URL = "alerts/channels"
PUBLIC, PRIVATE, LOOPBACK, LINK_LOCAL = "8.8.8.8", "10.0.0.7", "127.0.0.1", "169.254.1.1"
# What no other setting than the site's own allows, in the spellings that resolvers take.
PRIVATES = (
    "10.0.0.7", "172.16.0.1", "192.168.1.5", "100.64.0.1", "[fd12::1]", "[::ffff:10.0.0.7]",
    "[64:ff9b::a00:7]", "127.0.0.1", "127.1", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "localhost",
)  # fmt: skip
# What nothing allows.
NEVERS = (
    "169.254.1.1", "169.254.169.254", "0xa9fea9fe", "[fe80::1]", "[fe80::1%25lo]",
    "[::ffff:169.254.1.1]", "0.0.0.0", "[::]", "[::ffff:0.0.0.0]", "metadata.google.internal",
)  # fmt: skip


class Names:
    """The resolver's outermost edge: names that are set here answer so, in turn; all others go on."""

    def __init__(self, really: Any) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self._really = really

    def __call__(self, host: Any, *args: Any, **more: Any) -> Any:
        if host not in self.answers:
            return self._really(host, *args, **more)
        self.asked.append(host)
        turns = self.answers[host]
        found = turns.pop(0) if len(turns) > 1 else turns[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (each, 0, 0, 0)) if ":" in each
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0))
            for each in found
        ]  # fmt: skip


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    found = Names(socket.getaddrinfo)
    monkeypatch.setattr(socket, "getaddrinfo", found)
    return found


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A port of loopback where nobody answers, but where a connection shows."""
    with socket.create_server((LOOPBACK, 0)) as found:
        yield found


@pytest.fixture
def server() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    running = OwnPort(box)
    running.start()
    try:
        yield box, running.port
    finally:
        running.stop()


@pytest.fixture
def api() -> Api:
    return Api(Scope.OPERATE)


def called(listening: socket.socket) -> bool:
    return bool(select.select([listening], [], [], 0)[0])


def saved(api: Api, host: str, port: int = 25, login: str = "") -> str:
    """Why a mail channel with this server is not saved; empty where it is."""
    target = {"to": ["a@b.example"], "smtp_url": f"smtp://{login}{host}:{port}"}
    status, answer = api("POST", URL, {"kind": "email", "name": "ops", "target": target})
    if status == 201:
        return ""
    assert (status, answer["errors"][0]["field"]) == (422, "body.target")
    assert not Channel.objects.exists()
    return str(answer["errors"][0]["message"])


def sent(host: str, port: int = 25) -> Delivery:
    """A mail by a channel that was saved when its server could be called, and by no other."""
    Channel.objects.update(enabled=False)
    target = {"to": ["a@b.example"], "smtp_url": f"smtp://{host}:{port}"}
    delivery = enqueue(channel("email", target))
    deliveries_send(now=NOW, rng=random.Random(1))
    delivery.refresh_from_db()
    return delivery


@pytest.mark.parametrize("host", PRIVATES)
def test_a_private_server_is_called_by_setting_alone(
    api: Api, listening: socket.socket, host: str
) -> None:
    port = listening.getsockname()[1]
    with config.override(resilience_allow_private_targets=False):
        assert "RESILIENCE_ALLOW_PRIVATE_TARGETS allows those" in saved(api, host, port)
        delivery = sent(host, port)
    assert (delivery.state, delivery.attempts) == ("failed", 1)
    assert "RESILIENCE_ALLOW_PRIVATE_TARGETS allows those" in delivery.last_error
    assert not called(listening)


@pytest.mark.parametrize("host", NEVERS)
def test_some_servers_are_never_called(api: Api, host: str) -> None:
    # Private ones are allowed here.
    why = saved(api, host)
    assert "never calls" in why or "not the address of one host" in why
    delivery = sent(host)
    assert delivery.state == "failed"
    assert "never calls" in delivery.last_error or "of one host" in delivery.last_error


@pytest.mark.parametrize(
    "answers", [[PUBLIC, PRIVATE], [PRIVATE, PUBLIC], ["2001:4860:4860::8888", "::1"], [LOOPBACK]]
)
def test_a_name_with_one_private_address_is_refused_whole(
    api: Api, names: Names, answers: list[str]
) -> None:
    names.answers["mail.example"] = [answers]
    with config.override(resilience_allow_private_targets=False):
        assert saved(api, "mail.example").startswith("mail.example: ")
        delivery = sent("mail.example")
    assert delivery.state == "failed"
    assert delivery.last_error.startswith("mail.example: ")
    assert "RESILIENCE_ALLOW_PRIVATE_TARGETS" in delivery.last_error


def test_a_name_with_one_link_local_address_is_refused_whatever_is_allowed(
    api: Api, names: Names
) -> None:
    names.answers["mail.example"] = [[LOOPBACK, LINK_LOCAL]]
    assert "this site never calls" in saved(api, "mail.example")
    assert "this site never calls" in sent("mail.example").last_error


def test_a_mail_goes_to_the_address_that_was_judged(
    names: Names, server: tuple[Mailbox, int]
) -> None:
    box, port = server
    # Whoever asked again between the judgement and the connection would be led elsewhere.
    names.answers["mail.example"] = [[LOOPBACK], [LINK_LOCAL]]
    delivery = sent("mail.example", port)
    assert (delivery.state, delivery.last_error) == ("delivered", "")
    assert names.asked == ["mail.example"]
    assert len(box.mails) == 1
    # Each attempt asks once, and judges what is answered then.
    refused = sent("mail.example", port)
    assert refused.state == "failed"
    assert "this site never calls" in refused.last_error
    assert names.asked == ["mail.example"] * 2
    assert len(box.mails) == 1


def test_a_login_that_is_tried_at_save_goes_to_no_other_address_than_a_judged_one(
    api: Api, names: Names, listening: socket.socket
) -> None:
    # Good as long as it is looked at, and private once it is called.
    names.answers["mail.example"] = [[PUBLIC], [LOOPBACK]]
    with config.override(resilience_allow_private_targets=False):
        why = saved(api, "mail.example", listening.getsockname()[1], "me:pass-word-1@")
    assert "mail.example: 127.0.0.1 is a private or loopback address" in why
    assert names.asked == ["mail.example"] * 2
    assert not called(listening)


def test_the_server_that_the_site_itself_names_may_be_private_and_not_link_local(
    names: Names, server: tuple[Mailbox, int]
) -> None:
    box, port = server
    names.answers["mail.example"] = [[LOOPBACK], [LOOPBACK, LINK_LOCAL]]
    with config.override(
        resilience_allow_private_targets=False,
        resilience_smtp_url=f"smtp://mail.example:{port}",
    ):
        for state in ("delivered", "failed"):
            delivery = enqueue(channel("email", {"to": ["a@b.example"]}))
            deliveries_send(now=NOW, rng=random.Random(1))
            delivery.refresh_from_db()
            assert delivery.state == state
    assert "this site never calls" in delivery.last_error
    assert len(box.mails) == 1
