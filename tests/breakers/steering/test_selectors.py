"""What the figures of retries, fallbacks and bulkheads count, and who works by a decision."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from breakers.models import Bulkhead, DegradedMode, Instance, Notice, Toggle
from breakers.selectors.applied import applied_by_service
from breakers.selectors.bulkheads import breach_list, bulkhead_figures
from breakers.selectors.degraded import degraded_find, degraded_history, degraded_list
from breakers.selectors.fallbacks import fallback_figures
from breakers.selectors.notices import public_status
from breakers.selectors.retries import retry_figures
from breakers.selectors.toggles import toggle_history, toggle_list, toggle_views
from breakers.services.degraded import degraded_set
from breakers.services.toggles import toggle_revert
from resilience_site.core.choices import Role
from resilience_site.core.timerange import TimeRange
from tests.breakers.steering import scenes
from tests.breakers.steering.scenes import AGENT, ANA, GRAPH, PLANNER


def last(now: datetime, minutes: int) -> TimeRange:
    return TimeRange(now - timedelta(minutes=minutes), now)


@pytest.mark.usefixtures("busy_fleet")
def test_retries_are_counted_by_how_the_calls_ended(now: datetime) -> None:
    [figures] = retry_figures(last(now, 60), now=now)
    assert (figures.service, figures.dependency) == (PLANNER, GRAPH)
    assert figures.retried == 14 * 11
    assert figures.by_outcome == {"succeeded": 84, "exhausted": 14, "budget_exhausted": 9}
    assert figures.by_classification == {"rate_limited": 14 * 9 + 14 + 9, "transient": 28}
    assert (figures.ended, figures.succeeded, figures.refused, figures.failed) == (107, 84, 9, 23)
    assert figures.attempts == 107 + 154
    assert figures.delay_ms == 500.0
    assert figures.window_seconds == 3600
    assert sum(value or 0 for value in figures.trend) == figures.retried


@pytest.mark.usefixtures("busy_fleet")
def test_a_budget_is_summed_over_the_instances_that_are_heard_of(now: datetime) -> None:
    [figures] = retry_figures(last(now, 60), now=now)
    budget = figures.budget
    assert budget is not None
    assert (budget.calls, budget.retries, budget.left) == (236, 28, 14)
    assert (budget.instances, budget.silent, budget.window_seconds) == (2, 1, 60)
    assert budget.amplification == pytest.approx(264 / 236)


@pytest.mark.usefixtures("fleet")
def test_a_budget_without_calls_amplifies_nothing(now: datetime) -> None:
    scenes.budget("planner-1", now, 0, 0, 30)
    [figures] = retry_figures(last(now, 60), now=now)
    assert figures.budget is not None
    assert figures.budget.amplification is None
    assert (figures.ended, figures.delay_ms) == (0, None)


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("ends", "events", "refused"), [(5, 5, 5), (5, 0, 5), (0, 5, 5), (3, 5, 5)]
)
def test_a_refusal_that_is_told_twice_is_counted_once(
    now: datetime, ends: int, events: int, refused: int
) -> None:
    minute = now - timedelta(minutes=2)
    if ends:
        scenes.retries(minute, "transient", "budget_exhausted", ends)
    if events:
        scenes.retries(minute, "", "budget_exhausted", events)
    [figures] = retry_figures(last(now, 60), now=now)
    assert (figures.refused, figures.ended) == (refused, refused)
    assert figures.by_classification == ({"transient": ends} if ends else {})


@pytest.mark.usefixtures("busy_fleet")
def test_figures_are_narrowed_by_range_service_and_dependency(now: datetime) -> None:
    [few] = retry_figures(last(now, 3), now=now)
    assert few.retried == 3 * 11
    assert retry_figures(last(now, 60), now=now, service=AGENT) == []
    assert retry_figures(last(now, 60), now=now, dependency="redis") == []
    assert fallback_figures(last(now, 60), service=AGENT) == []
    assert bulkhead_figures(last(now, 60), now=now, service=AGENT) == []
    [reports] = bulkhead_figures(last(now, 60), now=now, name="reports")
    assert reports.name == "reports"


@pytest.mark.usefixtures("busy_fleet")
def test_fallbacks_have_share_source_and_age(now: datetime) -> None:
    [figures] = fallback_figures(last(now, 60))
    assert figures.served == 9 * 11
    assert [(each.source, each.served) for each in figures.sources] == [
        ("stale_cache", 81),
        ("fallback:tasks_of_yesterday", 18),
    ]
    # First attempts: what the breaker saw, less the further attempts.
    assert figures.calls == 30 * 120 + 9 * 10 - 154
    assert figures.share == pytest.approx(99 / figures.calls)
    assert (figures.age_mean, figures.age_max, figures.aged) == (240.0, 900.0, 81)
    assert figures.rate == pytest.approx(99 / 3600)


@pytest.mark.usefixtures("fleet")
def test_a_dependency_without_breaker_has_no_share(now: datetime) -> None:
    scenes.served(now - timedelta(minutes=2), "default", 5)
    [figures] = fallback_figures(last(now, 60))
    assert (figures.calls, figures.share, figures.age_mean, figures.age_max) == (None,) * 4


@pytest.mark.usefixtures("fleet")
def test_more_answers_than_calls_are_no_share_above_one(now: datetime) -> None:
    scenes.served(now - timedelta(minutes=2), "default", 5)
    scenes.calls(now - timedelta(minutes=2), 3)
    [figures] = fallback_figures(last(now, 60))
    assert figures.share == 1.0


@pytest.mark.usefixtures("busy_fleet")
def test_bulkheads_are_summed_over_live_instances(now: datetime) -> None:
    plans, reports = bulkhead_figures(last(now, 60), now=now)
    assert (plans.name, reports.name) == ("plans", "reports")
    assert (plans.active, plans.queued, plans.limit) == (13, 3, 20)
    assert plans.use == pytest.approx(0.65)
    assert (plans.live, plans.silent, len(plans.instances)) == (2, 1, 3)
    assert plans.rejected == 45
    assert plans.rejected_by_tier == {"free": 36, "premium": 9}
    assert plans.rejected_by_reason == {"queue_full": 36, "timeout": 9}
    assert plans.breaches == 2
    assert [breach.kind for breach in breach_list(last(now, 60))] == [
        "queue_saturation",
        "slot_overdue",
    ]


@pytest.mark.usefixtures("busy_fleet")
def test_a_bulkhead_that_is_gone_is_not_listed(now: datetime) -> None:
    Bulkhead.objects.filter(name="reports").update(last_seen=now - timedelta(hours=2))
    assert [each.name for each in bulkhead_figures(last(now, 60), now=now)] == ["plans"]


@pytest.mark.usefixtures("busy_fleet")
def test_rows_of_a_bulkhead_whose_instances_are_all_silent_have_no_sum(now: datetime) -> None:
    Bulkhead.objects.update(last_seen=now - timedelta(seconds=50))
    plans = bulkhead_figures(last(now, 60), now=now)[0]
    assert (plans.active, plans.limit, plans.use, plans.live, plans.silent) == (
        None, None, None, 0, 3,
    )  # fmt: skip


@pytest.mark.usefixtures("busy_fleet")
def test_applied_counts_live_instances_at_the_present_version(now: datetime) -> None:
    before = applied_by_service(now=now)[PLANNER]
    assert (before.current, before.live, before.silent) == (0, 2, 1)
    assert not before.everywhere
    Instance.objects.filter(service=PLANNER).update(applied_version=before.version)
    after = applied_by_service(now=now, services=[PLANNER])
    assert list(after) == [PLANNER]
    assert (after[PLANNER].current, after[PLANNER].live) == (2, 2)
    assert after[PLANNER].everywhere


@pytest.mark.usefixtures("busy_fleet")
def test_toggles_have_a_state_and_the_instances_that_they_concern(now: datetime) -> None:
    views = {view.toggle.key: view for view in toggle_views(list(toggle_list()), now=now)}
    assert {key: view.state for key, view in views.items()} == {
        "planner.page_size": "value",
        "planner.suggestions": "on",
        "planner.write": "off",
    }
    assert views["planner.write"].live == 3
    assert views["planner.suggestions"].live == 2
    assert [a.service for a in views["planner.page_size"].applied] == [PLANNER]
    assert views["planner.page_size"].live == 1


@pytest.mark.usefixtures("busy_fleet")
def test_a_value_whose_time_is_over_is_unset_for_those_who_look(now: datetime) -> None:
    [view] = toggle_views(list(toggle_list(q="write")), now=now + timedelta(hours=2))
    assert view.state == "unset"
    toggle_revert(key="planner.suggestions", actor=ANA, role=Role.OPERATOR)
    assert [toggle.key for toggle in toggle_list(state="unset")] == ["planner.suggestions"]
    assert toggle_history("planner.suggestions").count() == 2


@pytest.mark.usefixtures("fleet")
def test_a_number_one_is_not_on(now: datetime) -> None:
    [view] = toggle_views([Toggle(key="n", value=1, created_at=now)], now=now)
    assert view.state == "value"


@pytest.mark.usefixtures("busy_fleet")
def test_services_are_listed_by_their_level(now: datetime) -> None:
    planner, agent = degraded_list(now=now)
    assert (planner.service, planner.level, planner.public_name) == (PLANNER, "reduced", "Planner")
    assert (agent.service, agent.level, agent.version) == (AGENT, "normal", 0)
    assert planner.version == DegradedMode.objects.get().version
    assert degraded_find("nobody", now=now) is None
    assert degraded_history(PLANNER).count() == 1
    late = degraded_find(PLANNER, now=now + timedelta(hours=2))
    assert late is not None
    assert late.level == "normal"


@pytest.mark.usefixtures("busy_fleet")
def test_the_public_is_told_of_no_internal_name_reason_or_actor(now: datetime) -> None:
    degraded_set(
        service=AGENT, level="offline", reason="the planner burns", actor=ANA, role=Role.ADMIN
    )
    status = public_status(now + timedelta(seconds=1))
    assert [(each.name, each.level) for each in status.current] == [
        ("A service", "offline"),
        ("Planner", "reduced"),
    ]
    assert status.level == "offline"
    told = repr(status)
    for secret in (PLANNER, AGENT, "ana'", "burns", "throttles"):
        assert secret not in told


@pytest.mark.usefixtures("busy_fleet")
def test_the_status_is_one_query(now: datetime) -> None:
    with CaptureQueriesContext(connection) as queries:
        public_status(now)
    assert len(queries) == 1


@pytest.mark.usefixtures("busy_fleet")
def test_a_notice_leaves_with_its_time_and_stays_a_fortnight(now: datetime) -> None:
    expired = public_status(now + timedelta(hours=2))
    assert expired.current == ()
    assert expired.past[0].ended_at == now + timedelta(hours=1)
    degraded_set(service=PLANNER, level="normal", reason="", actor=ANA, role=Role.ADMIN, now=now)
    assert len(public_status(now + timedelta(days=13)).past) == 1
    assert public_status(now + timedelta(days=15)).past == ()


@pytest.mark.usefixtures("busy_fleet")
def test_a_notice_holds_only_what_can_be_shown(now: datetime) -> None:
    Notice.objects.update(text="Plans\x0b are late\ud83d".encode("utf-8", "replace").decode())
    assert public_status(now).current[0].text == "Plans are late?"
