"""What a run is verified by where no check triggered it, and what it says of that."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from breakers.domain.keys import breaker_key
from breakers.models import Breaker, Instance
from healing.actions.base import Subject
from healing.choices import RunState
from healing.domain.definition import definition_of
from healing.models import HealingRun
from healing.services.recovery_orchestrator import run_look, run_start, run_verify
from healing.services.subjects import subject_by_hand
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Role
from resilience_site.core.models import JournalEntry
from tests.healing.engine.scenes import SITE, Stage, followed, fresh, step, workflow
from tests.health.world import World

pytestmark = pytest.mark.django_db
ANN = Actor(ActorKind.USER, "ann")


def breaker(now: datetime, state: str, service: str = "shop", name: str = "db") -> Breaker:
    Instance.objects.get_or_create(
        service=service, instance="one", defaults={"first_seen": now, "last_seen": now}
    )
    return Breaker.objects.create(
        service=service, name=name, instance="one", key=breaker_key(service, name), state=state,
        since=now, first_seen=now, last_seen=now,
    )  # fmt: skip


def begun(world: World, kind: str, service: str = "shop", **more: Any) -> HealingRun:
    told = Subject(kind="service", name=service, service=service, trigger_kind=kind)
    flow = workflow(
        step("test_left", "one"), now=world.now, trigger={"type": kind},
        verification={"timeout_seconds": 15, **more},
    )  # fmt: skip
    return run_start(workflow=flow, subject=told, actor=SITE, now=world.now)


def by_hand(world: World, what: str, **more: Any) -> HealingRun:
    flow = workflow(step("test_left", "one"), now=world.now, **more)
    found = subject_by_hand(definition_of(flow.definition), what)
    return run_start(
        workflow=flow, subject=found, actor=ANN, role=Role.OPERATOR, reason="look", now=world.now
    )


def proof(run: HealingRun) -> str:
    return str(fresh(run).evidence["verification"]["proof"])


@pytest.mark.parametrize("kind", ["prediction", "alert", "manual"])
def test_each_check_of_the_target_has_to_pass_as_often_as_the_triggering_one_would(
    world: World, stage: Stage, kind: str
) -> None:
    world.check("pool", interval=5, service="shop", failures_to_down=2)
    world.check("extra", interval=5, service="shop", failures_to_down=2, critical=False)
    stage.on_act = lambda _: world.down.clear()
    run = by_hand(world, "shop") if kind == "manual" else begun(world, kind, passes=3)
    run_look(run.pk, now=lambda: world.now)
    assert (fresh(run).state, fresh(run).passes) == (RunState.VERIFYING, 0)
    assert proof(run) == "the checks of shop, api, pool"
    run = followed(run, world)
    count = 2 if kind == "manual" else 3
    assert run.outcome == f"api, pool passed {count} times in a row each."
    assert (run.state, run.passes) == (RunState.SUCCEEDED, count)
    words = JournalEntry.objects.filter(kind="run.verifying").values_list(
        "payload__text", flat=True
    )
    assert list(words) == [
        "Looking whether shop is well again: told by the checks of shop, api, pool"
    ]


def test_a_check_that_goes_on_failing_is_named_though_the_other_passes(
    world: World, stage: Stage
) -> None:
    world.check("pool", interval=5, service="shop", failures_to_down=2)
    run = followed(begun(world, "prediction"), world)
    assert run.state == RunState.ESCALATED
    assert "api passed 0 of 2 times" in run.outcome
    assert "pool" not in run.outcome


def test_a_run_by_hand_on_a_breaker_is_verified_by_its_state_and_not_by_a_check(
    world: World, stage: Stage
) -> None:
    row = breaker(world.now, "open")
    world.down.clear()
    world.run(20)
    run = by_hand(world, "shop/db", target="breaker", trigger={"type": "manual"})
    run_look(run.pk, now=lambda: world.now)
    world.run(5)
    run_look(run.pk, now=lambda: world.now)
    assert (fresh(run).state, proof(run)) == (RunState.VERIFYING, "the state of the breaker db")
    Breaker.objects.filter(pk=row.pk).update(state="closed")
    world.run(1)
    run_look(run.pk, now=lambda: world.now)
    # Seen closed once; twice in a row are wanted.
    assert (fresh(run).state, fresh(run).passes) == (RunState.VERIFYING, 1)
    run = followed(run, world)
    assert (run.state, run.passes) == (RunState.SUCCEEDED, 2)
    again = run_verify(run_id=run.pk, actor=ANN, role=Role.OPERATOR, now=world.now)
    assert again.evidence["verified"]["well"]


def test_without_a_check_the_breakers_of_the_target_tell(world: World, stage: Stage) -> None:
    row = breaker(world.now, "open", "quiet")
    breaker(world.now, "closed", "quiet", "other")
    run = begun(world, "alert", "quiet")
    run_look(run.pk, now=lambda: world.now)
    assert proof(run) == "the breakers of quiet, as no check looks at it"
    world.run(5)
    run_look(run.pk, now=lambda: world.now)
    assert fresh(run).state == RunState.VERIFYING
    Breaker.objects.filter(pk=row.pk).update(state="closed")
    assert followed(run, world).state == RunState.SUCCEEDED


def test_where_nothing_tells_the_run_says_so_and_what_counts_then(
    world: World, stage: Stage
) -> None:
    run = followed(begun(world, "alert", "quiet"), world)
    assert run.state == RunState.SUCCEEDED
    assert proof(run) == (
        "nothing but its steps: quiet has no check and no breaker, so that it counts as healed "
        "once they took effect"
    )
    assert "Nothing tells how the target is" in run.outcome


def test_a_breaker_that_nobody_tells_of_any_more_does_not_count_as_closed(
    world: World, stage: Stage
) -> None:
    row = breaker(world.now, "open")
    told = Subject(
        kind="breaker", name="shop/db", service="shop", trigger_kind="breaker_open",
        trigger_key=breaker_key("shop", "db"),
    )  # fmt: skip
    flow = workflow(step("test_left", "one"), now=world.now, target="breaker")
    run = run_start(workflow=flow, subject=told, actor=SITE, now=world.now)
    run_look(run.pk, now=lambda: world.now)
    Breaker.objects.filter(pk=row.pk).delete()
    world.run(1)
    run_look(run.pk, now=lambda: world.now + timedelta(seconds=1))
    assert fresh(run).state == RunState.VERIFYING
    assert proof(run) == "the check of shop, api"
