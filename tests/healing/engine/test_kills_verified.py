"""Workers that are killed (SIGKILL) at every boundary of a step that is verified by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from breakers.domain.keys import breaker_key
from breakers.models import Breaker
from healing.actions.base import ACTIONS, Context
from healing.choices import OPEN, RunState
from tests.healing.engine.scenes import Thing, fresh, states, step, steps_of
from tests.healing.engine.test_kills import (
    KINDS,
    Ledger,
    begin,
    boundaries,
    killed_at,
    ledger,
    lines,
    taken_over,
)

__all__ = ["ledger"]
pytestmark = pytest.mark.django_db(transaction=True)


class Mending(Ledger):
    """Closes a breaker, by which it is verified."""

    def _leave(self, line: str) -> None:
        super()._leave(line)
        Breaker.objects.update(state="closed")


class Doubtful(Mending):
    """Cannot tell whether it took effect, and may not be done twice: its verification tells."""

    def finished(self, parameters: Thing, context: Context) -> bool | None:
        return None


@pytest.fixture
def mending(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    now = datetime.now(UTC)
    Breaker.objects.create(
        service="quiet", name="db", instance="one", key=breaker_key("quiet", "db"), state="open",
        since=now, first_seen=now, last_seen=now,
    )  # fmt: skip
    for name, cls in (("test_mending", Mending), ("test_doubtful", Doubtful)):
        cls.name, cls.label, cls.path = name, name, ledger
        monkeypatch.setitem(ACTIONS, name, cls())
        monkeypatch.setitem(KINDS, name, cls)
    return ledger


CLOSED = {"type": "breaker_closed", "breaker": "db", "timeout_seconds": 5}
VERIFIED = step("test_mending", "one", verification=CLOSED)
DOUBTFUL = step("test_doubtful", "one", verification=CLOSED)
# Writes: doubt, begin, the step's beginning, its act's end and its verification's, the run's
# verification and its first look; and two inside of the act. Then the run waits for its second look.
PLACES = 2 * 7 + 2


def test_so_many_boundaries_has_a_run_whose_step_is_verified(mending: Path) -> None:
    assert boundaries(begin(VERIFIED)) == PLACES + 2 * 2


@pytest.mark.parametrize("place", range(PLACES))
def test_a_verified_step_ends_right_and_is_not_done_twice(mending: Path, place: int) -> None:
    run = begin(VERIFIED)
    killed_at(run, place)
    run = taken_over(run) if fresh(run).state in OPEN else fresh(run)
    assert (run.state, states(run)) == (RunState.SUCCEEDED, ["succeeded"])
    assert lines(mending) == ["do one"]
    assert steps_of(run)[0].verification["well"] is True


@pytest.mark.parametrize("place", range(4, 12))
def test_where_nobody_knows_the_verification_tells_whether_it_took_effect(
    mending: Path, place: int
) -> None:
    run = begin(DOUBTFUL)
    killed_at(run, place)
    run = taken_over(run) if fresh(run).state in OPEN else fresh(run)
    did = lines(mending)
    assert len(did) <= 1
    assert fresh(run).state == (RunState.SUCCEEDED if did else RunState.ESCALATED)
    if not did:
        assert "may not be done twice" in run.outcome
