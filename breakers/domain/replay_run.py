"""One stretch of a record, lived through by the real state machine: by its own policy and another."""

from __future__ import annotations

from collections.abc import Iterable

from breakers.domain.tapes import Tape
from breakers.runtime.batches import Configured, Moved
from breakers.runtime.circuit_state import BreakerEvent, BreakerPolicy, CircuitState
from breakers.runtime.collaborators import ADMITTED, IGNORED, LOOKED, MOVED
from breakers.runtime.policy_fields import to_fields
from breakers.runtime.reenactment import Reenactment

_UNDRAWN = 0.5


class Run:
    """Lives through `tape` by its own policy (`same`) and by a candidate.

    As long as the candidate has moved as recorded, each call belongs to the era that it had. From
    the moment on when it moves otherwise (`diverged`, a place on the tape), calls that begin are
    let through or refused as it stands then; those that ran already stay as they were.
    """

    def __init__(self, tape: Tape, policy: BreakerPolicy | None) -> None:
        self.tape = tape
        first = tape.batches[0]
        self.same = self.candidate = Reenactment(first)
        if policy is not None and not _is_in_force(policy, tape):
            self.candidate = Reenactment(first, policy)
        self.diverged: int | None = None
        self.refused: set[int] = set()
        self._admitted: dict[int, int] = {}
        self._starts: list[tuple[float, int]] = []
        self._next_start = 0
        self._live()

    # --- Both side by side

    def _live(self) -> None:
        tape, same, candidate = self.tape, self.same, self.candidate
        rows = zip(tape.kinds, tape.eras, tape.durations, tape.times, strict=True)
        for place, (kind, era, duration, now) in enumerate(rows):
            if kind == MOVED:
                continue
            moves = tape.moves.get(place, ())
            if candidate is not same:
                if self.diverged is None:
                    self._follow(place, kind, era, duration, now, moves)
                else:
                    self._go_own_way(place, kind, era, duration, now)
            same.draw = _drawn(moves)
            self._do(same, place, kind, era, duration, now)

    def _do(
        self, machine: Reenactment, place: int, kind: int, era: int, duration: float, now: float
    ) -> bool:
        """Have it happen to `machine`; false where it rejects what was let through."""
        if kind <= IGNORED:
            machine.settle(kind, era, duration, now)
        elif kind == ADMITTED:
            return machine.admit(now) is not None
        elif kind == LOOKED:
            machine.look(now)
        else:
            machine.obey(self.tape.marks[place], now)
        return True

    # --- The candidate, while it moves as recorded

    def _follow(
        self, place: int, kind: int, era: int, duration: float, now: float, moves: Iterable[Moved]
    ) -> None:
        candidate = self.candidate
        before, made = candidate.era, len(candidate.moves)
        candidate.draw = _drawn(moves)
        if isinstance(self.tape.marks.get(place), Configured):
            # The candidate stays as it is. Probes began anew, which an era alone tells.
            agrees = self.same.state is not CircuitState.HALF_OPEN
        else:
            agrees = self._do(candidate, place, kind, era, duration, now)
        recorded = [_move(moved.event) for moved in moves]
        if agrees and [_move(event) for event in candidate.moves[made:]] == recorded:
            return
        self.diverged = place
        candidate.draw = _UNDRAWN
        self._place_starts(place, now, before)

    def _place_starts(self, place: int, now: float, era: int) -> None:
        """Find the calls that begin from `now` on, when `era` was the last that both had."""
        tape, found = self.tape, []
        placed = self._placed_now(place, now)
        for later in range(place + 1, len(tape)):
            if tape.kinds[later] <= IGNORED:
                end = tape.times[later]
                start = end - max(0.0, tape.durations[later])
                if placed > 0 and start == now and tape.eras[later] == era:
                    placed -= 1
                elif start >= now or tape.eras[later] > era:
                    found.append((min(end, max(start, now)), later))
        found.sort()
        self._starts = found

    def _placed_now(self, place: int, now: float) -> int:
        """How many probes, placed at just this reading of a coarse clock, still run."""
        tape, placed = self.tape, 0
        while place >= 0 and tape.times[place] == now:
            if tape.kinds[place] == ADMITTED:
                placed += place != self.diverged
            elif tape.kinds[place] <= IGNORED:
                placed -= tape.durations[place] <= 0
            place -= 1
        return max(0, placed)

    # --- The candidate, on its own

    def _go_own_way(self, place: int, kind: int, era: int, duration: float, now: float) -> None:
        self._begin_calls(now)
        candidate = self.candidate
        if kind <= IGNORED:
            if place not in self.refused:
                candidate.settle(kind, self._admitted.pop(place, era), duration, now)
            return
        mark = self.tape.marks.get(place)
        if mark is not None and not isinstance(mark, Configured):
            candidate.obey(mark, now)

    def _begin_calls(self, now: float) -> None:
        """Let those begin that do until `now`."""
        starts, candidate = self._starts, self.candidate
        while self._next_start < len(starts) and starts[self._next_start][0] <= now:
            at, place = starts[self._next_start]
            self._next_start += 1
            era = candidate.admit(at)
            if era is None:
                self.refused.add(place)
            else:
                self._admitted[place] = era


def _is_in_force(policy: BreakerPolicy, tape: Tape) -> bool:
    """Whether the breaker worked by `policy` all the time."""
    if any(isinstance(mark, Configured) for mark in tape.marks.values()):
        return False
    return to_fields(policy) == to_fields(tape.batches[0].policy)


def _drawn(moves: Iterable[Moved]) -> float:
    """The chance that the open time had to which these transitions led."""
    for moved in moves:
        if moved.event.to_state is CircuitState.OPEN:
            return moved.drawn
    return _UNDRAWN


def _move(event: BreakerEvent) -> tuple[CircuitState, CircuitState, float]:
    return event.from_state, event.to_state, event.at
