"""A key with which telemetry came is told of once a minute, so that its silence can be noticed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from alerting.models import Alert
from alerting.services.rules.evaluate import rules_evaluate
from alerting.services.rules.shipped import rules_ship
from analytics.services import keys_heard
from resilience_site.core import journal
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Scope
from resilience_site.core.keys import key_create, key_revoke

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Earlier tests sent telemetry to this process as well."""
    monkeypatch.setattr(keys_heard, "_noted", set())
    monkeypatch.setattr(keys_heard, "_told", {})


def heard() -> list[tuple[str, str]]:
    return [(each.kind, each.key) for each in journal.read(0, ["ingest"]) if "key" in each.kind]


def test_a_key_is_told_of_once_a_minute_and_its_silence_is_an_alert(client: Client) -> None:
    now = datetime.now(UTC)
    rules_ship(now=now)
    key, token = key_create(name="planner's", scope=Scope.INGEST, actor=Actor.system("test"))
    posted = client.post(
        "/api/v1/errors",
        {"service": "planner", "message": "no"},
        content_type="application/json",
        headers={"authorization": f"Bearer {token}"},
    )
    assert posted.status_code == 202
    assert keys_heard.keys_tell(now=now) == 1
    keys_heard.key_note(key.pk)
    assert keys_heard.keys_tell(now=now + timedelta(seconds=59)) == 0
    assert keys_heard.keys_tell(now=now + timedelta(seconds=60)) == 1
    assert heard() == [("key.heard", str(key.pk))] * 2

    rules_evaluate(now=now + timedelta(minutes=14))
    assert not Alert.objects.filter(rule_name="ingest_key_silent").exists()
    rules_evaluate(now=now + timedelta(minutes=16))
    alert = Alert.objects.get(rule_name="ingest_key_silent")
    assert alert.state == "firing"
    assert alert.annotations["summary"] == "Nothing comes with key planner's any more"

    key_revoke(key_id=key.pk, actor=Actor.system("test"))
    assert heard()[-1] == ("key.retired", str(key.pk))
    rules_evaluate(now=now + timedelta(minutes=17))
    alert.refresh_from_db()
    assert alert.state == "resolved"
