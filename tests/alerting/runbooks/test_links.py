"""From a shipped rule to the runbook in the hand of who is woken: stored, sent, shown."""

from __future__ import annotations

import importlib
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import Client

from alerting.models import Alert, AlertRule, RuleProgress
from alerting.selectors.runbooks import runbook_whole
from alerting.services import shipped_routing
from alerting.services.dispatch import alerts_dispatch
from alerting.services.incident_follow import incidents_follow
from alerting.services.rules import shipped
from alerting.services.rules.evaluate import rules_evaluate
from alerting.services.rules.shipped import rules_ship, rules_shipped
from alerting.services.rules.store import rule_update
from alerting.services.sending import deliveries_send
from alerting.views.runbook_html import sections_of
from resilience_site.config import config
from resilience_site.core.audit import Actor
from tests.alerting.delivery.receivers import Receiver, running_receiver
from tests.alerting.delivery.scene import channel, webhook
from tests.alerting.delivery.test_email import Mailbox, mailbox
from tests.alerting.rules.history import at, breaker
from tests.queries import pinned, queries_of

__all__ = ["mailbox"]
pytestmark = pytest.mark.django_db
ANN = Actor.system("ann")
SITE = "https://resilience.example.com"
PATH = "/runbooks/breaker_open"
PINNED = pinned(__file__)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with (
        running_receiver() as found,
        config.override(
            resilience_allow_private_targets=True,
            proactive_alerting_enabled=True,
            resilience_public_url=SITE,
        ),
    ):
        yield found


def fire() -> Alert:
    """A breaker opens, and the shipped rule about that fires."""
    rules_ship(now=at(0))
    breaker(60, "open")
    rules_evaluate(now=at(70))
    return Alert.objects.get(rule_name="breaker_open")


def test_what_is_sent_of_a_shipped_rule_leads_to_its_runbook_on_this_site(
    receiver: Receiver,
    mailbox: Mailbox,
    viewer: Client,
) -> None:
    shipped_routing.routing_ship()
    webhook(receiver.url)
    channel("email", {"to": ["ops@example.com"]})
    fire()
    now = datetime.now(UTC)
    alerts_dispatch(now=now)
    alerts_dispatch(now=now + timedelta(seconds=31))
    deliveries_send(now=now + timedelta(seconds=32), rng=random.Random(1))
    (request,) = receiver.received
    (alert,) = request.document["alerts"]
    assert alert["annotations"]["runbook_url"] == SITE + PATH
    assert request.document["commonAnnotations"]["runbook_url"] == SITE + PATH
    (mail,) = mailbox.mails
    html, plain = mail.get_body(("html",)), mail.get_body(("plain",))
    assert html is not None
    assert plain is not None
    assert f'href="{SITE}{PATH}"' in html.get_content()
    assert f"What to do: {SITE}{PATH}" in plain.get_content()
    assert viewer.get(urlsplit(alert["annotations"]["runbook_url"]).path).status_code == 200


def test_the_alert_its_rule_and_its_incident_lead_there(operator: Client) -> None:
    alert = fire()
    incidents_follow(now=at(80))
    alert.refresh_from_db()
    for page in (
        f"/alerts/{alert.pk}",
        "/alerts/rules/breaker_open",
        f"/incidents/{alert.incident_id}",
    ):
        assert f'href="{PATH}"' in operator.get(page).content.decode(), page
    with config.override(resilience_public_url=SITE):
        assert operator.get(f"/api/v1/alerts/{alert.pk}").json()["runbook_url"] == SITE + PATH


def test_a_runbook_shows_the_alerts_that_ask_for_it(viewer: Client) -> None:
    rules_ship(now=at(0))
    assert "No alert of this rule fires now." in viewer.get(PATH).content.decode()
    assert "No alert fires now." in viewer.get("/runbooks").content.decode()
    alert = fire()
    page = viewer.get(PATH).content.decode()
    assert f'href="/alerts/{alert.pk}">Breaker graph of planner is open</a>' in page
    assert f'href="{PATH}">breaker_open</a>, 1 alert:' in viewer.get("/runbooks").content.decode()


def test_there_is_nothing_beside_the_runbooks(viewer: Client) -> None:
    assert viewer.get("/runbooks/").url == "/runbooks"  # type: ignore[attr-defined]
    for name in ("README", "nothing", "Breaker_open", "rules.yaml", "..%2Fhealing"):
        assert viewer.get(f"/runbooks/{name}").status_code == 404, name


def test_a_change_of_a_shipped_rule_keeps_its_link_and_a_link_of_ones_own_stays() -> None:
    rules_ship(now=at(0))
    rule_update(name="anomaly", fields={"severity": "info"}, actor=ANN, now=at(1))
    rule_update(
        name="pattern_new",
        fields={"runbook_url": "https://wiki.example.org/new"},
        actor=ANN,
        now=at(1),
    )
    rule_update(name="pattern_regressed", fields={"runbook_url": ""}, actor=ANN, now=at(1))
    rules_ship(now=at(2))
    found = dict(AlertRule.objects.values_list("name", "runbook_url"))
    assert found.pop("pattern_new") == "https://wiki.example.org/new"
    assert found.pop("pattern_regressed") == ""
    assert found == {name: f"/runbooks/{name}" for name in found}
    assert len(found) == len(rules_shipped()) - 2


def test_a_person_changes_a_shipped_rule_on_its_form_and_gives_one_of_ones_own_a_runbook(
    operator: Client,
) -> None:
    rules_ship(now=at(0))
    shown = operator.get("/alerts/rules/anomaly/edit").content.decode()
    assert 'value="/runbooks/anomaly"' in shown
    given = {
        "severity": "info", "title": "T", "summary": "S", "runbook_url": "/runbooks/anomaly",
        "condition": json.dumps(AlertRule.objects.get(name="anomaly").condition), "labels": "{}",
        "for_seconds": "0", "keep_firing_seconds": "0", "enabled": "on", "description": "",
        "details": "", "version": "1",
    }  # fmt: skip
    tried = operator.post("/alerts/rules/anomaly/edit", {**given, "act": "try"})
    assert 'value="/runbooks/anomaly"' in tried.content.decode()
    assert operator.post("/alerts/rules/anomaly/edit", {**given, "act": "save"}).status_code == 302
    changed = AlertRule.objects.get(name="anomaly")
    assert (changed.severity, changed.runbook_url) == ("info", "/runbooks/anomaly")
    assert operator.post("/alerts/rules/new", {**given, "name": "mine"}).status_code == 302
    assert AlertRule.objects.get(name="mine").runbook_url == "/runbooks/anomaly"


def test_rules_from_before_there_were_runbooks_get_them_also_where_a_person_changed_them() -> None:
    rules_ship(now=at(0))
    rule_update(name="anomaly", fields={"severity": "info"}, actor=ANN, now=at(1))
    rule_update(
        name="pattern_new",
        fields={"runbook_url": "https://wiki.example.org/new"},
        actor=ANN,
        now=at(1),
    )
    AlertRule.objects.exclude(name="pattern_new").update(runbook_url="")
    migration = importlib.import_module("alerting.migrations.0009_runbooks")
    with connection.cursor() as cursor:
        cursor.execute(migration._RUNBOOKS)
    found = dict(AlertRule.objects.values_list("name", "runbook_url"))
    assert found.pop("pattern_new") == "https://wiki.example.org/new"
    assert found == {name: f"/runbooks/{name}" for name in found}


def test_new_words_of_a_shipped_rule_leave_its_open_alerts_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alert = fire()
    before = RuleProgress.objects.get(rule__name="breaker_open")
    forms = rules_shipped()
    words = {name: form.model_copy(update={"title": "Newer"}) for name, form in forms.items()}
    monkeypatch.setattr(shipped, "rules_shipped", lambda: words)
    assert len(rules_ship(now=at(100))) == len(forms)
    after = RuleProgress.objects.select_related("rule").get(rule__name="breaker_open")
    assert (after.rule_version, after.rule.version, after.rule.title) == (2, 2, "Newer")
    assert (after.cursor, after.state) == (before.cursor, before.state)
    # What decides when it fires has it begin anew.
    slower = {name: form.model_copy(update={"for_seconds": 60}) for name, form in words.items()}
    monkeypatch.setattr(shipped, "rules_shipped", lambda: slower)
    rules_ship(now=at(101))
    anew = RuleProgress.objects.select_related("rule").get(rule__name="breaker_open")
    assert (anew.rule_version, anew.rule.version) == (2, 3)
    alert.refresh_from_db()
    assert alert.state == "firing"


@pytest.mark.parametrize(
    ("link", "whole"),
    [
        (PATH, SITE + PATH),
        ("https://wiki.example.org/a", "https://wiki.example.org/a"),
        # What came from elsewhere stays as it came, and fails nobody's message.
        ("//evil.example/runbooks/a", "//evil.example/runbooks/a"),
        ("/runbooks/../admin", "/runbooks/../admin"),
        ("", ""),
    ],
)
def test_a_link_to_a_runbook_becomes_whole_and_no_other_is_touched(link: str, whole: str) -> None:
    with config.override(resilience_public_url=SITE):
        assert runbook_whole(link) == whole


def test_each_screen_takes_its_pinned_number_of_queries(viewer: Client) -> None:
    fire()
    assert {line: queries_of(viewer, line) for line in PINNED} == PINNED


def test_markup_in_a_runbook_is_text_and_links_lead_where_they_can() -> None:
    lead, first = sections_of(
        "Before <b>all</b>.\n\n## What to do\n\n[next](slo_burn.md) [all](README.md) "
        "[page](/health) [away](https://example.org/) [bad](javascript:alert(1))\n\n"
        "```sh\ncurl '<x>'\n```\n"
    )
    assert (lead.title, first.title, first.id) == ("", "What to do", "what-to-do")
    assert "&lt;b&gt;all&lt;/b&gt;" in lead.html
    assert '<a href="/runbooks/slo_burn">next</a> <a href="/runbooks">all</a>' in first.html
    assert '<a href="/health">page</a>' in first.html
    assert '<a href="https://example.org/" rel="noopener noreferrer">away</a>' in first.html
    assert 'href="javascript' not in first.html
    assert "curl &#x27;&lt;x&gt;&#x27;" in first.html
    assert 'aria-label="What to do, commands 1"' in first.html
    assert "data-copy" in first.html
