"""Guardrails are judged in their order, the first refusal is the last verdict."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healing.choices import Mode, Ruling
from healing.domain.budgets import Spent, half_unhealthy, healed_at_once, spent
from healing.domain.definition import Guards
from healing.domain.guardrails import ORDER
from healing.domain.judging import Culprit, GroupHealth, OpenRun, Situation, Stop, judge
from healing.domain.modes import MODES, most_careful, next_above

NOW: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)
GUARDS: Final = Guards()

# What makes each guardrail refuse, where one can.
REFUSALS: Final[dict[str, dict[str, Any]]] = {
    "kill_switch": {"stop": Stop(reason="deploy", actor="ann")},
    "maintenance": {"maintenance": ("weekly patches",)},
    "mode": {"enabled": False},
    "target_lock": {"open_run": OpenRun("1", "restart_service", "running")},
    "cooldown": {"last_ended": NOW - timedelta(seconds=599)},
    "target_budget": {"spent": Spent(hour=3, day=3)},
    "concurrency": {"active": 3},
    "blast_radius": {"group": GroupHealth("web", 4, 2)},
    "culprit": {"culprit": Culprit("database", "postgres", "planner http")},
}
APPROVALS: Final[dict[str, dict[str, Any]]] = {
    "mode": {"workflow_mode": "approve"},
    "failed_runs": {"failed_in_a_row": 3},
    "error_budget": {"budget_left": 0.09},
}
# A person does not take the place of these.
NEVER_SKIPPED: Final = ("maintenance", "target_lock", "target_budget", "concurrency", "culprit")


def situation(**changed: Any) -> Situation:
    facts: dict[str, Any] = {
        "now": NOW,
        "guards": GUARDS,
        "service": "planner",
        "target": "planner",
        "workflow_mode": "auto",
    }
    return Situation(**(facts | changed))


def test_a_quiet_situation_passes_all_guardrails_in_their_order() -> None:
    found = judge(situation())
    assert [each.name for each in found.verdicts] == list(ORDER)
    assert {each.ruling for each in found.verdicts} == {"pass"}
    assert found.mode == "auto"
    assert found.refusal is None


def test_modes_and_rulings_are_those_of_the_tables() -> None:
    assert list(MODES) == Mode.values
    assert set(Ruling.values) == {"pass", "approve", "refuse"}
    assert most_careful("auto", "suggest", "approve") == "suggest"
    assert [next_above(each) for each in MODES] == ["suggest", "approve", "auto", None]


@pytest.mark.parametrize("name", REFUSALS)
def test_each_guardrail_refuses_by_itself_and_nothing_is_judged_after_it(name: str) -> None:
    found = judge(situation(**REFUSALS[name]))
    assert [each.name for each in found.verdicts] == list(ORDER[: ORDER.index(name) + 1])
    assert found.refusal is not None
    assert found.refusal.name == name
    assert found.refusal.reason


@pytest.mark.parametrize("name", APPROVALS)
def test_each_guardrail_that_asks_for_approval_leaves_the_mode_approve(name: str) -> None:
    found = judge(situation(**APPROVALS[name]))
    assert found.refusal is None
    assert found.mode == "approve"
    assert [each.name for each in found.verdicts if each.ruling == "approve"] == [name]


@given(st.sets(st.sampled_from(sorted(REFUSALS))), st.sets(st.sampled_from(sorted(APPROVALS))))
def test_of_several_refusals_the_first_in_order_counts(
    refusing: set[str], approving: set[str]
) -> None:
    facts: dict[str, Any] = {}
    for name in approving:
        facts |= APPROVALS[name]
    for name in refusing:
        facts |= REFUSALS[name]
    found = judge(situation(**facts))
    first = min(refusing, key=ORDER.index, default=None)
    assert (found.refusal.name if found.refusal else None) == first
    judged = [each.name for each in found.verdicts]
    assert judged == list(ORDER[: len(judged)])
    assert all(each.ruling != "refuse" for each in found.verdicts[:-1])
    if first is None:
        assert found.mode == ("approve" if approving else "auto")


@given(
    workflow=st.sampled_from(MODES),
    wish=st.sampled_from(("", *MODES)),
    cap=st.sampled_from(("auto", "observe")),
    by_person=st.booleans(),
    failed=st.integers(0, 5),
)
def test_no_wish_and_no_guardrail_lets_a_run_go_further_than_its_mode(
    workflow: str, wish: str, cap: str, by_person: bool, failed: int
) -> None:
    found = judge(
        situation(
            workflow_mode=workflow,
            wanted_mode=wish,
            cap=cap,
            by_person=by_person,
            failed_in_a_row=failed,
        )
    )
    bounds = [wish or "auto", cap] if by_person else [wish or "auto", cap, workflow]
    assert MODES.index(found.mode) <= MODES.index(most_careful(*bounds))
    if found.mode in ("observe", "suggest"):
        assert found.refusal is not None
        assert found.refusal.name == "mode"
    if failed >= 3 and not by_person and found.refusal is None:
        assert found.mode == "approve"


@pytest.mark.parametrize("name", NEVER_SKIPPED)
def test_a_person_does_not_get_past_what_keeps_others_safe(name: str) -> None:
    found = judge(situation(by_person=True, **REFUSALS[name]))
    assert found.refusal is not None
    assert found.refusal.name == name


def test_a_person_takes_the_place_of_mode_cooldown_failed_runs_and_error_budget() -> None:
    found = judge(
        situation(
            by_person=True,
            workflow_mode="observe",
            last_ended=NOW,
            failed_in_a_row=7,
            budget_left=-0.5,
            group=GroupHealth("", 4, 4),
        )
    )
    assert {each.ruling for each in found.verdicts} == {"pass"}
    assert found.mode == "auto"


def test_a_person_does_not_get_past_a_variable_of_the_site_that_is_false() -> None:
    cap = {"cap": "observe", "cap_reason": "AUTO_RESTART_ENABLED is false."}
    found = judge(situation(by_person=True, **cap))
    assert found.refusal is not None
    assert found.refusal.name == "mode"
    assert "AUTO_RESTART_ENABLED" in found.refusal.reason


def test_a_stop_of_the_site_stops_automation_and_a_stop_of_a_person_stops_people_too() -> None:
    by_site = {"stop": Stop("web", "half of it fails", "healing", by_site=True)}
    by_hand = {"stop": Stop("", "deploy", "ann")}
    refusals: list[Callable[[], Any]] = [
        lambda: judge(situation(**by_site)).refusal,
        lambda: judge(situation(by_person=True, **by_hand)).refusal,
    ]
    assert [each().name for each in refusals] == ["kill_switch", "kill_switch"]
    assert judge(situation(by_person=True, **by_site)).refusal is None


def test_what_the_group_bears_is_a_tenth_of_it_and_at_least_one() -> None:
    assert [healed_at_once(size, 0.1) for size in (0, 1, 9, 10, 19, 20, 30, 1000)] == [
        1, 1, 1, 1, 1, 2, 3, 100,
    ]  # fmt: skip
    other = GroupHealth("web", 10, 1, frozenset({"billing"}))
    found = judge(situation(group=other))
    assert found.refusal is not None
    assert "billing" in found.refusal.reason
    same = GroupHealth("web", 10, 1, frozenset({"planner"}))
    assert judge(situation(group=same)).refusal is None
    wide = GroupHealth("web", 20, 1, frozenset({"billing"}))
    assert judge(situation(group=wide)).refusal is None


@pytest.mark.parametrize(
    ("failing", "size", "stops"),
    [
        (0, 1, False), (1, 1, False), (0, 2, False), (1, 2, True), (2, 2, True), (1, 3, False),
        (2, 3, True), (1, 4, False), (2, 4, True), (2, 5, False), (4, 10, False), (5, 10, True),
    ],
)  # fmt: skip
def test_half_of_a_group_unhealthy_stops_automation_but_not_people(
    failing: int, size: int, stops: bool
) -> None:
    assert half_unhealthy(failing, size) is stops
    found = judge(situation(group=GroupHealth("web", size, failing)))
    assert (found.refusal is not None) is stops
    if found.refusal is not None:
        assert found.refusal.name == "blast_radius"
        assert f"{failing} of {size} services of the group web" in found.refusal.reason
    by_person = situation(group=GroupHealth("web", size, failing), by_person=True)
    assert judge(by_person).refusal is None


def test_of_services_in_no_group_one_that_fails_is_healed_also_beside_one_other() -> None:
    fleet = [(1, 1), (1, 2), (2, 2), (2, 4), (5, 10), (4, 10)]
    found = [judge(situation(group=GroupHealth("", size, failing))) for failing, size in fleet]
    assert [each.refusal is not None for each in found] == [
        False, False, True, True, True, False,
    ]  # fmt: skip


def test_a_person_who_starts_automation_again_is_heeded_though_half_of_the_group_fails() -> None:
    released = GroupHealth("web", 4, 3, released=True)
    assert judge(situation(group=released)).refusal is None


@given(st.lists(st.integers(0, 100_000), max_size=30))
def test_a_budget_counts_the_last_hour_and_the_last_day(ages: list[int]) -> None:
    began = [NOW - timedelta(seconds=each) for each in ages]
    found = spent(began, NOW)
    assert found.hour == sum(each < 3600 for each in ages)
    assert found.day == sum(each < 86_400 for each in ages)
    assert spent(began, NOW, since=NOW) == Spent()


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (0.0996, "9.9 % of the error budget is left: only with approval."),
        (0.0, "The error budget is gone, all of it spent: only with approval."),
        (-180.035, "The error budget is gone, spent 181 times: only with approval."),
    ],
)
def test_a_budget_that_is_short_is_told_as_on_its_own_page(left: float, said: str) -> None:
    found = judge(situation(budget_left=left))
    assert [v.reason for v in found.verdicts if v.name == "error_budget"] == [said]
