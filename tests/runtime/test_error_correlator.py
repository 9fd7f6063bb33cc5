"""Errors of one process that belong together, and healing by registered actions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from breakers.runtime.error_correlator import ErrorCorrelator, ErrorEvent, ErrorPattern, template_of
from breakers.runtime.self_healing import (
    HealingAction,
    HealingWorkflow,
    SelfHealingManager,
)
from breakers.runtime.variables import ConfigError

START = datetime(2026, 1, 1, tzinfo=UTC)


class Now:
    at = START.timestamp()

    def __call__(self) -> float:
        return self.at


async def test_errors_of_one_correlation_id_are_one_chain_with_its_root_cause() -> None:
    now = Now()
    correlator = ErrorCorrelator(now=now)
    cause = ConnectionError("refused by 10.0.0.1:443")
    await correlator.track_error_chain("request-1", cause, {"operation": "get_token"})
    now.at += 1
    outer = RuntimeError("plan 17 not loaded")
    outer.__cause__ = cause
    await correlator.track_error_chain("request-1", outer, {"operation": "list_plans"})
    await correlator.track_error_chain("request-2", KeyError("x"), {})

    result = await correlator.correlate_errors(correlator.events())
    (group,) = result.groups
    assert (group.by, group.key) == ("correlation_id", "request-1")
    assert [event.type for event in group.events] == ["ConnectionError", "RuntimeError"]
    assert group.events[1].causes == ("ConnectionError",)
    assert group.root_cause.type == "ConnectionError"
    assert [event.type for event in result.alone] == ["KeyError"]


async def test_errors_without_an_id_belong_together_within_a_second() -> None:
    events = [
        ErrorEvent("A", "", START + timedelta(seconds=seconds)) for seconds in (0, 0.9, 1.8, 4)
    ]
    result = await ErrorCorrelator().correlate_errors(events)
    assert [len(group.events) for group in result.groups] == [3]
    assert result.groups[0].by == "time"
    assert len(result.alone) == 1


async def test_patterns_count_what_differs_in_numbers_only_within_the_window() -> None:
    now = Now()
    correlator = ErrorCorrelator(now=now)
    await correlator.track_error_chain("old", OSError("host 1 timed out"), {})
    now.at += 3600
    for host in range(3):
        error = OSError(f"host {host} timed out")
        await correlator.track_error_chain(f"r{host}", error, {"operation": "sync"})
    await correlator.track_error_chain("r9", KeyError("x"), {})
    patterns = await correlator.analyze_error_patterns(timedelta(minutes=15))
    assert [(p.type, p.template, p.count) for p in patterns] == [
        ("OSError", "host * timed out", 3),
        ("KeyError", "*", 1),
    ]
    assert patterns[0].operations == ("sync",)


async def test_the_impact_of_an_error_is_all_that_went_wrong_with_it() -> None:
    correlator = ErrorCorrelator()
    for request in ("a", "b"):
        await correlator.track_error_chain(request, OSError("down"), {"service": "planner"})
    await correlator.track_error_chain("a", KeyError("x"), {"service": "web"})
    await correlator.track_error_chain("c", ValueError("y"), {"service": "other"})
    first = correlator.events()[0]
    report = await correlator.generate_error_impact_report(first.id)
    assert [event.type for event in report.related] == ["OSError", "KeyError"]
    assert report.services == ("planner", "web")
    assert report.requests == 2
    with pytest.raises(KeyError, match="nothing"):
        await correlator.generate_error_impact_report("nothing")


async def test_its_memory_is_bounded() -> None:
    correlator = ErrorCorrelator(capacity=10)
    for place in range(100):
        await correlator.track_error_chain(str(place), OSError(), {})
    assert [event.correlation_id for event in correlator.events()] == [
        str(n) for n in range(90, 100)
    ]


def test_a_template_keeps_the_words() -> None:
    message = "user 'ada' 0xff at 3f2b8c1e-1111-2222-3333-444455556666 port 80"
    assert template_of(message) == "user * * at * port *"


class Pool:
    def __init__(self) -> None:
        self.log: list[str] = []
        self.healthy = True


def manager(pool: Pool) -> SelfHealingManager:
    healing = SelfHealingManager()

    @healing.action(
        "recycle_pool",
        verify=lambda parameters: pool.healthy,
        undo=lambda parameters: pool.log.append(f"undo {parameters['size']}"),
        heals=["Operational*"],
    )
    async def recycle_pool(parameters: Mapping[str, Any]) -> None:
        pool.log.append(f"recycle {parameters['size']}")

    @healing.action("explode")
    def explode(parameters: Mapping[str, Any]) -> None:
        raise OSError("no space")

    return healing


async def test_a_workflow_runs_and_verifies_its_actions() -> None:
    pool = Pool()
    healing = manager(pool)
    pattern = ErrorPattern("OperationalError", "down", 3, START, START, ())
    opportunity = await healing.detect_healing_opportunity(pattern)
    assert opportunity.actions == ("recycle_pool",)
    other = ErrorPattern("KeyError", "", 1, START, START, ())
    assert not (await healing.detect_healing_opportunity(other)).found

    action = HealingAction("recycle_pool", {"size": 5})
    result = await healing.execute_healing_workflow(HealingWorkflow("heal", [action]))
    assert (result.outcome, result.done, pool.log) == (
        "succeeded",
        ("recycle_pool",),
        ["recycle 5"],
    )
    assert (await healing.rollback_healing_action(action.id)).rolled_back
    again = await healing.rollback_healing_action(action.id)
    assert (again.rolled_back, again.reason) == (False, "no such action was executed here")


async def test_what_was_done_is_undone_when_a_later_action_fails() -> None:
    pool = Pool()
    actions = [HealingAction("recycle_pool", {"size": 5}), HealingAction("explode")]
    result = await manager(pool).execute_healing_workflow(HealingWorkflow("heal", actions))
    assert (result.outcome, result.failed, result.error) == (
        "rolled_back",
        "explode",
        "OSError: no space",
    )
    assert pool.log == ["recycle 5", "undo 5"]


async def test_an_action_that_cannot_be_verified_has_failed() -> None:
    pool = Pool()
    pool.healthy = False
    healing = manager(pool)
    action = HealingAction("recycle_pool", {"size": 5})
    assert not await healing.verify_healing_success(action)
    result = await healing.execute_healing_workflow(HealingWorkflow("heal", [action]))
    assert (result.outcome, result.error) == ("failed", "it could not be verified")
    missing = HealingWorkflow("heal", [HealingAction("dance")])
    assert (await healing.execute_healing_workflow(missing)).error == (
        "no action 'dance' is registered"
    )


def test_a_name_is_given_once() -> None:
    healing = manager(Pool())
    with pytest.raises(ConfigError, match="exists already"):
        healing.action("explode")(lambda parameters: None)
