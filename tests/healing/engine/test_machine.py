"""The state machine, whatever happens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healing.choices import OPEN, RunState
from healing.domain import machine
from healing.domain.machine import FOLLOWING, RunSeen, StepSeen, next_thing, require

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def test_every_state_is_known_and_ends_only_lead_back_to_undo() -> None:
    assert set(FOLLOWING) == set(RunState.values)
    assert {each.value for each in OPEN} == machine.OPEN
    for state, following in FOLLOWING.items():
        if state not in machine.OPEN:
            assert following <= {"running"}
    with pytest.raises(machine.Forbidden):
        require("rolled_back", "running")
    with pytest.raises(machine.Forbidden):
        require("waiting_approval", "running")


class Simulated:
    """A run that is advanced by `next_thing`, its steps ending as they are told to."""

    def __init__(self, fates: list[str], ladder: bool, heals_after: int | None, undos: list[bool]):
        self.fates, self.ladder, self.heals_after, self.undos = fates, ladder, heals_after, undos
        self.steps = [
            StepSeen(n, "pending", can_undo=undos[n - 1]) for n in range(1, len(fates) + 1)
        ]
        self.undoing = False
        self.verified_from: datetime | None = None
        self.now = START
        self.acted: list[int] = []
        self.undone: list[int] = []
        self.end = ""

    def put(self, n: int, **changes: object) -> None:
        old = self.steps[n - 1]
        self.steps[n - 1] = StepSeen(**{**vars(old), **changes})  # type: ignore[arg-type]

    def advance(self) -> None:
        self.now += timedelta(seconds=1)
        thing = next_thing(RunSeen(self.steps, self.ladder, self.undoing, self.verified_from))
        match thing.kind:
            case "act":
                self.act(thing.n)
            case "examine":
                self.put(thing.n, state="succeeded", ended_at=self.now)
            case "verify":
                self.verified_from = self.now
                done = [each.n for each in self.steps if each.state == "succeeded"]
                if self.heals_after is not None and max(done) >= self.heals_after:
                    self.end = "succeeded"
            case "give_up" | "exhausted":
                self.undoing = True
            case "undo":
                self.undone.append(thing.n)
                self.put(thing.n, state="compensated", undo_state="succeeded")
            case "undone":
                self.end = "escalated"

    def act(self, n: int) -> None:
        fate = self.fates[n - 1]
        self.acted.append(n)
        attempts = self.steps[n - 1].attempts + 1
        if fate == "killed":
            self.put(n, state="unknown", attempts=attempts)
        elif fate == "skipped":
            self.put(n, state="skipped")
        else:
            self.put(n, state=fate, attempts=attempts, ended_at=self.now)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_run_ends_in_order_and_undoes_in_reverse_what_it_did(data: st.DataObject) -> None:
    fates = data.draw(
        st.lists(
            st.sampled_from(["succeeded", "failed", "killed", "skipped"]), min_size=1, max_size=6
        )
    )
    size = len(fates)
    run = Simulated(
        fates,
        ladder=data.draw(st.booleans()),
        heals_after=data.draw(st.none() | st.integers(1, size)),
        undos=data.draw(st.lists(st.booleans(), min_size=size, max_size=size)),
    )
    for _ in range(6 * size + 6):
        if run.end:
            break
        run.advance()
    assert run.end
    assert run.acted == sorted(set(run.acted)), "each step once, in order"
    assert run.undone == sorted(run.undone, reverse=True)
    did = [n for n in run.acted if fates[n - 1] != "skipped"]
    if run.end == "succeeded":
        assert run.undone == []
        assert run.verified_from is not None
    else:
        assert run.undone == [n for n in reversed(did) if run.undos[n - 1]]
    if not run.ladder and "failed" in fates:
        assert run.acted[-1] <= fates.index("failed") + 1
        assert run.end == "escalated"


def test_a_retry_waits_for_its_moment() -> None:
    later = START + timedelta(seconds=5)
    thing = next_thing(RunSeen([StepSeen(1, "pending", attempts=1, retry_at=later)]))
    assert (thing.kind, thing.at) == ("act", later)


def test_a_rung_is_verified_before_the_next_one_though_its_worker_died_in_between() -> None:
    done = StepSeen(1, "succeeded", attempts=1, ended_at=START)
    steps = [done, StepSeen(2, "pending")]
    assert next_thing(RunSeen(steps, ladder=True)).kind == "verify"
    seen = RunSeen(steps, ladder=True, verified_from=START + timedelta(seconds=1))
    assert next_thing(seen).kind == "act"
