"""Channels and deliveries in a real browser: both themes, a phone, and live."""

from __future__ import annotations

import random
import threading

import pytest
from django.db import connections
from playwright.sync_api import BrowserContext, Page, expect

from alerting.services.sending import deliveries_send
from resilience_site.core.choices import Role
from tests.alerting.delivery.receivers import Answer, Receiver
from tests.alerting.delivery.scene import NOW, enqueue, message, webhook
from tests.livesite import LiveSite
from tests.screens import FORM_LOOKS, problems, say

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

    page.goto("/alerts/deliveries")
    say(page, "Live")
    enqueue(to, message(title="A second message"))
    delivery.next_at = NOW
    delivery.save()
    send()
    expect(page.get_by_role("link", name="A second message")).to_be_visible()
