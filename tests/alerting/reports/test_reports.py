"""Reports hold what the store says of their time, are made once a week, and are mailed."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from alerting.domain.reports.budgets import basis_told, left_told, window_left
from alerting.domain.reports.figures import Budgets
from alerting.domain.reports.words import plain_text
from alerting.models import Alert, Channel, Delivery, Incident, ResilienceReport
from alerting.selectors.report_budgets import slo_lines
from alerting.selectors.report_counts import Incidents, alert_lines, incident_sums
from alerting.selectors.report_figures import figures_from_json, figures_json, figures_read
from alerting.services.reports import channel_reports_set, report_make, report_weekly_make
from analytics.selectors.slos import slo_figures, slos_enabled
from analytics.views.slo_words import told
from health.models import Service
from resilience_site.config import config
from resilience_site.core import journal
from resilience_site.core.audit import Actor
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Invalid
from resilience_site.core.timerange import TimeRange
from tests.alerting.pipeline.scene import (
    INTERVAL,
    WAIT,
    Scene,
    channel_made,
    route_made,
    silence_made,
)
from tests.alerting.reports import scene
from tests.alerting.reports.scene import NOW, SINCE, UNTIL, mail_channel
from tests.analytics.slos.scenes import slo
from tests.pages.html import text_of

pytestmark = pytest.mark.usefixtures("store")

ACTOR = Actor.system("tests")


def test_the_figures_are_those_of_the_store() -> None:
    scene.week()
    found = figures_read(TimeRange(SINCE, UNTIL))
    now, before = found.totals, found.before
    assert (now.measured.good, now.measured.bad, now.services) == (7 * 3_600 - 600, 600, 1)
    assert (before.measured.good, before.measured.bad) == (7 * 3_600 - 3, 3)
    assert (now.repairs.mttr, now.repairs.mtbf) == (300, (7 * 3_600 - 600) / 2)
    assert (before.repairs.mttr, before.repairs.failures) == (60, 1)
    assert (now.calls.calls, now.calls.failed, before.calls.calls) == (60, 6, 20)
    assert (now.errors, before.errors, now.patterns, now.patterns_new) == (40, 5, 1, 1)
    assert (now.openings, before.openings) == (2, 1)
    assert (now.incidents, now.acknowledge_seconds, now.resolve_seconds) == (1, 240, 2_400)
    assert (now.acknowledged, now.ended, before.acknowledged, before.ended) == (1, 1, 0, 0)
    assert (now.budgets, before.budgets) == (Budgets(3, 2, 2), Budgets(3, 1, 0))
    assert (now.alerts, now.pages, before.alerts, before.pages) == (2, 1, 1, 1)
    agent, planner = found.services
    assert (planner.service, planner.measured.bad, planner.measured_before.bad) == (
        "planner", 600, 3,
    )  # fmt: skip
    assert (agent.measured.ratio, agent.errors, agent.errors_before) == (None, 40, 5)
    assert [
        (line.slo.unit, line.slo.budget.bad, line.slo.budget.total)
        for line in found.services
        if line.slo and line.slo.budget
    ] == [("calls", 6, 60), ("seconds", 600, 7 * 3_600)]
    assert [(line.errors, line.before, line.new) for line in found.patterns] == [(40, 5, True)]
    assert [(line.openings, line.probes_failed, line.before) for line in found.breakers] == [
        (2, 1, 1)
    ]
    assert [(line.title, line.seconds, line.cause) for line in found.incidents] == [
        ("planner fails", 2_400, "pg does not answer")
    ]
    assert [
        (line.rule, line.fired, line.before, line.seconds, line.open) for line in found.alerts
    ] == [("burn", 1, 1, 1_800, 0), ("new-pattern", 1, 0, 86_400, 1)]


def test_means_of_incidents_are_of_those_that_people_took_up_and_of_those_that_ended() -> None:
    minute = timedelta(minutes=1)
    for acknowledged, ended in ((4, 10), (None, 30), (None, None)):
        Incident.objects.create(
            title="planner fails", severity="page", started_at=SINCE, changed_at=SINCE,
            acknowledged_at=acknowledged and SINCE + acknowledged * minute,
            ended_at=ended and SINCE + ended * minute,
        )  # fmt: skip
    assert incident_sums(TimeRange(SINCE, UNTIL)) == Incidents(
        began=3, acknowledged=1, ended=2, acknowledge_seconds=240, resolve_seconds=1_200
    )


def test_figures_are_read_back_as_they_were() -> None:
    scene.week()
    found = figures_read(TimeRange(SINCE, UNTIL))
    assert figures_from_json(json.loads(json.dumps(figures_json(found)))) == found


def test_budgets_are_those_that_the_pages_of_the_objectives_tell() -> None:
    scene.week()
    lines = slo_lines(TimeRange(UNTIL - timedelta(days=30), UNTIL))
    pages = {each.slo.service: each for each in slo_figures(slos_enabled(), UNTIL)}
    assert {line.service: line.budget for line in lines} == {
        name: each.budget for name, each in pages.items()
    }
    told_there = {name: told(each) for name, each in pages.items()}
    for line in lines:
        there = told_there[line.service]
        assert (left_told(line), window_left(line)) == (there.left, there.left)
        assert basis_told(line).startswith(there.basis.removesuffix(", last 30 d"))
    assert {line.service: left_told(line) for line in lines} == {
        "agent": "gone, spent 75 times",
        "planner": "gone, spent 12 times",
        "silent": "not enough data",
    }


def test_the_worst_of_the_objectives_of_a_service_is_its_budget() -> None:
    scene.week()
    slo("agent", kind="latency", objective=0.99, threshold_ms=500.0, min_bad=5)
    slo("agent", window_days=7, objective=0.5)
    found = figures_read(TimeRange(SINCE, UNTIL))
    (agent,) = (line.slo for line in found.services if line.service == "agent")
    assert agent is not None
    assert agent.budget is not None
    assert (agent.kind, agent.budget.bad) == ("availability", 6)
    assert found.totals.budgets == Budgets(3, 2, 2)
    verdict = report_make(since=SINCE, until=UNTIL, actor=ACTOR, now=NOW).figures["verdict"]
    assert verdict[0] == (
        "The error budget of this time is gone at 2 of 2 services (0 of 2 in the time before): "
        "agent (spent 100 times: 6 failed of 0.06 allowed), planner (spent 23.8 times: "
        "10 min down of 25.2 s allowed); not enough data for 1 more service."
    )


def test_held_back_are_those_of_which_nobody_was_ever_told() -> None:
    route_made("all", channel_made(), group_by=["alertname"])
    pages = Scene()
    silence_made(pages, alertname="silenced")
    pages.fire("told", "told and silenced since", "silenced")
    pages.turn()
    pages.wait(WAIT)
    silence_made(pages, alertname="told and silenced since")
    pages.wait(INTERVAL)
    held = Alert.objects.exclude(suppressed_by=[]).values_list("rule_name", flat=True)
    assert set(held) == {"silenced", "told and silenced since"}
    hour = timedelta(hours=1)
    lines = alert_lines(
        TimeRange(pages.now - hour, pages.now + hour),
        TimeRange(pages.now - 3 * hour, pages.now - hour),
    )
    assert {line.rule: (line.fired, line.held) for line in lines} == {
        "told": (1, 0), "told and silenced since": (1, 0), "silenced": (1, 1),
    }  # fmt: skip


def test_the_weekly_report_is_made_once_also_late_and_mailed_to_who_wants_it() -> None:
    scene.week()
    mail_channel("team")
    mail_channel("others", reports=False)
    mail_channel("off", enabled=False)
    assert report_weekly_make(now=UNTIL + timedelta(days=3)) is not None
    assert report_weekly_make(now=UNTIL + timedelta(days=4)) is None
    report = ResilienceReport.objects.get()
    assert (report.since, report.until, report.made_by) == (SINCE, UNTIL, "")
    delivery = Delivery.objects.get()
    assert (delivery.channel_name, delivery.purpose) == ("team", "report")
    message = delivery.message
    assert message["title"] == (
        "Resilience report 16 to 22 November 2026: 2 of 2 error budgets gone, 1 incident"
    )
    assert message["url"].endswith(f"/reports/{report.id}")
    assert "<h1>Resilience report</h1>" in message["html"]
    assert "pg does not answer" not in message["title"]
    for form in (message["html"], message["text"]):
        assert "16 to 22 November 2026 (UTC)" in form
        assert "gone, spent 100 times" in form
        assert "6 failed of 0.06 allowed, 60 calls; 100 % left before" not in form
        assert "6 failed of 0.06 allowed, 60 calls; not enough data before" in form
        assert "Made" not in form


def test_a_site_that_had_seen_nothing_makes_no_report() -> None:
    Service.objects.create(name="late", first_seen=UNTIL, last_seen=UNTIL)
    assert report_weekly_make(now=NOW) is None
    assert not ResilienceReport.objects.exists()


def test_nothing_is_mailed_while_alerting_is_off() -> None:
    scene.week()
    mail_channel("team")
    with config.override(proactive_alerting_enabled=False):
        assert report_weekly_make(now=NOW) is not None
    assert not Delivery.objects.exists()


def test_one_by_hand_is_widened_to_minutes_ends_with_the_last_one_over_and_is_audited() -> None:
    report = report_make(
        since=NOW - timedelta(hours=1, seconds=30),
        until=NOW + timedelta(hours=5),
        actor=ACTOR,
        now=NOW + timedelta(seconds=59),
    )
    assert report.since == NOW - timedelta(hours=1, minutes=1)
    assert report.until == NOW
    assert report.until <= report.made_at
    assert report.figures["notes"][0].startswith("Made 59 s after the end of this time: ")
    assert AuditEntry.objects.get().action == "report.make"
    named = plain_text(figures_from_json(report.figures), report.since, report.until)
    assert named.splitlines()[0] == (
        "Resilience report of 2026-11-23 04:59:00 UTC to 2026-11-23 06:00:00 UTC"
    )


def test_one_of_a_past_time_ends_with_the_minute_in_which_it_ends() -> None:
    end = NOW - timedelta(minutes=10, seconds=20)
    report = report_make(since=end - timedelta(hours=1), until=end, actor=ACTOR, now=NOW)
    assert report.until == NOW - timedelta(minutes=10)
    assert report.figures["notes"] == []


def test_of_a_time_of_which_no_minute_is_over_there_is_no_report() -> None:
    now = NOW + timedelta(seconds=40)
    with pytest.raises(Invalid, match="begin it earlier, or ask in a minute"):
        report_make(since=now - timedelta(seconds=20), until=now, actor=ACTOR, now=now)


@pytest.mark.parametrize(
    ("since", "until", "why"),
    [
        (NOW, NOW - timedelta(days=1), "must lie before the end"),
        (NOW + timedelta(days=1), NOW + timedelta(days=2), "has not begun yet"),
        (NOW, NOW + timedelta(days=2), "has not begun yet"),
        (NOW - timedelta(days=400), NOW, "at most"),
    ],
)
def test_an_impossible_range_is_refused_and_that_is_audited(
    since: datetime, until: datetime, why: str
) -> None:
    with pytest.raises(Invalid, match=why):
        report_make(since=since, until=until, actor=ACTOR, now=NOW)
    assert AuditEntry.objects.get().action == "report.make.refused"


def test_only_mail_channels_get_reports() -> None:
    channel = mail_channel("team", reports=False)
    cursor = journal.latest_cursor()
    for _ in range(2):
        channel_reports_set(channel_id=channel.id, wanted=True, actor=ACTOR, now=NOW)
    channel.refresh_from_db()
    assert [each.kind for each in journal.read(cursor, ["deliveries"])] == ["channel.changed"]
    assert (channel.send_reports, channel.version, channel.changed_by) == (True, 2, "tests")
    hook = Channel.objects.create(kind="webhook", name="hook", created_at=NOW, changed_at=NOW)
    with pytest.raises(Invalid, match="e-mail"):
        channel_reports_set(channel_id=hook.id, wanted=True, actor=ACTOR, now=NOW)


# --- Screens and the API ---


def api(client: Client, method: str, path: str, body: Any = None) -> Any:
    return client.generic(
        method, f"/api/v1/{path}", json.dumps(body) if body else "", "application/json"
    )


def test_a_report_is_made_shown_and_mailed_over_the_api(operator: Client) -> None:
    scene.week()
    channel = mail_channel("team", reports=False)
    made = api(
        operator, "POST", "reports", {"since": "2026-11-16T00:00Z", "until": "2026-11-23T00:00Z"}
    )
    assert made.status_code == 201
    report = made.json()
    assert report["figures"]["totals"]["repairs"] == {
        "repaired": 2, "seconds": 600.0, "failures": 2, "good": 24_600.0,
    }  # fmt: skip
    assert api(operator, "GET", f"reports/{report['id']}").json() == report
    (line,) = api(operator, "GET", "reports").json()["items"]
    assert line == {name: report[name] for name in line}
    mailed = api(operator, "POST", f"reports/{report['id']}/mail", {"channels": [str(channel.id)]})
    assert mailed.json() == {"deliveries": 1}
    assert Delivery.objects.get().channel_id == channel.id
    mailed = api(operator, "POST", f"reports/{report['id']}/mail", {"channels": ["team"]})
    assert mailed.json() == {"deliveries": 1}
    refused = api(operator, "POST", f"reports/{report['id']}/mail", {"channels": ["nobody"]})
    assert (refused.status_code, refused.json()["errors"]) == (
        422, [{"field": "body.channels", "message": "There is no channel 'nobody'."}],
    )  # fmt: skip


def test_a_report_is_made_and_read_on_its_pages(operator: Client) -> None:
    scene.week()
    mail_channel("team", reports=False)
    assert "No report yet" in text_of(operator, "/reports")
    answer = operator.post(
        "/reports/new", {"since": "2026-11-16T00:00Z", "until": "2026-11-23T00:00Z"}
    )
    report = ResilienceReport.objects.get()
    assert answer.headers["Location"] == f"/reports/{report.id}"
    page = text_of(operator, f"/reports/{report.id}")
    for said in (
        "16 to 22 November 2026",
        "97.619 %",
        "planner",
        "not checked",
        "16 to 22 November 2026 (UTC)",
        "10 % (6/60)",
        "gone, spent 100 times</a>",
        "6 failed of 0.06 allowed, 60 calls; not enough data before",
        "10 min down of 25.2 s allowed, 7 h counted; 88.1 % left before",
        "gone, spent 75 times</td>",
        "6 of 80 calls failed",
        "10 min 3 s of 14 h down",
        "1 of 1 acknowledged, after 4 min; 1 of 1 over, after 40 min",
        "2 repaired",
        "pg does not answer",
        "no healing runs in this time",
        "httpx.HTTPStatusError",
        "microsoft_graph",
    ):
        assert said in page
    assert "16 to 22 November 2026" in text_of(operator, "/reports")


def test_a_wrong_range_keeps_what_was_typed_and_says_why(operator: Client) -> None:
    answer = operator.post("/reports/new", {"since": "yesterday", "until": "now"})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert 'value="yesterday"' in page
    assert "is not a time" in page


def test_the_page_says_that_nothing_is_sent_while_alerting_is_off(operator: Client) -> None:
    with config.override(proactive_alerting_enabled=False):
        assert "No report is mailed by itself while" in text_of(operator, "/reports")


def test_an_operator_says_who_gets_the_weekly_report(operator: Client, viewer: Client) -> None:
    channel = mail_channel("team", reports=False)
    path = f"/reports/channels/{channel.id}"
    assert viewer.post(path, {"wanted": "yes"}).status_code == 403
    operator.post(path, {"wanted": "yes"})
    channel.refresh_from_db()
    assert channel.send_reports
