"""The page of one check: why it is so, what it saw, what it needs, and what people do with it."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from django.test import Client

from health.models import Check, CheckResult, CheckStatus
from health.views.observed import quantity
from resilience_site.core.models import AuditEntry
from tests.health.screens import scenes
from tests.health.screens.scenes import MINUTE
from tests.pages.html import PARTIAL, text_of


def path_of(check: Check, act: str = "") -> str:
    return f"/health/checks/{check.id}{act}"


def test_a_check_that_is_not_there_is_404(viewer: Client, empty_site: None) -> None:
    text_of(viewer, "/health/checks/01890a5d-ac96-774b-bcce-b302099a8057", 404)


def test_it_says_the_rule_and_the_counts(viewer: Client, incident: dict[str, Check]) -> None:
    text = text_of(viewer, path_of(incident["postgres-main"]))
    assert "It is down, and nothing that it needs explains that" in text
    assert "24 failures in a row" in text
    assert "3 made it down" in text
    assert "<dt>Down after</dt><dd>3 failures in a row</dd>" in text
    assert "<dt>Up again after</dt><dd>2 successes in a row</dd>" in text
    assert scenes.REFUSED in text
    assert "data-countdown" in text
    assert "Blamed for" in text


def test_an_unreachable_check_names_its_culprit(viewer: Client, incident: dict[str, Check]) -> None:
    text = text_of(viewer, path_of(incident["planner-mcp"]))
    culprit = f'<a href="{path_of(incident["postgres-main"])}">postgres-main</a>'
    assert f"It fails because of what it needs</span>: {culprit}" in text
    assert "cannot work without (hard)" in text
    assert "soft: works less well without it" in text
    assert "nobody, what it needs explains it" in text


def test_counts_short_of_a_threshold_are_told(viewer: Client, incident: dict[str, Check]) -> None:
    status = CheckStatus.objects.filter(check_row=incident["egress-network"])
    status.update(failures=2, successes=0)
    assert "2 of 3 failures in a row" in text_of(viewer, path_of(incident["egress-network"]))
    status.update(own_state="down", failures=0, successes=1)
    assert "1 of 2 successes in a row" in text_of(viewer, path_of(incident["egress-network"]))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nightly-export", "It is in maintenance; its own probes say up"),
        ("nightly-export", "Storage migration, until"),
        ("legacy-import", "It is paused: nobody probes it"),
        ("sync-worker", "It has not run yet"),
        ("mail-relay", "Flapping"),
        ("portal-home", "It works without something that it uses"),
        ("disk-data", "It works, but not as it should"),
        ("valkey-cache", "212 MiB"),
        ("portal-certificate", "61 d"),
    ],
)
def test_each_state_has_its_words(
    viewer: Client, incident: dict[str, Check], name: str, said: str
) -> None:
    assert said in text_of(viewer, path_of(incident[name]))


def test_a_check_that_no_worker_takes_up_is_told_as_such(
    viewer: Client, incident: dict[str, Check], now: datetime
) -> None:
    check = incident["egress-network"]
    status = CheckStatus.objects.filter(check_row=check)
    status.update(next_due_at=now - 5 * MINUTE)
    assert "no worker has taken it up" in text_of(viewer, path_of(check))
    status.update(lease_until=now + MINUTE)
    assert "A worker is running it now" in text_of(viewer, path_of(check))


def test_its_radius_counts_what_needs_it_directly_or_not(
    viewer: Client, incident: dict[str, Check]
) -> None:
    text = text_of(viewer, path_of(incident["postgres-main"]))
    assert "<b>5 checks</b> of 4 services need it, directly or not" in text
    assert "through others" in text
    assert f"/blast-radius/check/{incident['postgres-main'].id}" in text
    traffic = text_of(viewer, f"/blast-radius/check/{incident['postgres-main'].id}")
    assert "None of these services sent calls in the last 15 min" in traffic


def test_the_chart_has_gaps_and_every_point_leads_to_its_results(
    viewer: Client, incident: dict[str, Check]
) -> None:
    check = incident["postgres-main"]
    figure = json.loads(viewer.get(path_of(check, "/latency.json?since=2h")).content)
    p95, p50, failed = figure["data"]
    assert (p95["name"], p50["name"], failed["name"]) == ("p95", "p50", "failed runs")
    # The silence in the scene, and the time without a success.
    assert sum(value is None for value in p50["y"]) > 10
    assert all(value > 0 for value in p50["y"] if value is not None)
    link = failed["customdata"][-1]
    assert link.endswith("#results")
    answer = text_of(viewer, link.partition("#")[0])
    assert scenes.REFUSED in answer.partition('id="results"')[2]
    twin = text_of(viewer, path_of(check, "?since=2h")).partition('id="latency-twin"')[2]
    assert twin.count("<tr>") - 1 >= len(failed["x"])


def test_results_are_filtered_and_go_on_behind_the_last_row(
    viewer: Client, incident: dict[str, Check]
) -> None:
    check = incident["valkey-cache"]
    text = text_of(viewer, path_of(check, "?part=results&since=2h"), headers=PARTIAL)
    assert "12 results shown" in text
    following = text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    answer = text_of(viewer, path_of(check) + following, headers=PARTIAL)
    seen = {part.partition('"')[0] for part in text.split('<tr id="r-')[1:]}
    next_seen = {part.partition('"')[0] for part in answer.split('<tr id="r-')[1:]}
    assert len(next_seen) == 12
    assert not seen & next_seen
    none = text_of(viewer, path_of(check, "?status=withheld"))
    assert "No result of this status in this time" in none
    assert "is none of up, degraded" in text_of(viewer, path_of(check, "?status=odd"), 400)
    assert "is not a time" in text_of(viewer, path_of(check, "?since=odd"), 400)
    assert viewer.get(path_of(check, "/latency.json?since=odd")).status_code == 400


def test_an_open_page_pulls_each_part_alone(viewer: Client, incident: dict[str, Check]) -> None:
    check = incident["postgres-main"]
    for part, mark in (("head", "check-head"), ("body", "check-body"), ("results", "results-body")):
        text = text_of(viewer, path_of(check, f"?part={part}"), headers=PARTIAL)
        assert text.startswith(("<div", " <div")), part
        assert f'id="{mark}"' in text
    assert f"health:{check.id} probes" in text_of(viewer, path_of(check))


def test_who_only_looks_neither_sees_the_acts_nor_may_do_them(
    viewer: Client, incident: dict[str, Check]
) -> None:
    check = incident["postgres-main"]
    assert "Run now" not in text_of(viewer, path_of(check))
    assert viewer.post(path_of(check, "/run")).status_code == 403
    assert AuditEntry.objects.filter(action="check.run.refused").exists()


def test_an_operator_pauses_and_resumes(operator: Client, incident: dict[str, Check]) -> None:
    check = incident["postgres-main"]
    form = text_of(operator, path_of(check, "/pause"))
    assert "5 checks need it; while it is paused, it explains none of their failures." in form
    answer = operator.post(path_of(check, "/pause"), {"version": check.version}, follow=True)
    assert b"postgres-main is paused" in answer.content
    check.refresh_from_db()
    assert not check.enabled
    stale = operator.post(path_of(check, "/pause"), {"version": check.version - 1})
    assert stale.status_code == 409
    answer = operator.post(path_of(check, "/resume"), {"version": check.version}, follow=True)
    assert b"postgres-main is probed again" in answer.content
    check.refresh_from_db()
    assert check.enabled


def test_run_now_says_what_it_found(operator: Client, incident: dict[str, Check]) -> None:
    check = incident["egress-network"]
    before = CheckResult.objects.filter(check_id=check.id).count()
    answer = operator.post(path_of(check, "/run"), follow=True)
    # The scene seals no target, so that the run itself cannot work: which is no outage.
    assert "egress-network ran and found internal error" in answer.content.decode()
    assert CheckResult.objects.filter(check_id=check.id).count() == before + 1


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (81.25, "percent", "81.2 %"),
        (1536, "bytes", "1.5 KiB"),
        (512, "bytes", "512 B"),
        (5_270_400, "s", "61 d"),
        (12.4, "ms", "12.4 ms"),
        (41, "1", "41"),
        (3, "plans", "3 plans"),
    ],
)
def test_measurements_have_their_units(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_ranges_reach_as_far_back_as_asked(viewer: Client, incident: dict[str, Check]) -> None:
    text = text_of(viewer, path_of(incident["postgres-main"], "?since=24h"))
    assert "Timed out after 10 s" in text.partition('id="changes"')[2]
    assert text.partition('id="timeline"')[2].count("<rect") == 4
