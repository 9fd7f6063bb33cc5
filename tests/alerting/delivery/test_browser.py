"""Channels and deliveries in a real browser: both themes, a phone, and live."""

from __future__ import annotations

import random
import threading
from uuid import UUID

import pytest
from django.db import connections
from playwright.sync_api import BrowserContext, Page, expect

from alerting.channels import Envelope
from alerting.channels.email.html import html_of
from alerting.choices import Purpose
from alerting.domain.messages import Message
from alerting.services.sending import deliveries_send
from resilience_site.core.choices import Role
from tests.alerting.delivery.receivers import Answer, Receiver
from tests.alerting.delivery.scene import INCIDENT, NOW, enqueue, message, told, webhook
from tests.livesite import LiveSite
from tests.screens import ALL_LOOKS, FORM_LOOKS, overflows, problems, say, violations

pytestmark = pytest.mark.browser


def send() -> None:
    """In a thread: the browser's loop runs in this one."""

    def turn() -> None:
        deliveries_send(now=NOW, rng=random.Random(1))
        connections.close_all()

    thread = threading.Thread(target=turn)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


def test_screens_are_accessible_fit_a_phone_and_follow_what_is_sent(
    page: Page, context: BrowserContext, site: LiveSite, receiver: Receiver
) -> None:
    site.sign_in(context, Role.ADMIN)
    receiver.answers = [Answer(503, body=b"later " * 80), Answer()]
    to = webhook(receiver.url, "ops")
    webhook("http://127.0.0.1:9/", "spare", paused_at=NOW, paused_why="It answered 410 Gone")
    delivery = enqueue(to)
    send()
    path = f"/alerts/channels/{to.pk}"
    for each in (
        "/alerts/channels",
        path,
        "/alerts/deliveries",
        f"/alerts/deliveries/{delivery.pk}",
    ):
        assert problems(page, each) == []
    for each in ("/alerts/channels/new", "/alerts/channels/new?kind=webhook", f"{path}/pause"):
        assert problems(page, each, FORM_LOOKS) == []

    page.goto(path)
    card = page.locator("#target").bounding_box()
    for inner in (page.locator("#target dt").first, page.get_by_role("link", name="All deliver")):
        box = inner.bounding_box()
        assert card is not None
        assert box is not None
        assert box["x"] - card["x"] >= 12
    page.goto("/alerts/deliveries")
    say(page, "Live")
    enqueue(to, message(title="A second message"))
    delivery.next_at = NOW
    delivery.save()
    send()
    expect(page.get_by_role("link", name="A second message")).to_be_visible()


def mail(what: Message) -> str:
    return html_of(Envelope(UUID(int=1), what, Purpose.ALERTS, "mail", created_at=NOW, at=NOW))


def test_a_mail_can_be_read_on_a_phone_at_night(page: Page) -> None:
    long = "https://example.com/" + "x" * 200
    alerts = [
        told(id=str(n), summary=f"Check {n}", severity=severity, details=long, url=f"http://a/{n}")
        for n, severity in enumerate(("page", "ticket", "info") * 10)
    ]
    alerts[2] = told(status="resolved", ended_at=NOW)
    many = mail(message(title=long, alerts=tuple(alerts), incidents=(INCIDENT, INCIDENT)))
    found = []
    for scheme, size in ALL_LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size)
        for html in (many, mail(message(alerts=alerts[:3], incidents=(INCIDENT,), note=long))):
            page.set_content(html)
            found += [f"{scheme} {size['width']}: {each}" for each in violations(page)]
            found += [f"wider than {size['width']}"] if overflows(page) else []
    assert found == []
    # What an eye in the dark sees, and a finger can hit.
    card = page.locator(".card")
    page.emulate_media(color_scheme="dark")
    expect(card).to_have_css("background-color", "rgb(26, 30, 35)")
    button = page.get_by_role("link", name="Open the incident").bounding_box()
    assert button is not None
    assert button["height"] >= 44
