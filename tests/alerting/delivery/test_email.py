"""E-mail against a real server."""

from __future__ import annotations

import email
import random
import socket
from asyncio import AbstractServer
from collections.abc import Coroutine, Iterator
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from alerting.models import Channel, Delivery
from alerting.services.sending import deliveries_send
from resilience_site.config import config
from tests.alerting.delivery.scene import INCIDENT, NOW, at, channel, enqueue, message


class Mailbox:
    """Keeps what comes; `answers` of the commands RCPT and DATA are given instead of OK."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refuse: dict[str, str] = {}
        self.answers: list[str] = []

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answers:
            return self.answers.pop(0)
        found = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(found, EmailMessage)
        self.mails.append(found)
        self.recipients.append(envelope.rcpt_tos)
        return "250 taken"


class OwnPort(Controller):
    """Listens on a port that nobody else can take before it does."""

    def __init__(self, box: Mailbox) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        port = self._listening.getsockname()[1]
        super().__init__(box, hostname="127.0.0.1", port=port, ready_timeout=60)

    def _create_server(self) -> Coroutine[Any, Any, AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self._listening)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    server = OwnPort(box)
    server.start()
    try:
        with config.override(resilience_smtp_url=f"smtp://127.0.0.1:{server.port}"):
            yield box
    finally:
        server.stop()


def send(to: Channel, what: Any = None, seconds: float = 0) -> Delivery:
    delivery = enqueue(to, what)
    deliveries_send(now=at(seconds), rng=random.Random(1))
    delivery.refresh_from_db()
    return delivery


def test_a_mail_has_text_and_html_and_the_id_of_its_delivery(mailbox: Mailbox) -> None:
    delivery = send(channel("email", {"to": ["ops@example.com", "b@example.com"]}))
    assert delivery.state == "delivered", delivery.last_error
    (mail,) = mailbox.mails
    assert mailbox.recipients == [["ops@example.com", "b@example.com"]]
    assert mail["From"] == "resilience@127.0.0.1"
    assert mail["Subject"] == f"[page] {message().title}"
    assert mail["Message-ID"] == f"<{delivery.pk}@127.0.0.1>"
    assert mail["Auto-Submitted"] == "auto-generated"
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert message().text in plain.get_content()
    assert "The breaker graph-calendar of planner is open" in html.get_content()
    assert 'href="https://runbooks.example.com/breaker"' in html.get_content()
    kept = delivery.tries.get()
    assert kept.status == 250
    assert kept.request["to"] == "ops@example.com, b@example.com"


def test_the_html_of_a_mail_says_the_cause_and_the_impact_of_the_incident(
    mailbox: Mailbox,
) -> None:
    send(channel("email", {"to": ["a@b.example"]}), message(incidents=(INCIDENT,)))
    html = mailbox.mails[0].get_body(("html",))
    assert html is not None
    said = html.get_content()
    assert ">Incident: Graph &lt;fails&gt;</h2>" in said
    cause = f"{INCIDENT.cause} Also: {INCIDENT.evidence[0]}."
    assert f"<strong>Probable cause:</strong> {cause}</p>" in said
    assert f"<strong>Impact:</strong> {INCIDENT.impact}</p>" in said
    assert f'href="{INCIDENT.url}">Open the incident</a>' in said


def test_what_somebody_sent_is_no_markup_of_a_mail(mailbox: Mailbox) -> None:
    send(channel("email", {"to": ["a@b.example"]}), message(title="<script>\r\nBcc: x", alerts=()))
    (mail,) = mailbox.mails
    html = mail.get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()
    assert mail["Bcc"] is None


def test_a_report_brings_its_own_html(mailbox: Mailbox) -> None:
    send(channel("email", {"to": ["a@b.example"]}), message(html="<p>the week</p>"))
    html = mailbox.mails[0].get_body(("html",))
    assert html is not None
    assert html.get_content().strip() == "<p>the week</p>"


def test_a_busy_server_is_asked_again_with_the_same_message_id(mailbox: Mailbox) -> None:
    mailbox.answers = ["451 later"]
    delivery = send(channel("email", {"to": ["a@b.example"]}))
    assert delivery.state == "pending"
    assert "451" in delivery.last_error
    deliveries_send(now=at(10), rng=random.Random(1))
    delivery.refresh_from_db()
    assert delivery.state == "delivered"
    assert [each["Message-ID"] for each in mailbox.mails] == [f"<{delivery.pk}@127.0.0.1>"]


def test_a_refusal_of_the_mail_or_of_everybody_is_for_good(mailbox: Mailbox) -> None:
    mailbox.answers = ["554 no spam here"]
    assert send(channel("email", {"to": ["a@b.example"]})).state == "failed"
    mailbox.refuse = {"a@b.example": "550 no such user"}
    delivery = send(channel("email", {"to": ["a@b.example"]}))
    assert delivery.state == "failed"
    assert "no such user" in delivery.last_error


def test_a_mail_that_some_recipients_get_is_delivered_and_says_who_does_not(
    mailbox: Mailbox,
) -> None:
    mailbox.refuse = {"gone@b.example": "550 no such user"}
    delivery = send(channel("email", {"to": ["a@b.example", "gone@b.example"]}))
    assert delivery.state == "delivered"
    assert delivery.last_error == "Refused for gone@b.example"


def test_a_password_is_sent_over_tls_alone(mailbox: Mailbox) -> None:
    url = config.resilience_smtp_url.replace("smtp://", "smtp://me:pass-word-1@")
    delivery = send(channel("email", {"to": ["a@b.example"], "smtp_url": url}))
    assert delivery.state == "failed"
    assert "TLS only" in delivery.last_error
    assert mailbox.mails == []
    assert "pass-word-1" not in str(delivery.tries.get().request)


def test_a_server_that_is_away_is_tried_again(mailbox: Mailbox) -> None:
    to = channel("email", {"to": ["a@b.example"], "smtp_url": "smtp://127.0.0.1:9"})
    delivery = send(to)
    assert delivery.state == "pending"
    assert "127.0.0.1:9 cannot be reached" in delivery.last_error
    assert delivery.next_at > NOW
