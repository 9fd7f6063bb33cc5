"""The real planner under the hands of people: what they decide reaches its next tool call."""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from playwright.sync_api import Page, expect

from breakers.models import (
    Breaker,
    BreakerTransition,
    Bulkhead,
    Command,
    CommandReport,
    Instance,
    Override,
)
from breakers.runtime.middleware.problems import NOTICE_HEADER
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from tests.demo.graph import Graph
from tests.livesite import LiveSite, WebProcess
from tests.patience import until
from tests.screens import PATIENCE
from tests.steered import SteeredService, steered_service

from .conftest import ANSWER_SECONDS, SERVICE, SteeredPlanner, label, steered_planner

REASON = "Graph is being moved"
# So often may the machine be in the way.
ROUNDS = 12


def act(site: LiveSite, method: str, path: str, body: dict[str, Any]) -> httpx.Response:
    answer = httpx.request(
        method,
        f"{site.url}/api/v1/{path}",
        headers={"Authorization": f"Bearer {site.operator_key}"},
        json=body,
        timeout=ANSWER_SECONDS,
    )
    answer.raise_for_status()
    return answer


def known(name: str) -> Breaker:
    """The planner's breaker, once it has reported it."""
    found = until(lambda: Breaker.objects.filter(service=SERVICE, name=name).first())
    assert isinstance(found, Breaker)
    return found


def refused(result: dict[str, Any]) -> bool:
    return bool(result.get("isError")) and label(result)["served"] == "rejected"


def some_task(planner: SteeredPlanner) -> str:
    listed = planner.call("list_tasks", limit=1)
    return str(listed["structuredContent"]["tasks"][0]["id"])


@pytest.mark.timeout(400)
def test_a_breaker_forced_open_in_the_browser_refuses_the_next_tool_call_within_a_second(
    site: LiveSite, planner: SteeredPlanner, page: Page
) -> None:
    task = some_task(planner)
    breaker = known("microsoft_graph")
    site.sign_in(page.context, Role.OPERATOR, "ben")
    waits: list[float] = []
    # Each round follows upon the last one: what is only looked at now and then is quick by chance
    # in the first at most.
    while not waits[1:] or min(waits[1:]) >= 1:
        assert len(waits) < ROUNDS, f"seconds until a call was refused: {waits}"
        if waits:
            take_back(site, planner, task)
        page.goto(f"/breakers/{breaker.key}")
        waits.append(force_open(page, planner, task))
    # Reads go on with what was kept.
    planner.forget()
    read = planner.call("list_tasks", limit=1)
    assert not read.get("isError")
    assert label(read)["served"] in ("cached", "degraded")
    # The page claims nothing before the planner has said that it applied it.
    expect(page.get_by_text("Forced open").first).to_be_visible()
    expect(page.get_by_text("applied on 1 of 1").first).to_be_visible()
    entries = AuditEntry.objects.filter(action="breaker.override", actor="ben", reason=REASON)
    assert entries.count() == len(waits)
    take_back(site, planner, task)


def force_open(page: Page, planner: SteeredPlanner, task: str) -> float:
    """Force the breaker of the page open; seconds from the click to a refused call."""
    page.get_by_role("link", name="Override", exact=True).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(REASON)
    button = dialog.get_by_role("button", name="Request override")
    began = time.monotonic()
    button.click(no_wait_after=True)
    until(lambda: refused(planner.call("update_task", task_id=task, title="after")))
    wait = time.monotonic() - began
    # The page that answers the form is there: the next one does not meet it on its way.
    expect(page.get_by_text("Requested: forced open for").first).to_be_visible()
    return wait


def take_back(site: LiveSite, planner: SteeredPlanner, task: str) -> None:
    act(site, "POST", f"breakers/{SERVICE}/microsoft_graph/override", {"state": "auto"})
    until(lambda: not planner.call("update_task", task_id=task, title="again").get("isError"))


@pytest.mark.timeout(400)
def test_a_notice_reaches_users_by_every_door_within_five_seconds_and_leaves_as_fast(
    site: LiveSite, planner: SteeredPlanner
) -> None:
    known("microsoft_graph")
    with steered_service(site.url, site.ingest_key, SERVICE) as portal:
        doors = doors_of(site, planner, portal)
        waits: dict[str, list[float]] = {}
        # As above: the first time tells nothing of a door that is only opened now and then.
        while not waits or any(not each[1:] or min(each[1:]) >= 5 for each in waits.values()):
            number = len(waits.get("feed leaves", ()))
            assert number < ROUNDS, f"seconds until it was told: {waits}"
            notice = f"Plans may be {number + 1} minutes old."
            body = {"level": "reduced", "notice": notice, "reason": "drill", "expires_in": 600}
            act(site, "PUT", f"degraded/{SERVICE}", body)
            note(waits, "comes", seconds_until(doors, notice))
            act(site, "PUT", f"degraded/{SERVICE}", {"level": "normal"})
            note(waits, "leaves", seconds_until(doors, ""))


def doors_of(
    site: LiveSite, planner: SteeredPlanner, portal: SteeredService
) -> dict[str, Callable[[], str]]:
    """What users are told now, by each way there is."""

    def in_result() -> str:
        result = planner.call("list_tasks", limit=1)
        return str(label(result).get("notices", {}).get(SERVICE, ""))

    def in_header() -> str:
        return unquote(portal.headers().get(NOTICE_HEADER, ""))

    def on_page() -> str:
        html = httpx.get(f"{site.url}/status", timeout=ANSWER_SECONDS).text
        articles = re.findall(r'<article class="status-notice"([^>]*)>(.*?)</article>', html, re.S)
        current = [inside for marks, inside in articles if "data-ended" not in marks]
        return "".join(re.findall(r'<p class="break">(.*?)</p>', "".join(current)))

    def in_feed() -> str:
        answer = httpx.get(f"{site.url}/status/feed.rss", timeout=ANSWER_SECONDS)
        items = ET.fromstring(answer.content).iter("item")
        current = [item for item in items if item.findtext("category") == "ongoing"]
        return "".join(str(item.findtext("description")).partition(" (")[0] for item in current)

    return {"result": in_result, "header": in_header, "page": on_page, "feed": in_feed}


def seconds_until(doors: dict[str, Callable[[], str]], told: str) -> dict[str, float]:
    """Seconds from now until each door told it."""
    began = time.monotonic()
    seen: dict[str, float] = {}

    def all_tell() -> bool:
        for door in doors.keys() - seen.keys():
            if doors[door]() == told:
                seen[door] = time.monotonic() - began
        return len(seen) == len(doors)

    until(all_tell)
    return seen


def note(waits: dict[str, list[float]], turn: str, seconds: dict[str, float]) -> None:
    for door, each in seconds.items():
        waits.setdefault(f"{door} {turn}", []).append(each)


def test_a_reset_is_carried_out_once_and_reported(site: LiveSite, planner: SteeredPlanner) -> None:
    known("microsoft_graph")
    task = some_task(planner)
    planner.graph.fault("unavailable", rate=1.0)
    until(lambda: refused(planner.call("update_task", task_id=task, title="down")))
    planner.graph.http.delete("/_faults").raise_for_status()
    act(site, "POST", f"breakers/{SERVICE}/microsoft_graph/reset", {"reason": "Graph is back"})
    until(lambda: not planner.call("update_task", task_id=task, title="up").get("isError"))
    report = until(lambda: CommandReport.objects.first())
    assert report.outcome == "succeeded"
    # All who live have reported: the command leaves the document.
    until(lambda: not Command.objects.filter(ended_at=None).exists())


def test_a_bulkhead_tuned_in_the_browser_has_that_limit_until_it_is_rolled_back(
    site: LiveSite, planner: SteeredPlanner, page: Page
) -> None:
    pool = "user_operations"
    reported = Bulkhead.objects.filter(service=SERVICE, name=pool, instance=planner.instance)

    def works_by(limit: int) -> bool:
        return reported.filter(limit=limit).exists()

    until(lambda: works_by(20))
    site.sign_in(page.context, Role.OPERATOR, "ben")
    page.goto(f"/bulkheads/{SERVICE}/{pool}")
    page.get_by_role("link", name="Tune", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Calls at once").fill("3")
    dialog.get_by_label("Reason").fill("Graph bears three")
    dialog.get_by_role("button", name="Request these settings").click()

    until(lambda: works_by(3))
    # The page claims it for the planner that has said so, and shows what that reports.
    row = page.get_by_role("row").filter(has_text=planner.instance)
    expect(row).to_contain_text("version 1 applied", timeout=PATIENCE)
    expect(row).to_contain_text("of 3", timeout=PATIENCE)
    assert not planner.call("list_tasks", limit=1).get("isError")
    entry = AuditEntry.objects.get(action="bulkhead.policy")
    assert (entry.actor, entry.reason) == ("ben", "Graph bears three")

    back = {"number": 0, "reason": "Graph is well again"}
    act(site, "POST", f"bulkheads/{SERVICE}/{pool}/policy/rollback", back)
    until(lambda: works_by(20))


def transitions(instance: str) -> list[str]:
    """The states that the planner's breaker for Graph was told to have come to."""
    rows = BreakerTransition.objects.filter(name="microsoft_graph", instance=instance)
    return list(rows.order_by("at").values_list("to_state", flat=True))


@pytest.mark.timeout(400)
def test_the_service_works_on_without_the_site_and_catches_up(
    mortal_site: tuple[WebProcess, LiveSite], faulty_graph: Graph
) -> None:
    """Killed while an override is in force, back after its end: the planner has kept to it, let go
    of it in time by itself, and the site ends it exactly once."""
    process, site = mortal_site
    with steered_planner(faulty_graph, site.url, site.ingest_key) as planner:
        task = some_task(planner)
        known("microsoft_graph")
        forced = {"state": "forced_open", "reason": "drill", "expires_in": 15}
        act(site, "POST", f"breakers/{SERVICE}/microsoft_graph/override", forced)
        until(lambda: refused(planner.call("update_task", task_id=task, title="forced")))
        process.kill()

        assert refused(planner.call("update_task", task_id=task, title="still forced"))
        assert not planner.call("list_tasks", limit=1).get("isError")
        until(lambda: not planner.call("update_task", task_id=task, title="free").get("isError"))
        # By itself: nobody can have told it. (Other sites on this database end what is due, too, and
        # may write down late what a planner of an earlier test said.)
        told = Instance.objects.filter(
            service=SERVICE, instance=planner.instance, applied_version=2
        )
        assert not told.exists()

        process.start()
        ended = until(lambda: Override.objects.filter(ending="expired").first())
        assert ended.ended_by == "expiry"
        until(told.exists)
        # What happened in between is told late, but told.
        until(lambda: transitions(planner.instance) == ["forced_open", "closed"])
        assert AuditEntry.objects.filter(action="breaker.override.expired").count() == 1
        assert not planner.call("update_task", task_id=task, title="on").get("isError")
