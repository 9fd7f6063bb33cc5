"""What an objective promises, and the table of burn rates by which it is watched.

The table is that of the SRE workbook (chapter 5, multiwindow, multi-burn-rate). Its rates follow
from the share of the budget that may go within the long window: rate = share × window ÷ long
window. For 30 days these are 14.4, 6 and 1. For other windows the shares and the long windows stay
and the rates change with the window (of 7 days: 3.36, 1.4 and 1; of 90 days: 43.2, 18 and 3). No
rate is below 1, as a budget that is spent at 1 lasts exactly as long as it should.

All comparisons are in whole numbers, so that a value that lies exactly on a threshold counts as
reaching it, however often it is worked out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

TRACES: Final = "traces"
CHECKS: Final = "checks"
LATENCY: Final = "latency"
PAGE: Final = "page"
TICKET: Final = "ticket"

MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
# Seconds of the windows over which burn rates are worked out, the shortest first.
WINDOWS: Final = (5 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR, 3 * DAY)

MILLION: Final = 1_000_000
# Rates are kept in this part of 1: all rates of whole days are whole numbers of it.
RATE_PARTS: Final = 300


class Count(NamedTuple):
    """Bad ones of all: calls, runs, or microseconds of measured time (see `Objective.amount`)."""

    bad: int
    total: int


@dataclass(frozen=True)
class Row:
    """A row of the table: it holds while the budget burns at its rate over both windows (seconds).

    `percent` of the budget goes within the long window at that rate.
    """

    severity: str
    long: int
    short: int
    percent: int

    def rate_parts(self, window_days: int) -> int:
        """The burn rate for a window, in `RATE_PARTS` of 1."""
        return max(RATE_PARTS, self.percent * 3 * window_days * DAY // self.long)

    def rate(self, window_days: int) -> float:
        return self.rate_parts(window_days) / RATE_PARTS


# The most urgent first.
TABLE: Final = (
    Row(PAGE, HOUR, 5 * MINUTE, 2),
    Row(PAGE, 6 * HOUR, 30 * MINUTE, 5),
    Row(TICKET, 3 * DAY, 6 * HOUR, 10),
)


@dataclass(frozen=True)
class Objective:
    """That a share `objective` (0..1) is good over `window_days`.

    Of traces: of calls that did not fail, or of `kind` latency took no longer than `threshold_ms`.
    Of checks: of the counted seconds, or of `kind` latency of the runs that answered. `min_bad` is
    how many bad calls, seconds or runs there must be in the long window of a row before it holds.
    """

    kind: str
    source: str
    objective: float
    window_days: int
    min_bad: int
    threshold_ms: float | None = None

    @property
    def of_time(self) -> bool:
        """Whether seconds are counted, which are measured, and not calls or runs."""
        return self.source == CHECKS and self.kind != LATENCY

    @property
    def of_runs(self) -> bool:
        """Whether runs of checks are counted."""
        return self.source == CHECKS and self.kind == LATENCY

    @property
    def unit(self) -> str:
        """What is counted: `calls`, `seconds` or `runs`."""
        if self.of_time:
            return "seconds"
        return "runs" if self.of_runs else "calls"

    @property
    def scale(self) -> int:
        """Whole parts per call, run or second."""
        return MILLION if self.of_time else 1

    @property
    def allowed_millionths(self) -> int:
        """How many of a million may be bad."""
        return MILLION - round(self.objective * MILLION)

    def amount(self, parts: float) -> float:
        """Calls, runs or seconds, of whole parts."""
        return parts / self.scale

    def burn(self, count: Count) -> float | None:
        """How many times faster than allowed the budget is spent; None without data."""
        if count.total <= 0:
            return None
        return count.bad * MILLION / (count.total * self.allowed_millionths)

    def burns_at(self, rate_parts: int, count: Count) -> bool:
        """Whether the budget burns at a rate or faster, exactly; False without data."""
        spent = count.bad * MILLION * RATE_PARTS
        return count.total > 0 and spent >= rate_parts * self.allowed_millionths * count.total

    def can_burn_at(self, rate_parts: int) -> bool:
        """Whether the rate is reached at all where everything is bad."""
        return self.burns_at(rate_parts, Count(1, 1))
