"""Runs as a state machine: which states follow which, and what a run does next.

How runs end:

* `succeeded`: the target was seen well again (a dry run: its effects were told);
* `failed`: it did not heal, and nothing was done that could have changed anything;
* `escalated`: it did something and did not heal. What can be undone was undone, in reverse order;
  the evidence says what was and what was not, and a person has to act;
* `rolled_back`: a person asked for what it did to be undone, and all of it was;
* `cancelled`: refused, not approved in time, or ended by a person; what was done stays.

Nothing here depends on who advances a run, so that whoever takes over goes on in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

OPEN: Final = frozenset({"pending", "waiting_approval", "running", "verifying"})
_ENDS: Final = frozenset({"succeeded", "failed", "rolled_back", "escalated", "cancelled"})
# From an end a run goes on only to undo what it did.
FOLLOWING: Final[Mapping[str, frozenset[str]]] = {
    "pending": frozenset({"waiting_approval", "running", "cancelled"}),
    "waiting_approval": frozenset({"pending", "cancelled"}),
    "running": _ENDS | {"verifying"},
    "verifying": _ENDS | {"running"},
    "succeeded": frozenset({"running"}),
    "failed": frozenset({"running"}),
    "escalated": frozenset({"running"}),
    "cancelled": frozenset({"running"}),
    "rolled_back": frozenset(),
}
# What nobody saw the end of, or is not over.
_OPEN_STEP: Final = frozenset({"running", "unknown"})


class Forbidden(ValueError):
    """A run cannot go from the one state to the other."""


def require(state: str, following: str) -> None:
    """Raise `Forbidden` where `following` does not follow `state`."""
    if following not in FOLLOWING[state]:
        raise Forbidden(f"A run that is {state} does not become {following}.")


@dataclass(frozen=True)
class StepSeen:
    """A step as far as the next thing depends on it. `attempts` that were begun; `can_undo`:
    there is a way to undo it."""

    n: int
    state: str
    attempts: int = 0
    ended_at: datetime | None = None
    retry_at: datetime | None = None
    can_undo: bool = False
    undo_state: str = ""


@dataclass(frozen=True)
class RunSeen:
    """A run that is `running`, or `verifying` no more. `verified_from`: when its last verification
    began, None before the first."""

    steps: Sequence[StepSeen]
    ladder: bool = False
    undoing: bool = False
    verified_from: datetime | None = None


@dataclass(frozen=True)
class Thing:
    """What a run does next.

    `examine`: find out whether step `n` took effect. `act`: do step `n`, not before `at`.
    `prove`: see whether what step `n` is verified by has come true.
    `verify`: see whether the target is well. `give_up`: step `n` failed, and the rest is in vain.
    `exhausted`: everything was done, and the target is not well. `undo`: undo step `n`.
    `undone`: there is nothing left to undo.
    """

    kind: Literal["examine", "act", "prove", "verify", "give_up", "exhausted", "undo", "undone"]
    n: int = 0
    at: datetime | None = None


def next_thing(run: RunSeen) -> Thing:
    """What a run does next, by what its steps have come to."""
    steps = sorted(run.steps, key=lambda each: each.n)
    for step in steps:
        if step.state in _OPEN_STEP:
            return Thing("examine", step.n)
    if run.undoing:
        return _next_undo(steps)
    for step in steps:
        if step.state == "verifying":
            return Thing("prove", step.n)
    if not run.ladder:
        failed = next((each for each in steps if each.state == "failed"), None)
        if failed is not None:
            return Thing("give_up", failed.n)
    waiting = next((each for each in steps if each.state == "pending"), None)
    if run.ladder or waiting is None:
        done = [each for each in steps if _is_done(each)]
        if done and not _is_verified(done[-1], run.verified_from):
            return Thing("verify", done[-1].n)
    if waiting is not None:
        return Thing("act", waiting.n, waiting.retry_at)
    return Thing("exhausted")


def _is_done(step: StepSeen) -> bool:
    """Whether it acted and is behind the run. One that was to be tried again and need not be, as
    its target had become well meanwhile, may be what healed it."""
    return step.state == "succeeded" or (step.state == "skipped" and step.attempts > 0)


def _is_verified(step: StepSeen, verified_from: datetime | None) -> bool:
    if verified_from is None:
        return False
    return step.ended_at is None or verified_from >= step.ended_at


def _next_undo(steps: Sequence[StepSeen]) -> Thing:
    for step in reversed(steps):
        if (
            may_have_acted(step)
            and step.can_undo
            and step.undo_state not in ("succeeded", "failed")
        ):
            return Thing("undo", step.n)
    return Thing("undone")


def may_have_acted(step: StepSeen) -> bool:
    """Whether a step may have changed anything: one that failed, or that waits for another attempt,
    may have done so half way."""
    return step.attempts > 0 and step.state not in _OPEN_STEP
