"""The real planner under the hands of people: what they decide reaches its next tool call."""

from __future__ import annotations

from typing import Any

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
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from tests.demo.graph import Graph
from tests.livesite import LiveSite, WebProcess
from tests.patience import until
from tests.screens import PATIENCE

from .conftest import ANSWER_SECONDS, SERVICE, SteeredPlanner, label, steered_planner


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


def test_a_breaker_forced_open_in_the_browser_refuses_the_next_tool_call(
    site: LiveSite, planner: SteeredPlanner, page: Page
) -> None:
    task = some_task(planner)
    breaker = known("microsoft_graph")
    site.sign_in(page.context, Role.OPERATOR, "ben")
    page.goto(f"/breakers/{breaker.key}")
    assert not planner.call("update_task", task_id=task, title="before").get("isError")

    page.get_by_role("link", name="Override", exact=True).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("Graph is being moved")
    dialog.get_by_role("button", name="Request override").click()

    until(lambda: refused(planner.call("update_task", task_id=task, title="after")))
    # Reads go on with what was kept.
    read = planner.call("list_tasks", limit=1)
    assert not read.get("isError")
    # The page claims nothing before the planner has said that it applied it.
    expect(page.get_by_text("Forced open").first).to_be_visible()
    expect(page.get_by_text("applied on 1 of 1").first).to_be_visible()
    entry = AuditEntry.objects.get(action="breaker.override")
    assert (entry.actor, entry.reason) == ("ben", "Graph is being moved")

    act(site, "POST", f"breakers/{SERVICE}/microsoft_graph/override", {"state": "auto"})
    until(lambda: not planner.call("update_task", task_id=task, title="again").get("isError"))


def test_a_notice_reaches_users_and_leaves_as_fast(site: LiveSite, planner: SteeredPlanner) -> None:
    known("microsoft_graph")
    notice = "Plans may be a few minutes old."
    body = {"level": "reduced", "notice": notice, "reason": "drill", "expires_in": 600}
    act(site, "PUT", f"degraded/{SERVICE}", body)

    def told() -> str:
        return str(label(planner.call("list_tasks", limit=1)).get("notices", {}).get(SERVICE, ""))

    def public() -> list[str]:
        answer = httpx.get(f"{site.url}/status.json", timeout=ANSWER_SECONDS)
        return [each["text"] for each in answer.json()["notices"]]

    until(lambda: told() == notice and public() == [notice])
    act(site, "PUT", f"degraded/{SERVICE}", {"level": "normal"})
    until(lambda: told() == "" and public() == [])


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
