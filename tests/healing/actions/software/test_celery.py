"""Workers of a real Celery fleet behind a real broker: drained, restarted, grown, and put back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from healing.actions.base import ActionFailed
from healing.actions.fleet import Fleet, processes, size
from healing.actions.registry import action_named
from health.checks.options import OptionError
from tests.healing.actions.software.acting import act, context, effect, refused
from tests.healing.actions.software.fleetapp import worker
from tests.health.checks.engines import ValkeyEngine, free_port, until, valkey
from tests.health.checks.fleet import sender

ONE, TWO = "one@fleet", "two@fleet"
DOZE = "tests.healing.actions.software.fleetapp.doze"


@pytest.fixture(scope="module")
def broker() -> Iterator[ValkeyEngine]:
    """With two workers; only the first may restart its pool."""
    with valkey() as engine, worker(engine.url, "one"), worker(engine.url, "two", restarts=False):
        until(lambda: len(stats(engine)) == 2, 55)
        yield engine


def given(broker: ValkeyEngine, **more: Any) -> dict[str, Any]:
    return {"broker_url": broker.url, "reply_seconds": 0.5, **more}


def fleet(broker: ValkeyEngine) -> Fleet:
    found = action_named("celery_drain")
    return Fleet(found.parse(given(broker, worker="all")), context())


def stats(broker: ValkeyEngine) -> dict[str, Any]:
    try:
        return fleet(broker).members()
    except ActionFailed:
        return {}


def taken(broker: ValkeyEngine) -> dict[str, list[str]]:
    answers = fleet(broker).told("active_queues")
    return {name: [row["name"] for row in rows or []] for name, rows in answers.items()}


def test_the_first_worker_is_drained_once_its_task_is_done_and_takes_tasks_again(
    broker: ValkeyEngine,
) -> None:
    said = effect("celery_drain", given(broker), context())
    assert said == f"Drains {ONE} (takes from celery, holds 0 tasks)"
    with sender(broker.url) as client:
        for _ in range(2):
            client.send_task(DOZE, [2.0])
        until(lambda: len(fleet(broker).told("active").get(ONE) or []) == 1, 20)
    began = time.monotonic()
    acted = act("celery_drain", given(broker), context())
    assert time.monotonic() - began > 0.5
    assert fleet(broker).told("active", [ONE])[ONE] == []
    assert taken(broker) == {ONE: [], TWO: ["celery"]}
    assert acted.finished() is True
    acted.undo()
    assert taken(broker) == {ONE: ["celery"], TWO: ["celery"]}
    assert acted.finished() is False


def test_a_worker_that_does_not_end_its_task_fails_the_step(broker: ValkeyEngine) -> None:
    with sender(broker.url) as client:
        for _ in range(2):
            client.send_task(DOZE, [6.0])
        until(lambda: len(fleet(broker).told("active").get(ONE) or []) == 1, 20)
    failed = refused("celery_drain", given(broker), context(seconds=3))
    assert failed.message == f"Tasks are still held: {ONE} 1"
    wanted = given(broker, queues=["celery"])
    assert effect("celery_resume", wanted, context()) == f"Lets {ONE} take from celery again"
    assert act("celery_resume", wanted, context()).finished() is True
    assert taken(broker) == {ONE: ["celery"], TWO: ["celery"]}
    assert "Changes nothing" in effect("celery_resume", wanted, context())
    until(lambda: not any(fleet(broker).told("active").values()), 20)


def test_a_pool_is_restarted_when_other_processes_run_in_it(broker: ValkeyEngine) -> None:
    before = processes(stats(broker)[ONE])
    said = effect("celery_pool_restart", given(broker), context())
    assert said == f"Restarts the pool of {ONE} (1 processes)"
    acted = act("celery_pool_restart", given(broker), context())
    after = processes(stats(broker)[ONE])
    assert after
    assert not set(after) & set(before)
    assert acted.finished() is True
    with sender(broker.url) as client:
        client.send_task(DOZE, [0.01])
    until(lambda: stats(broker)[ONE]["total"] or stats(broker)[TWO]["total"], 20)


def test_a_worker_that_may_not_restart_its_pool_says_so(broker: ValkeyEngine) -> None:
    failed = refused("celery_pool_restart", given(broker, worker=TWO), context())
    assert failed.message == f"{TWO} refuses: Pool restarts not enabled"


def test_pools_grow_to_the_most_and_shrink_again(broker: ValkeyEngine) -> None:
    wanted = given(broker, by=3, most=3)
    said = effect("celery_pool_grow", wanted, context())
    assert said == f"Grows the pool of {ONE} from 1 to 3, {TWO} from 1 to 3"
    acted = act("celery_pool_grow", wanted, context())
    assert {size(each) for each in stats(broker).values()} == {3}
    assert acted.finished() is True
    assert effect("celery_pool_grow", wanted, context()).startswith("Grows no pool")
    again = acted.action.act(acted.parameters, acted.context)
    assert again.output == "", "a further attempt does only what is left"
    acted.undo()
    until(lambda: {size(each) for each in stats(broker).values()} == {1}, 10)


def test_a_worker_that_is_not_there_fails_the_step(broker: ValkeyEngine) -> None:
    failed = refused("celery_pool_grow", given(broker, worker="ghost@fleet"), context())
    assert failed.message.startswith("The worker ghost@fleet does not answer by way of ")


def test_a_broker_that_is_away_fails_the_step() -> None:
    url = f"redis://:hidden-word@127.0.0.1:{free_port()}/0"
    failed = refused("celery_drain", {"broker_url": url}, context(seconds=5))
    assert "127.0.0.1" in failed.message
    assert "hidden-word" not in failed.message
    assert not failed.permanent
    assert refused("celery_drain", {"broker_url": url}, context(private=False)).permanent


@pytest.mark.parametrize(
    ("name", "wrong", "option"),
    [
        ("celery_drain", {"broker_url": "http://h"}, "broker_url"),
        ("celery_drain", {"broker_url": "redis://h", "worker": ""}, "worker"),
        ("celery_pool_grow", {"broker_url": "redis://h", "by": 0}, "by"),
        ("celery_resume", {"broker_url": "redis://h", "queues": []}, "queues"),
        ("celery_pool_restart", {"broker_url": "redis://h", "reply_seconds": 0}, "reply_seconds"),
    ],
)
def test_parameters_that_cannot_work_are_refused(
    name: str, wrong: dict[str, Any], option: str
) -> None:
    with pytest.raises(OptionError) as caught:
        action_named(name).parse(wrong)
    assert caught.value.option == option
