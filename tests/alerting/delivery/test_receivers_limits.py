"""However much there is to say, each kind of channel stays within what its receiver takes."""

from __future__ import annotations

import re
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast
from uuid import UUID

import orjson
import pytest

from alerting.channels import Envelope, kind_named
from alerting.channels.email.composing import mail_of
from alerting.channels.http import HttpKind
from alerting.channels.webhook.body import MOST_BYTES
from alerting.choices import Purpose
from alerting.domain.messages import IncidentTold, Message, Why
from tests.alerting.delivery.scene import (
    NOW,
    SECRET,
    message,
    told,
)

KEY = "0123456789abcdef0123456789abcdef"
NASTY = "<&*!here> 😀"
STORM = message(
    title=NASTY * 40,
    text=NASTY * 800,
    group_key="k" * 400,
    left_out=9_970,
    note=NASTY * 400,
    why=Why("first", NASTY * 100, "default", {"service": "planner"}),
    alerts=tuple(
        told(
            summary=NASTY * 100, details=NASTY * 400, runbook_url="https://x.example/" + "r" * 3_900,
            labels={"service": "s" * 255, **{f"l{n}": "v" * 1_000 for n in range(64)}},
        )
        for n in range(30)
    ),
    incidents=tuple(
        IncidentTold(
            title="😀" * 300, url=f"http://127.0.0.1:8000/incidents/{n}", cause="😀" * 500,
            evidence=(NASTY * 50, "😀" * 500), impact="😀" * 500,
        )
        for n in range(3)
    ),
)  # fmt: skip
STORMS = pytest.mark.parametrize(
    "what", [STORM, replace(STORM, alerts=(), left_out=0)], ids=["alerts", "words alone"]
)


def posted(kind: str, target: dict[str, Any], what: Message) -> bytes:
    known = kind_named(kind)
    assert isinstance(known, HttpKind)
    envelope = Envelope(UUID(int=1), what, Purpose.ALERTS, "ops", created_at=NOW, at=NOW)
    return known.request(known.parse(target), envelope).body or b""


@STORMS
def test_a_storm_stays_within_what_slack_shows(what: Message) -> None:
    card = orjson.loads(posted("slack", {"url": "https://hooks.example/x"}, what))
    attachments = card["attachments"]
    assert 0 < len(attachments) <= 20
    texts = [card["text"], *(each["text"] for each in attachments)]
    small = [each.get(name, "") for each in attachments for name in ("title", "footer")]
    assert max(map(len, texts)) <= 3_000
    assert max(map(len, small)) <= 300
    # Nothing that was cut is half a sign, and nobody is called by any of it.
    for text in (*texts, *small):
        assert not re.search(r"&(?!amp;|lt;|gt;)|<(?!https?://)", text)
    # An address that is longer than Slack takes makes no text of it that cannot be read.
    assert "rrrr" not in str(card)


@STORMS
def test_a_storm_stays_within_what_teams_takes(what: Message) -> None:
    body = posted("teams", {"url": "https://flows.example/x"}, what)
    assert len(body) < 28_000
    said = [each["text"] for each in orjson.loads(body)["attachments"][0]["content"]["body"]]
    alerts = [text for text in said if text.startswith("Page, since")]
    assert bool(alerts) == bool(what.alerts)
    if alerts:
        assert f"And {10_000 - len(alerts):,} more\\." in said


@STORMS
@pytest.mark.parametrize("status", ["firing", "resolved"])
def test_a_storm_stays_within_what_pagerduty_takes(what: Message, status: Any) -> None:
    what = replace(what, status=status)
    body = posted("pagerduty", {"routing_key": KEY}, what)
    assert len(body) < 512_000
    event = orjson.loads(body)
    assert 0 < len(event["dedup_key"]) <= 255
    assert event["event_action"] == ("trigger" if status == "firing" else "resolve")
    if status == "firing":
        assert 0 < len(event["payload"]["summary"]) <= 1_024
        assert event["payload"]["source"]


@STORMS
def test_a_storm_stays_within_what_receivers_of_webhooks_take(what: Message) -> None:
    document = orjson.loads(
        body := posted("webhook", {"url": "https://x.example", "secret": SECRET}, what)
    )
    assert len(body) <= MOST_BYTES
    assert document["truncatedAlerts"] + len(document["alerts"]) == len(what.alerts) + what.left_out


def test_mails_of_one_group_stand_in_one_thread_however_long_its_texts_are() -> None:
    def mail(number: int, **more: Any) -> EmailMessage:
        what = replace(STORM, **more)
        envelope = Envelope(UUID(int=number), what, Purpose.ALERTS, "ops", created_at=NOW, at=NOW)
        made = mail_of(envelope, sender="site@example.com", to=["ann@example.com"])
        raw = made.as_bytes()
        # As RFC 5322 bounds each line, and mail servers refuse what is longer.
        assert max(map(len, raw.split(b"\r\n"))) <= 998
        return cast(EmailMessage, message_from_bytes(raw, policy=default))

    fires, over = mail(1), mail(2, status="resolved", title="Over:\r\nBcc: all@example.com")
    other = mail(3, group_key="another")
    assert fires["References"] == over["References"] != other["References"]
    assert len({each["Message-ID"] for each in (fires, over, other)}) == 3
    for each in (fires, over, other):
        for name in ("References", "Message-ID"):
            assert re.fullmatch(r"<[\w-]+@127\.0\.0\.1>", each[name])
        assert each["List-Id"] == "<alerts.127.0.0.1>"
        assert each["Auto-Submitted"] == "auto-generated"
        assert each["Bcc"] is None
        assert 0 < len(each["Subject"]) <= 200


def test_a_key_that_pagerduty_would_not_take_is_told_apart_from_others_all_the_same() -> None:
    keys = set()
    for each in ("a", "b"):
        what = message(group_key="k" * 300 + each)
        for status in ("firing", "resolved"):
            body = posted("pagerduty", {"routing_key": KEY}, replace(what, status=status))
            keys.add(orjson.loads(body)["dedup_key"])
    assert len(keys) == 2
