"""The public status page, its JSON and its feed."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from breakers.models import Notice
from breakers.services.degraded import degraded_set
from resilience_site.core.choices import Role
from resilience_site.pages import status
from tests.breakers.steering.scenes import AGENT, ANA, PLANNER

PATHS = ["/status", "/status.json", "/status/feed.rss"]
Announce = Callable[..., None]


@pytest.fixture
def announce(fleet: None) -> Announce:
    """Sets a level as an operator would, and lets the page look anew."""

    def set_level(
        level: str, notice: str = "", service: str = PLANNER, now: datetime | None = None
    ) -> None:
        degraded_set(
            service=service, level=level, notice=notice, reason="secret reason",
            actor=ANA, role=Role.ADMIN, now=now,
        )  # fmt: skip
        status.forget()

    return set_level


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("path", PATHS)
def test_everybody_reads_it_without_cookies(path: str) -> None:
    answer = Client().get(path)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == f"public, max-age={status.MAX_AGE}"
    assert not answer.cookies
    assert "Cookie" not in answer.headers.get("Vary", "")
    assert Client().post(path).status_code == 405


def test_the_sentence_tells_the_worst_level(announce: Announce) -> None:
    client = Client()
    assert "All systems operational" in client.get("/status").text
    announce("reduced", "Plans may be old.")
    text = client.get("/status").text
    assert "Degraded service" in text
    assert "Plans may be old." in text
    assert "<h3>Planner</h3>" in text
    announce("essential", service=AGENT)
    text = client.get("/status").text
    assert "Partial outage" in text
    assert "2 notices in force" in text


def test_nothing_internal_is_told(announce: Announce) -> None:
    announce("reduced")
    announce("offline", service=AGENT)
    for path in PATHS:
        text = Client().get(path).text
        for secret in (PLANNER, AGENT, "ana", "secret reason"):
            assert secret not in text, (path, secret)
        assert "A service" in text


def test_what_somebody_wrote_is_text_and_not_markup(announce: Announce) -> None:
    announce("reduced", "<script>alert(1)</script> & <b>so</b>")
    html = Client().get("/status").text
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in html
    items = ET.fromstring(Client().get("/status/feed.rss").content).findall(".//item")
    assert "<script>alert(1)</script> & <b>so</b>" in str(items[0].findtext("description"))


def test_a_notice_that_is_set_or_ended_shows_within_the_time_of_the_caches(
    announce: Announce, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status.READ_SECONDS + status.MAX_AGE + status.REFRESH_SECONDS <= 5
    client, clock = Client(), [0.0]
    monkeypatch.setattr(status._remembered, "_clock", lambda: clock[0])
    client.get("/status")
    degraded_set(
        service=PLANNER, level="reduced", notice="Late.", reason="r", actor=ANA, role=Role.ADMIN
    )
    assert "Late." not in client.get("/status").text
    clock[0] += status.READ_SECONDS
    assert "Late." in client.get("/status").text
    degraded_set(service=PLANNER, level="normal", reason="", actor=ANA, role=Role.ADMIN)
    clock[0] += status.READ_SECONDS
    text = client.get("/status").text
    assert "All systems operational" in text
    assert "Resolved" in text


@pytest.mark.usefixtures("fleet")
def test_a_crowd_costs_one_read_of_the_store_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(status._remembered, "_clock", lambda: clock[0])
    with CaptureQueriesContext(connection) as one:
        Client().get("/status")
    status.forget()
    with CaptureQueriesContext(connection) as queries:
        for _ in range(20):
            for path in PATHS:
                Client().get(path)
    assert len(queries) == len(one) > 0


@pytest.mark.parametrize("path", PATHS)
def test_who_has_it_is_told_so_until_it_changes(
    announce: Announce, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
    monkeypatch.setattr(status, "_reading", lambda: status.read(at))
    first = Client().get(path)
    tag = {"If-None-Match": first.headers["ETag"]}
    again = Client().get(path, headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["Cache-Control"] == f"public, max-age={status.MAX_AGE}"
    announce("reduced", "Late.")
    assert Client().get(path, headers=tag).status_code == 200


@pytest.mark.usefixtures("fleet")
def test_those_who_take_json_alone_get_json() -> None:
    client = Client()
    assert client.get("/status", headers={"Accept": "application/json"}).json()["notices"] == []
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    page = client.get("/status", headers={"Accept": browser})
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["Vary"] == "Accept"


def test_the_json_holds_the_same_facts(announce: Announce) -> None:
    announce("offline", "Back at noon.")
    document = Client().get("/status.json").json()
    notice = Notice.objects.get()
    assert (document["status"], document["sentence"]) == ("partial_outage", "Partial outage")
    assert document["past_notices"] == []
    [told] = document["notices"]
    assert set(told) == {"id", "name", "level", "text", "started_at", "ended_at"}
    assert (told["id"], told["name"], told["level"], told["text"], told["ended_at"]) == (
        str(notice.id), "Planner", "offline", "Back at noon.", None,
    )  # fmt: skip
    assert datetime.fromisoformat(told["started_at"]) - notice.started_at < timedelta(seconds=1)


def test_the_page_refreshes_by_itself_unless_told_not_to(announce: Announce) -> None:
    noscript = '<noscript><meta http-equiv="refresh" content="3"></noscript>'
    assert noscript in Client().get("/status").text
    quiet = Client().get("/status?refresh=off")
    assert "http-equiv" not in quiet.text
    assert "js/status" not in quiet.text
    assert "Does not refresh by itself" in quiet.text
    assert "http-equiv" not in quiet.text


def test_the_feed_keeps_the_identity_of_a_notice_when_it_ends(announce: Announce) -> None:
    began = datetime.now(UTC) - timedelta(hours=3)
    announce("reduced", "Plans may be old.", now=began)
    first = Client().get("/status/feed.rss")
    channel = ET.fromstring(first.content).find("channel")
    assert channel is not None
    [item] = channel.findall("item")
    guid = item.find("guid")
    assert guid is not None
    assert (guid.text, guid.get("isPermaLink")) == (Notice.objects.get().id.urn, "false")
    assert item.findtext("title") == "Planner: reduced service"
    assert "Ongoing since" in str(item.findtext("description"))
    assert item.findtext("category") == "ongoing"
    told = parsedate_to_datetime(str(item.findtext("pubDate")))
    assert told == began.replace(microsecond=0)
    assert parsedate_to_datetime(first.headers["Last-Modified"]) == told

    announce("normal", now=began + timedelta(hours=1))
    second = Client().get("/status/feed.rss")
    [item] = ET.fromstring(second.content).findall(".//item")
    assert item.findtext("guid") == guid.text
    assert item.findtext("category") == "resolved"
    assert "Ongoing" not in str(item.findtext("description"))
    ended = parsedate_to_datetime(second.headers["Last-Modified"])
    assert ended == (began + timedelta(hours=1)).replace(microsecond=0)
    since = {"If-Modified-Since": second.headers["Last-Modified"]}
    assert Client().get("/status/feed.rss", headers=since).status_code == 304


@pytest.mark.usefixtures("fleet")
def test_an_empty_feed_is_a_feed() -> None:
    answer = Client().get("/status/feed.rss")
    assert answer.headers["Content-Type"].startswith("application/rss+xml")
    assert ET.fromstring(answer.content).get("version") == "2.0"
    assert "Last-Modified" not in answer.headers
