"""Actions whose effects tests see, and workflows made of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from django.db import connections

from healing.actions.base import ACTIONS, Action, ActionFailed, Context, Done, Subject
from healing.choices import Mode
from healing.domain.definition import definition_form, definition_of
from healing.models import HealingRun, HealingStep, Workflow
from healing.services.recovery_orchestrator import run_look, run_start
from resilience_site.core.audit import Actor
from tests.health.world import World

SITE = Actor.system("healing")


@dataclass
class Stage:
    """What test actions did, in order, and how they are told to behave."""

    log: list[str] = field(default_factory=list)
    fail: dict[str, int] = field(default_factory=dict)
    permanent: bool = False
    finished: bool | None = None
    on_act: Callable[[str], None] = lambda _: None


STAGE = Stage()


@dataclass(frozen=True)
class Thing:
    thing: str = "it"
    key: str = ""


class Sample(Action[Thing]):
    Parameters = Thing
    secrets = frozenset({"key"})

    def effect(self, parameters: Thing, context: Context) -> str:
        return f"would {self.name} {parameters.thing} of {context.subject.name}"

    def observe(self, parameters: Thing, context: Context) -> dict[str, Any]:
        return {"was": f"{len(STAGE.log)}"}

    def act(self, parameters: Thing, context: Context) -> Done:
        STAGE.on_act(parameters.thing)
        if STAGE.fail.get(parameters.thing, 0) > 0:
            STAGE.fail[parameters.thing] -= 1
            raise ActionFailed("It would not.", permanent=STAGE.permanent, output="said no")
        STAGE.log.append(f"{self.name} {parameters.thing}")
        return Done(f"did {parameters.thing} with {parameters.key}", {"pid": 2})

    def finished(self, parameters: Thing, context: Context) -> bool | None:
        return STAGE.finished


class Left(Sample):
    safe_to_leave = True


class Undoable(Sample):
    undoes_itself = True

    def undo(self, parameters: Thing, context: Context) -> Done:
        if STAGE.fail.get(f"undo {parameters.thing}"):
            raise ActionFailed("It would not be undone.")
        STAGE.log.append(f"undo {parameters.thing}")
        return Done(f"back to {context.before['was']}")


class Repeatable(Left):
    repeatable = True


KINDS: Mapping[str, type[Sample]] = {
    "test_left": Left,
    "test_undoable": Undoable,
    "test_repeatable": Repeatable,
}


def register() -> None:
    for name, cls in KINDS.items():
        cls.name, cls.label = name, name.replace("_", " ").capitalize()
        ACTIONS[name] = cls()


@pytest.fixture
def stage() -> Iterator[Stage]:
    global STAGE
    STAGE = Stage()
    register()
    yield STAGE
    for name in KINDS:
        ACTIONS.pop(name, None)


def step(action: str, thing: str = "", **more: Any) -> dict[str, Any]:
    name = thing or action
    return {"id": name, "action": action, "with": {"thing": name}, **more}


def workflow(
    *steps: dict[str, Any], now: datetime, name: str = "heal_it", mode: str = "auto", **more: Any
) -> Workflow:
    form = {
        "name": name,
        "title": "Heal it",
        "trigger": {"type": "check_failed"},
        "steps": list(steps) or [step("test_left")],
        **more,
    }
    return Workflow.objects.create(
        name=name,
        title="Heal it",
        mode=Mode(mode),
        mode_changed_at=now,
        definition=definition_form(definition_of(form)),
        text="",
        created_at=now,
        changed_at=now,
    )


def subject(world: World, check: str = "api", service: str = "") -> Subject:
    """What a failing check says."""
    row = world.checks[check]
    return Subject(
        kind="service",
        name=service or row.service_id,
        service=service or row.service_id,
        check_id=row.pk,
        trigger_kind="check_failed",
        trigger_key=str(row.pk),
        trigger={"text": f"{check} fails"},
    )


def fresh(run: HealingRun) -> HealingRun:
    return HealingRun.objects.get(pk=run.pk)


def steps_of(run: HealingRun) -> list[HealingStep]:
    return list(HealingStep.objects.filter(run=run).order_by("n"))


def states(run: HealingRun) -> list[str]:
    return [each.state for each in steps_of(run)]


def followed(run: HealingRun, world: World, seconds: int = 60) -> HealingRun:
    """The run after so much time, looked at each second, or once it is over."""
    for _ in range(seconds):
        run_look(run.pk, now=lambda: world.now)
        run = fresh(run)
        if run.ended_at is not None:
            break
        world.run(1)
    return run


def begun(world: World, *steps: dict[str, Any], **more: Any) -> HealingRun:
    """A run that the site has started now."""
    flow = workflow(*steps, now=world.now, **more)
    return run_start(workflow=flow, subject=subject(world), actor=SITE, now=world.now)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What the calls return, begun at the same moment, each on a connection of its own."""
    found: list[Any] = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(n: int) -> None:
        try:
            barrier.wait()
            found[n] = calls[n]()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(calls))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return found
