"""An incident as Markdown: facts alone, and what senders write is no markup."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.test import Client

from alerting.domain.impact_text import impact_words
from alerting.domain.incident_text import Account, post_mortem_markdown, summary_markdown
from alerting.domain.timeline import Line
from alerting.models import Alert
from alerting.services.incident_timeline import timelines_follow
from tests.alerting.incidents import scene
from tests.alerting.incidents.scene import IMPACT, fire, follow, incident_of, opened, over, tell
from tests.health.api.conftest import Api


def test_the_summary_has_the_facts_and_whole_links(operate: Api) -> None:
    tell(opened())
    alert = fire(minute=-5, summary="The breaker *graph* [is](http://evil) open", breaker="graph")
    follow(-4)
    timelines_follow(now=scene.NOW)
    path = f"incidents/{incident_of(alert).id}"
    operate("POST", f"{path}/acknowledge", {"note": "on it"})
    over(alert, -1)
    follow(0)
    texts = operate.get(f"{path}/markdown")
    summary = texts["summary"]
    assert summary.startswith("## The breaker \\*graph\\* \\[is\\](http://evil) open\n")
    assert "- **State:** resolved, page" in summary
    assert "(4 min)" in summary
    assert "Acknowledged by:** a operate key" in summary
    assert f"/{path}" in summary
    links = re.findall(r"\]\((.*?)\)", summary)
    assert links
    assert all(link.startswith(("http://", "https://")) for link in links)
    assert "Not known yet." in summary
    draft = texts["post_mortem"]
    assert draft.startswith("# Post-mortem: ")
    for head in (
        "Summary",
        "Impact",
        "Cause",
        "Detection",
        "Response",
        "Timeline",
        "What we will do",
    ):
        assert f"\n## {head}\n" in draft
    assert "on it (a operate key)" in draft
    assert "Breaker graph of planner went from closed to open" in draft


def test_what_is_known_of_cause_and_impact_stands_in_them(operate: Api) -> None:
    alert = fire()
    follow()
    incident = incident_of(alert)
    incident.impact = IMPACT
    incident.cause = {
        "text": "It began in graph: 9 of 10 chains.", "service": "graph", "confidence": 0.72,
        "evidence": [{"kind": "chains", "text": "9 of 10 chains", "link": "/chains?a=(b)"}],
    }  # fmt: skip
    incident.save()
    summary = operate.get(f"incidents/{incident.id}/markdown")["summary"]
    assert "It began in graph: 9 of 10 chains. (confidence 72%)" in summary
    assert "/chains?a=%28b%29)" in summary
    assert "**Requests lost:** 31 of 400 calls of graph" in summary
    assert "**Users:** 12" in summary
    assert "**Tiers (requests):** gold 20" in summary
    assert (
        "**Error budget spent:** 31 %: 31 of the 100 failures that 99.9 % allows of 100,000 calls "
        "in the 30 days until then\n" in summary
    )


def test_every_figure_of_the_impact_has_its_window_and_its_whole_wherever_it_stands(
    operate: Api, viewer: Client
) -> None:
    alert = fire()
    follow()
    incident = incident_of(alert)
    times = {
        "since": "2026-03-02T11:55:00+00:00", "until": "2026-03-02T12:03:00+00:00",
        "as_of": "2026-03-02T12:05:30+00:00",
    }  # fmt: skip
    incident.impact = {**IMPACT, **times, "requests": 1_040, "examined": 1_000}
    incident.save()
    wanted = {
        "window": "2026-03-02 11:55:00 to 12:03:00 UTC (8 min)",
        "lost": "31 of 400 calls of graph; a fallback answered 9 more of the newest 1,000 of 1,040 "
        "requests that failed",
        "users": "12, named by the newest 1,000 of 1,040 requests that failed",
        "tiers": "gold 20 of the newest 1,000 of 1,040 requests that failed",
        "services": "named by the errors of the newest 1,000 of 1,040 requests that failed",
        "depend": "by the calls of the 24 h until 2026-03-02 12:05:30 UTC, and by the catalogue",
        "budget": "31 %: 31 of the 100 failures that 99.9 % allows of 100,000 calls in the 30 days "
        "until 2026-03-02 12:05:30 UTC",
    }
    path = f"incidents/{incident.id}"
    assert operate.get(path)["impact"]["words"] == {**IMPACT["words"], **wanted}
    page = viewer.get(f"/{path}").content.decode()
    markdown = operate.get(f"{path}/markdown")
    for text in wanted.values():
        assert text in page
        assert text in markdown["summary"]
        assert text in markdown["post_mortem"]


def test_a_budget_that_checks_measure_is_told_in_time_not_in_calls() -> None:
    down = {"service": "graph", "days": 30, "target": 0.999, "unit": "seconds", "calls": 2_592_000,
            "allowed": 2_592.0, "failed": 180}  # fmt: skip
    said = impact_words({**IMPACT, "budget": down})["budget"]
    assert said == (
        "31 %: down for 3 min of the 43 min 12 s that 99.9 % allows of 30 d counted in the 30 days "
        "until then"
    )
    none = impact_words({**IMPACT, "error_budget_spent": None})["budget"]
    assert none == "n/a: graph has no calls in the 30 days until then"


def test_a_long_summary_keeps_what_people_did_what_changed_and_how_it_began() -> None:
    kinds = ["alert", "transition", "release", *["check"] * 20, *["delivery"] * 60, "note", "alert",
             "override", *["delivery"] * 20, *["alert"] * 20, "healing", *["delivery"] * 9, "state"]  # fmt: skip
    lines = [
        Line(at=scene.NOW + timedelta(seconds=n), kind=kind, text=f"{kind} {n}")
        for n, kind in enumerate(kinds)
    ]
    summary = summary_markdown(account(lines))
    told = re.findall(r"^- [0-9:]{8} (\w+) (\d+)$", summary, re.MULTILINE)
    assert f"### Timeline (30 of {len(lines)} lines, those that matter most)" in summary
    assert len(told) == 30
    assert [int(n) for _, n in told] == sorted(int(n) for _, n in told)
    assert {kind for kind, _ in told} == {
        "alert", "transition", "release", "check", "note", "override", "healing", "state",
    }  # fmt: skip
    assert ("alert", "0") in told
    # Between them stands how many others there are.
    left_out = re.findall(r"^- \*([0-9]+) more lines?\*$", summary, re.MULTILINE)
    assert sum(map(int, left_out)) == len(lines) - 30
    # The post-mortem has them all.
    assert post_mortem_markdown(account(lines)).count("delivery") == 89


def test_a_draft_of_a_very_long_incident_has_what_matters_most_of_it() -> None:
    busy = [line(n, "errors", f"error {n}") for n in range(1_400)]
    note = line(700.5, "note", "restarted it", "ada")
    draft = post_mortem_markdown(account(sorted([*busy, note], key=lambda each: each.at)))
    assert "## Timeline (200 of 1,401 lines, those that matter most)" in draft
    assert "restarted it (ada)" in draft
    assert "error 0\n" in draft
    assert "error 1399\n" in draft


def test_times_after_the_beginning_are_said_as_elsewhere() -> None:
    lines = [line(-600, "alert", "Over after 2 min: before"), line(272, "alert", "Page: it fails")]
    acknowledged = account(lines, acknowledged_at=scene.at(17.45), acknowledged_by="ada")
    draft = post_mortem_markdown(acknowledged)
    assert re.search(r"The first alert fired at .* UTC, 4 min 32 s after it began\.", draft)
    assert re.search(r"Acknowledged by ada at .* UTC, 17 min 27 s after it began\.", draft)


def test_a_draft_tells_once_of_what_detected_it_and_sums_up_what_was_held_back(
    operate: Api,
) -> None:
    burns = [fire("slo_burn", minute=n, slo="s1", summary="planner burns") for n in (-9, -8, -7)]
    ticket = fire("slow", minute=-6, severity="ticket", slo="s1", summary="planner is slow")
    held = [fire("slow", minute=-5, slo="s1", summary="held") for _ in range(2)]
    why = {"kind": "inhibition", "id": "burn", "text": "slo_burn_fast says it already"}
    Alert.objects.filter(id__in=[each.id for each in (*held, burns[2])]).update(suppressed_by=[why])
    # What people heard of before it was held back counts.
    for alert, minute in ((burns[1], -7), (burns[2], -6.5)):
        Alert.objects.filter(id=alert.id).update(told_at=scene.at(minute))
    follow(-4)
    path = f"incidents/{incident_of(ticket).id}/markdown"
    draft = operate.get(path)["post_mortem"]
    found = draft.partition("## Detection")[2].partition("\n*Would an earlier")[0]
    said = [each for each in found.splitlines() if "UTC: " in each or "held" in each]
    times = {n: f"{scene.at(n):%Y-%m-%d %H:%M:%S} UTC" for n in (-9, -7, -6)}
    assert [re.sub(r"\]\(\S*/alerts/\S+?\)", "]", each) for each in said] == [
        f"- {times[-9]}: Page: [planner burns], 3 times (people were told at {times[-7]})",
        f"- {times[-6]}: Ticket: [planner is slow] (nobody was told)",
        "- 2 more alerts fired of which nobody was told: held back",
    ]
    assert f"/alerts/{burns[0].id})" in found


def test_days_are_headings_that_no_list_runs_into() -> None:
    lines = [line(n * 43_200, "errors", f"error {n}") for n in range(4)]
    text = summary_markdown(account(lines))
    heads = [n for n, each in enumerate(text.split("\n")) if each.endswith("** (UTC)")]
    assert len(heads) >= 2
    for n in heads:
        assert text.split("\n")[n - 1] == text.split("\n")[n + 1] == ""


def test_a_short_summary_has_every_line() -> None:
    lines = [Line(at=scene.NOW, kind="delivery", text=f"told {n}") for n in range(30)]
    summary = summary_markdown(account(lines))
    assert summary.count("told") == 30
    assert "those that matter" not in summary


def line(seconds: float, kind: str, text: str, actor: str = "") -> Line:
    return Line(scene.NOW + timedelta(seconds=seconds), kind, text, actor=actor)


def account(lines: Sequence[Line], **more: Any) -> Account:
    return Account(
        title="It fails", state="open", severity="page", started_at=scene.NOW, ended_at=None,
        lasted="1 min", url="https://site/incidents/1", base="https://site", lines=lines, **more,
    )  # fmt: skip
