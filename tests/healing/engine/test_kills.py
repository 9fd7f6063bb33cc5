"""Workers that are killed (SIGKILL) at every boundary of a run, and those that take over."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from healing.actions.base import ACTIONS, ActionFailed, Context, Done, Subject
from healing.choices import OPEN, RunState
from healing.models import HealingRun
from healing.services.recovery_orchestrator import run_look, run_start
from healing.services.runs import leases
from healing.services.runs.leases import Lease
from tests.healing.engine.scenes import SITE, Sample, Thing, fresh, states, step, workflow

pytestmark = pytest.mark.django_db(transaction=True)

Crossed = Callable[[], None]


class Ledger(Sample):
    """Leaves a line in a file, which outlives its worker. Tells afterwards whether it did."""

    safe_to_leave = True
    path = Path()
    crossed: Crossed = staticmethod(lambda: None)

    def act(self, parameters: Thing, context: Context) -> Done:
        type(self).crossed()
        self._leave(f"do {parameters.thing}")
        type(self).crossed()
        return Done("done")

    def finished(self, parameters: Thing, context: Context) -> bool | None:
        return f"do {parameters.thing}" in lines(self.path)

    def _leave(self, line: str) -> None:
        with self.path.open("a") as file:
            file.write(f"{line}\n")


class Blind(Ledger):
    """Cannot tell whether it took effect, and may not be done twice."""

    def finished(self, parameters: Thing, context: Context) -> bool | None:
        return None


class Undone(Ledger):
    safe_to_leave = False
    undoes_itself = True

    def undo(self, parameters: Thing, context: Context) -> Done:
        type(self).crossed()
        self._leave(f"undo {parameters.thing}")
        type(self).crossed()
        return Done("undone")


class Refusing(Ledger):
    def act(self, parameters: Thing, context: Context) -> Done:
        raise ActionFailed("It will not.", permanent=True)


KINDS = {
    "test_ledger": Ledger,
    "test_blind": Blind,
    "test_undone": Undone,
    "test_refusing": Refusing,
}


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "ledger"
    for name, cls in KINDS.items():
        cls.name, cls.label, cls.path = name, name, path
        ACTIONS[name] = cls()
    yield path
    for name in KINDS:
        ACTIONS.pop(name)


def begin(*steps: dict[str, Any]) -> HealingRun:
    """A run on a service that no check tells of: what its actions say is all there is."""
    now = datetime.now(UTC)
    told = Subject(kind="service", name="quiet", service="quiet", trigger_kind="alert")
    flow = workflow(*steps, now=now)
    return run_start(workflow=flow, subject=told, actor=SITE, now=now)


@contextmanager
def crossing(crossed: Crossed) -> Iterator[None]:
    """`crossed` is called before and after each write, and inside of acts."""
    own = Lease.writing

    @contextmanager
    def writing(self: Lease) -> Iterator[HealingRun]:
        crossed()
        with own(self) as run:
            yield run
        crossed()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lease, "writing", writing)
        for cls in KINDS.values():
            patch.setattr(cls, "crossed", staticmethod(crossed))
        yield


def boundaries(run: HealingRun) -> int:
    """How many boundaries the run has when nobody is killed."""
    count = 0

    def crossed() -> None:
        nonlocal count
        count += 1

    with crossing(crossed):
        look_until_over(run)
    return count


def killed_at(run: HealingRun, place: int) -> None:
    """Advance the run in a process that is killed at its boundary `place`, counted from 0."""
    connections.close_all()
    connection.close_pool()
    child = os.fork()
    if child == 0:
        passed = iter(range(10_000))

        def crossed() -> None:
            if next(passed) == place:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            with crossing(crossed):
                run_look(run.pk)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the worker was not killed"


def look_until_over(run: HealingRun) -> HealingRun:
    at = datetime.now(UTC)
    for _ in range(30):
        run_look(run.pk, now=lambda at=at: at)
        run = fresh(run)
        if run.state not in OPEN:
            return run
        at += timedelta(seconds=1)
    raise AssertionError(f"it does not end: {run.state}")


def taken_over(run: HealingRun) -> HealingRun:
    """The run after another worker took it over, which it may only once the lease is over."""
    leased = fresh(run).lease_until is not None
    assert run_look(run.pk) is not leased or fresh(run).state not in OPEN
    now = datetime.now(UTC) + leases.LEASE + timedelta(seconds=1)
    for n in range(30):
        at = now + timedelta(seconds=n)
        run_look(run.pk, now=lambda at=at: at)
        if fresh(run).state not in OPEN:
            return fresh(run)
    raise AssertionError(f"it does not end: {fresh(run).state}")


HEALING = (step("test_ledger", "one"), step("test_undone", "two"))
# Writes: doubt, begin, for each step its beginning and its end, verification, end; and two inside
# of each act.
PLACES = 2 * 8 + 2 * 2


def test_so_many_boundaries_has_a_run(ledger: Path) -> None:
    assert boundaries(begin(*HEALING)) == PLACES


@pytest.mark.parametrize("place", range(PLACES))
def test_a_run_ends_right_and_nothing_is_done_twice(ledger: Path, place: int) -> None:
    run = begin(*HEALING)
    killed_at(run, place)
    run = taken_over(run) if fresh(run).state in OPEN else fresh(run)
    assert run.state == RunState.SUCCEEDED
    assert states(run) == ["succeeded", "succeeded"]
    assert lines(ledger) == ["do one", "do two"]


BLIND = (step("test_blind", "one"), step("test_ledger", "two"))


@pytest.mark.parametrize("place", range(3, 11))
def test_what_may_not_be_done_twice_is_not_though_nobody_knows(ledger: Path, place: int) -> None:
    run = begin(*BLIND)
    killed_at(run, place)
    run = taken_over(run) if fresh(run).state in OPEN else fresh(run)
    assert len(lines(ledger)) == len(set(lines(ledger)))
    # Between the beginning of the step and its end, and nowhere else, nobody knows.
    if 5 <= place <= 8:
        assert run.state == RunState.ESCALATED
        assert states(run) == ["failed", "pending"]
        assert "cannot be told whether it took effect" in run.outcome
    else:
        assert run.state == RunState.SUCCEEDED
        assert lines(ledger) == ["do one", "do two"]


UNDOING = (step("test_undone", "one"), step("test_undone", "two"), step("test_refusing", "three"))
# Writes: doubt, begin, two for each of three steps, the decision, two for each of two that are
# undone, end; and two inside of each act and of its undoing.
UNDOING_PLACES = 2 * (2 + 6 + 1 + 4 + 1) + 2 * 4


def test_so_many_boundaries_has_a_run_that_is_undone(ledger: Path) -> None:
    assert boundaries(begin(*UNDOING)) == UNDOING_PLACES


@pytest.mark.parametrize("place", range(UNDOING_PLACES))
def test_undoing_goes_on_after_a_kill(ledger: Path, place: int) -> None:
    run = begin(*UNDOING)
    killed_at(run, place)
    run = taken_over(run) if fresh(run).state in OPEN else fresh(run)
    assert run.state == RunState.ESCALATED
    assert states(run) == ["compensated", "compensated", "failed"]
    assert run.evidence["undone"] == ["one", "two"]
    found = lines(ledger)
    assert found[:2] == ["do one", "do two"]
    # To put back what was is the same twice.
    order = list(dict.fromkeys(found[2:]))
    assert order == ["undo two", "undo one"]
