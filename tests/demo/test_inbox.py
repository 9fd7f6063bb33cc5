from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from alerting.models import Channel
from alerting.services.channels import channel_create
from deploy.demo import inbox
from resilience_site.config import config
from resilience_site.core.audit import Actor
from tests.demo.graph import Graph
from tests.livesite import LiveSite


def test_the_inbox_shows_each_message_once_the_newest_first(graph: Graph) -> None:
    for name in ("one", "one", "two"):
        answer = graph.http.post("/_inbox", json={"title": name}, headers={"webhook-id": name})
        assert answer.status_code == 204
    shown = graph.http.get("/_inbox").json()["items"]
    assert [each["message"]["title"] for each in shown[:2]] == ["two", "one"]
    assert shown[0]["headers"]["webhook-id"] == "two"


def test_the_inbox_refuses_what_is_no_json_or_too_long(graph: Graph) -> None:
    assert graph.http.post("/_inbox", content=b"{").status_code == 400
    assert graph.http.post("/_inbox", content=b" " * 1_000_001).status_code == 413


def test_a_site_that_may_call_it_takes_the_channel(graph: Graph, db: None) -> None:
    with config.override(resilience_allow_private_targets=True):
        made = channel_create(
            given=inbox.channel(graph.url), actor=Actor.system("demo"), now=datetime.now(UTC)
        ).channel
    assert made.target["url"] == f"{graph.url}/_inbox"


def test_a_site_that_refuses_is_asked_once_and_the_reason_logged(
    site: LiveSite,
    graph: Graph,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("RESILIENCE_OPERATOR_KEY", site.operator_key)
    monkeypatch.setenv("RESILIENCE_URL", site.url)
    monkeypatch.setenv("GRAPH_URL", graph.url)
    asyncio.run(asyncio.wait_for(inbox.subscribe(asyncio.Event()), 60))
    assert "RESILIENCE_ALLOW_PRIVATE_TARGETS" in caplog.text
    assert not Channel.objects.exists()
