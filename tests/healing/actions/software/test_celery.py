"""Workers of a real Celery fleet behind a real broker: drained, restarted, grown, and put back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from healing.actions.base import ActionFailed, Context
from healing.actions.fleet import Fleet, processes, size
from healing.actions.registry import action_named
from health.checks import brokers
from health.checks.options import OptionError
from tests.healing.actions.software.acting import Moment, act, context, effect, refused
from tests.healing.actions.software.fleetapp import worker
from tests.health.checks.engines import ValkeyEngine, valkey
from tests.health.checks.fleet import sender
from tests.patience import until
from tests.ports import free_port

ONE, TWO = "one@fleet", "two@fleet"
# Of a queue that both take from nobody knows who gets the next task.
OWN = "only-one"
HOLD = "tests.healing.actions.software.fleetapp.hold"
# Seconds that a worker may be silent, which costs nothing where all who are asked answer.
PATIENCE = 20.0


@pytest.fixture(scope="module")
def broker() -> Iterator[ValkeyEngine]:
    """With two workers; only the first may restart its pool."""
    with (
        valkey() as engine,
        worker(engine.url, "one", "celery", OWN),
        worker(engine.url, "two", "celery", restarts=False),
    ):
        until(lambda: len(stats(engine, reply_seconds=1.0)) == 2, 180)
        yield engine


@pytest.fixture(autouse=True)
def known_fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks all workers has heard all once two have answered, and waits for no third."""
    commanded: Any = brokers._commanded

    def both(*given: Any) -> Any:
        *most, options = given
        return commanded(*most, {**options, "limit": options["limit"] or 2})

    monkeypatch.setattr(brokers, "_commanded", both)


def given(broker: ValkeyEngine, **more: Any) -> dict[str, Any]:
    return {"broker_url": broker.url, "reply_seconds": PATIENCE, **more}


def enough() -> Context:
    """A step with time for workers that take all their patience."""
    return context(seconds=6 * PATIENCE)


def fleet(broker: ValkeyEngine, **more: Any) -> Fleet:
    found = action_named("celery_drain")
    return Fleet(found.parse(given(broker, worker="all", **more)), enough())


def stats(broker: ValkeyEngine, **more: Any) -> dict[str, Any]:
    try:
        return fleet(broker, **more).members()
    except ActionFailed:
        return {}


def taken(broker: ValkeyEngine) -> dict[str, list[str]]:
    answers = fleet(broker).told("active_queues")
    return {name: sorted(row["name"] for row in rows or []) for name, rows in answers.items()}


def ended(broker: ValkeyEngine) -> int:
    """How many tasks the first worker has taken since it began."""
    return int(stats(broker)[ONE]["total"].get(HOLD, 0))


def send(broker: ValkeyEngine, gate: Path) -> None:
    """A task for the first worker, which ends once there is the file `gate`."""
    with sender(broker.url) as client:
        client.send_task(HOLD, [str(gate)], queue=OWN)


def hold(broker: ValkeyEngine, gate: Path) -> None:
    send(broker, gate)
    until(lambda: len(fleet(broker).told("active", [ONE]).get(ONE) or []) == 1, 60)


def test_the_first_worker_is_drained_once_its_task_is_done_and_takes_tasks_again(
    broker: ValkeyEngine, tmp_path: Path
) -> None:
    said = effect("celery_drain", given(broker), enough())
    assert said == f"Drains {ONE} (takes from celery, {OWN}, holds 0 tasks)"
    gate, waits = tmp_path / "gate", []
    hold(broker, gate)

    def pause(seconds: float) -> None:
        waits.append(seconds)
        gate.touch()
        time.sleep(seconds)

    acted = act("celery_drain", given(broker), replace(enough(), pause=pause))
    assert waits
    assert fleet(broker).told("active", [ONE])[ONE] == []
    assert taken(broker) == {ONE: [], TWO: ["celery"]}
    assert acted.finished() is True
    acted.undo()
    assert taken(broker) == {ONE: ["celery", OWN], TWO: ["celery"]}
    assert acted.finished() is False


def test_a_worker_that_does_not_end_its_task_fails_the_step(
    broker: ValkeyEngine, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    hold(broker, gate)
    drained = given(broker, queues=["celery"])
    failed = refused("celery_drain", drained, context(Moment(), seconds=2 * PATIENCE + 3))
    assert failed.message == f"Tasks are still held: {ONE} 1"
    gate.touch()
    assert taken(broker) == {ONE: [OWN], TWO: ["celery"]}
    wanted = given(broker, queues=["celery"])
    assert effect("celery_resume", wanted, enough()) == f"Lets {ONE} take from celery again"
    assert act("celery_resume", wanted, enough()).finished() is True
    assert taken(broker) == {ONE: ["celery", OWN], TWO: ["celery"]}
    assert "Changes nothing" in effect("celery_resume", wanted, enough())
    until(lambda: not any(fleet(broker).told("active").values()), 60)


def test_a_pool_is_restarted_when_other_processes_run_in_it(
    broker: ValkeyEngine, tmp_path: Path
) -> None:
    before, tasks = processes(stats(broker)[ONE]), ended(broker)
    said = effect("celery_pool_restart", given(broker), enough())
    assert said == f"Restarts the pool of {ONE} (1 processes)"
    acted = act("celery_pool_restart", given(broker), enough())
    after = processes(stats(broker)[ONE])
    assert after
    assert not set(after) & set(before)
    assert acted.finished() is True
    gate = tmp_path / "gate"
    gate.touch()
    send(broker, gate)
    until(lambda: ended(broker) > tasks, 60)


def test_a_worker_that_may_not_restart_its_pool_says_so(broker: ValkeyEngine) -> None:
    failed = refused("celery_pool_restart", given(broker, worker=TWO), enough())
    assert failed.message == f"{TWO} refuses: Pool restarts not enabled"


def test_pools_grow_to_the_most_and_shrink_again(broker: ValkeyEngine) -> None:
    wanted = given(broker, by=3, most=3)
    said = effect("celery_pool_grow", wanted, enough())
    assert said == f"Grows the pool of {ONE} from 1 to 3, {TWO} from 1 to 3"
    acted = act("celery_pool_grow", wanted, enough())
    assert {size(each) for each in stats(broker).values()} == {3}
    assert acted.finished() is True
    assert effect("celery_pool_grow", wanted, enough()).startswith("Grows no pool")
    again = acted.action.act(acted.parameters, acted.context)
    assert again.output == "", "a further attempt does only what is left"
    acted.undo()
    until(lambda: {size(each) for each in stats(broker).values()} == {1}, 60)


def test_a_worker_that_is_not_there_fails_the_step(broker: ValkeyEngine) -> None:
    ghost = given(broker, worker="ghost@fleet", reply_seconds=0.5)
    failed = refused("celery_pool_grow", ghost, enough())
    assert failed.message.startswith("The worker ghost@fleet does not answer by way of ")


def test_a_broker_that_is_away_fails_the_step() -> None:
    url = f"redis://:hidden-word@127.0.0.1:{free_port()}/0"
    failed = refused("celery_drain", {"broker_url": url}, context(seconds=60))
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
