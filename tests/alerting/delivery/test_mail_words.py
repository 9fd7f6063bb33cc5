"""What a mail of alerts says, and how it is told from others in a full mailbox."""

from __future__ import annotations

from email.message import EmailMessage
from html.parser import HTMLParser
from uuid import UUID

import pytest

from alerting.channels import Envelope
from alerting.channels.email.composing import mail_of
from alerting.choices import Purpose
from alerting.domain.messages import AlertTold, Message
from tests.alerting.delivery.scene import INCIDENT, NOW, message, told

CHECK_ID = "ddb59472-0000-4000-8000-000000000009"
URL = "http://127.0.0.1:8000/alerts?group=1"


class Read(HTMLParser):
    """The texts of a mail, and its links with their words, without the preview of mailboxes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.style: dict[str, str] = {}
        self._href = ""
        self._unseen = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self._unseen = tag if tag in ("title", "style") or "aria-hidden" in found else self._unseen
        self._href = (found.get("href") or "") if tag == "a" else self._href
        self._style = found.get("style") or ""

    def handle_endtag(self, tag: str) -> None:
        self._unseen = "" if tag == self._unseen else self._unseen
        self._href = "" if tag == "a" else self._href

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if not text or self._unseen:
            return
        self.texts.append(text)
        self.style.setdefault(text, self._style)
        if self._href:
            self.links.append((text, self._href))


def mail(what: Message, purpose: Purpose = Purpose.ALERTS) -> EmailMessage:
    envelope = Envelope(UUID(int=1), what, purpose, "mail", created_at=NOW, at=NOW)
    return mail_of(envelope, sender="site@example.com", to=["ann@example.com"])


def read(what: Message) -> Read:
    html = mail(what).get_body(("html",))
    assert html is not None
    return Read(html.get_content())


def alert(number: int, **more: object) -> AlertTold:
    told_of = {"id": str(number), "url": f"http://127.0.0.1:8000/alerts/{number}"}
    return told(**{**told_of, "summary": f"Check {number} fails", "details": "", **more})


@pytest.mark.parametrize(
    ("what", "purpose", "subject"),
    [
        (message(title="Down", severity="page"), Purpose.ALERTS, "[page] Down"),
        (message(title="Slow", severity="ticket"), Purpose.ALERTS, "[ticket] Slow"),
        # What filters by its urgency files its end beside it.
        (message(title="Over: Down", status="resolved"), Purpose.ALERTS, "[page] Over: Down"),
        (message(title="Nobody", alerts=(), severity="page"), Purpose.ALERTS, "[page] Nobody"),
        (message(title="The week", alerts=()), Purpose.REPORT, "The week"),
        (message(title="A test", alerts=()), Purpose.TEST, "A test"),
    ],
)
def test_the_subject_of_a_mail_begins_with_its_urgency(
    what: Message, purpose: Purpose, subject: str
) -> None:
    assert mail(what, purpose)["Subject"] == subject


@pytest.mark.parametrize(
    ("severity", "status", "word", "colour"),
    [
        ("page", "firing", "Page", "#c62828"),
        ("ticket", "firing", "Ticket", "#9a5b00"),
        ("info", "firing", "Info", "#1565c0"),
        ("page", "resolved", "Over", "#2e7d32"),
    ],
)
def test_urgency_is_a_word_and_a_colour(severity: str, status: str, word: str, colour: str) -> None:
    found = read(message(severity=severity, status=status))
    assert found.texts[0] == word
    assert f"background-color:{colour}" in found.style[word]


def test_the_cause_and_each_link_are_said_once_for_all_alerts_with_words() -> None:
    alerts = tuple(alert(n, incident_url=INCIDENT.url) for n in range(5))
    found = read(message(alerts=alerts, incidents=(INCIDENT,), url=URL))
    assert sum(INCIDENT.cause in text for text in found.texts) == 1
    assert found.links[:3] == [
        ("Open the incident", INCIDENT.url),
        ("What to do", "https://runbooks.example.com/breaker"),
        ("See the alerts", URL),
    ]
    # Beside those there are the alerts, and the site in the last line.
    assert found.links[3:-1] == [(each.summary, each.url) for each in alerts]
    assert not [text for text in found.texts if text.startswith("http")]


def test_runbooks_of_several_rules_are_told_apart() -> None:
    other = alert(
        2, rule="slo_burn_fast", runbook_url="http://127.0.0.1:8000/runbooks/slo_burn_fast"
    )
    found = read(message(alerts=(alert(1), other, alert(3))))
    assert ("What to do: breaker-open", told().runbook_url) in found.links
    assert ("What to do: slo burn fast", other.runbook_url) in found.links
    assert sum(words.startswith("What to do") for words, _ in found.links) == 2


def test_of_many_alerts_ten_are_listed_and_the_rest_is_counted() -> None:
    alerts = tuple(alert(n, details="word " * 99) for n in range(30))
    found = read(message(alerts=alerts, left_out=770, url=URL))
    listed = [words for words, _ in found.links if words.endswith("fails")]
    assert listed == [f"Check {n} fails" for n in range(10)]
    assert ("And 790 more", URL) in found.links
    # The same details are said once, in one line.
    (details,) = [text for text in found.texts if text.startswith("word")]
    assert len(details) == 100


def test_labels_that_say_nothing_to_a_person_are_left_out() -> None:
    labels = {
        "alertname": "check_failed", "severity": "page", "service": "planner", "region": "eu-west-1",
        "check_id": CHECK_ID, "pattern": "0123456789abcdef",
    }  # fmt: skip
    found = read(message(alerts=(alert(1, labels=labels, summary="Check redis of planner fails"),)))
    assert [text for text in found.texts if "region" in text] == [
        "Page, since 2026-11-26 12:00:00 UTC · region: eu-west-1"
    ]
    assert CHECK_ID not in " ".join(found.texts)


def test_what_the_title_says_is_not_said_again() -> None:
    single = alert(1)
    found = read(message(title=single.summary, alerts=(single,)))
    assert found.texts.count(single.summary) == 1
    assert ("The alert", single.url) in found.links
