"""A check's own state: its results behind thresholds, without looking at any other check."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from health.domain.flapping import RESULTS, is_flapping

UP, DEGRADED, DOWN, UNKNOWN = "up", "degraded", "down", "unknown"
_LETTERS: Final = {UP: "u", DEGRADED: "g", DOWN: "d"}
# A history of 21 results can tell no more of them in a row.
MOST_IN_A_ROW: Final = RESULTS - 1


@dataclass(frozen=True)
class Thresholds:
    """Runs in a row that make a check down, and that make it up again; 1 to 20."""

    failures_to_down: int
    successes_to_up: int


@dataclass(frozen=True)
class OwnState:
    """`state` holds since `since`; `failures` or `successes` in a row began at `streak_since`."""

    state: str
    since: datetime
    failures: int = 0
    successes: int = 0
    streak_since: datetime | None = None
    history: str = ""
    flapping: bool = False

    @property
    def failing(self) -> bool:
        """Whether the last result was a failure, confirmed or not."""
        return self.failures > 0

    @property
    def undecided(self) -> bool:
        """Whether results in a row wait for more of their kind before they change the state."""
        if self.failing:
            return self.state != DOWN
        return self.state == DOWN and self.successes > 0


def after(own: OwnState, status: str, at: datetime, thresholds: Thresholds) -> OwnState:
    """The state after a conclusive result (up, degraded or down) of a run that began at `at`.

    Down is dated back to the first failed run, and the end of down to the first good one. A
    result older than the streak it joins (a clock that went back) does not date anything later.
    """
    history = (own.history + _LETTERS[status])[-RESULTS:]
    flapping = is_flapping(history, own.flapping)
    own = replace(own, history=history, flapping=flapping)
    if status == DOWN:
        return _failed(own, at, thresholds)
    return _succeeded(own, status, at, thresholds)


def _failed(own: OwnState, at: datetime, thresholds: Thresholds) -> OwnState:
    first = at if own.failures == 0 or own.streak_since is None else own.streak_since
    own = replace(own, failures=own.failures + 1, successes=0, streak_since=first)
    if own.state != DOWN and own.failures >= thresholds.failures_to_down:
        return replace(own, state=DOWN, since=first)
    return own


def _succeeded(own: OwnState, status: str, at: datetime, thresholds: Thresholds) -> OwnState:
    first = at if own.successes == 0 or own.streak_since is None else own.streak_since
    own = replace(own, failures=0, successes=own.successes + 1, streak_since=first)
    if own.state == DOWN:
        enough = own.successes >= thresholds.successes_to_up
        return replace(own, state=status, since=first) if enough else own
    if own.state == UNKNOWN:
        return replace(own, state=status, since=first)
    return _graded(own, at, thresholds)


def _graded(own: OwnState, at: datetime, thresholds: Thresholds) -> OwnState:
    """Between up and degraded: one slow answer is noise, as is one quick one among slow ones."""
    if own.state == UP:
        tail = own.history[-thresholds.failures_to_down :]
        turned = len(tail) == thresholds.failures_to_down and "u" not in tail
        return replace(own, state=DEGRADED, since=at) if turned else own
    tail = own.history[-thresholds.successes_to_up :]
    turned = len(tail) == thresholds.successes_to_up and set(tail) == {"u"}
    return replace(own, state=UP, since=at) if turned else own
