"""Which rows of the table of burn rates hold, and why or why not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

from analytics.domain.slos.objectives import (
    LATENCY,
    MILLION,
    RATE_PARTS,
    TABLE,
    WINDOWS,
    Count,
    Objective,
    Row,
)
from resilience_site.core.formatting import duration, percent, three_digits

_PLACES: Final = {window: place for place, window in enumerate(WINDOWS)}


class Windows(NamedTuple):
    """What was bad, and all, in each of `WINDOWS` up to the moment `at`, in whole parts."""

    at: datetime
    bad: tuple[int, ...]
    total: tuple[int, ...]

    def of(self, window: int) -> Count:
        """That of one window, named by its seconds."""
        place = _PLACES[window]
        return Count(self.bad[place], self.total[place])


NONE: Final = (0,) * len(WINDOWS)


@dataclass(frozen=True)
class BurnWindow:
    """The burn over a window of `seconds`: `bad` of `total` calls, runs or seconds. `burn` is None
    where there are none."""

    seconds: int
    bad: float
    total: float
    burn: float | None


@dataclass(frozen=True)
class BurnRow:
    """A row of the table as it stands.

    `over`: the budget burns at `threshold` or faster over both windows. `guard`: enough was bad in
    the long window (`needed`: calls, runs or seconds) for that to mean something. `reachable`: the
    objective allows so little that the threshold can be reached at all.
    """

    severity: str
    threshold: float
    long: BurnWindow
    short: BurnWindow
    needed: int
    over: bool
    guard: bool
    reachable: bool
    words: str

    @property
    def holds(self) -> bool:
        return self.over and self.guard

    @property
    def name(self) -> str:
        """`14.4 over 1 h and 5 min`."""
        return (
            f"{three_digits(self.threshold)} over {duration(self.long.seconds)} and "
            f"{duration(self.short.seconds)}"
        )


def burning(objective: Objective, windows: Windows) -> list[BurnRow]:
    """All rows of the table, the most urgent first; those that `holds` are what calls somebody."""
    return [_row(row, objective, windows) for row in TABLE]


def held_rows(objective: Objective, windows: Windows) -> list[Row]:
    """The rows of the table that hold, the most urgent first: as `burning`, without the words,
    for thousands of moments."""
    bad, total = windows.bad, windows.total
    # Nothing bad within the longest window is nothing bad within any.
    if not bad[-1]:
        return []
    return [
        limit.row
        for limit in _limits(objective)
        if bad[limit.long] >= limit.least
        and bad[limit.long] * limit.of_bad >= limit.of_total * total[limit.long]
        and bad[limit.short] * limit.of_bad >= limit.of_total * total[limit.short] > 0
    ]


class _Limit(NamedTuple):
    """What a row asks for: `least` bad ones in the long window, and in both (each by its place)
    `of_bad` times the bad ones to be at least `of_total` times all."""

    row: Row
    long: int
    short: int
    least: int
    of_bad: int
    of_total: int


@lru_cache(maxsize=1_024)
def _limits(objective: Objective) -> tuple[_Limit, ...]:
    return tuple(
        _Limit(
            row,
            _PLACES[row.long],
            _PLACES[row.short],
            max(1, objective.min_bad) * objective.scale,
            MILLION * RATE_PARTS,
            row.rate_parts(objective.window_days) * objective.allowed_millionths,
        )
        for row in TABLE
    )


def _over(row: Row, objective: Objective, windows: Windows) -> bool:
    parts = row.rate_parts(objective.window_days)
    return objective.burns_at(parts, windows.of(row.short)) and objective.burns_at(
        parts, windows.of(row.long)
    )


def _guarded(row: Row, objective: Objective, windows: Windows) -> bool:
    return windows.of(row.long).bad >= max(1, objective.min_bad) * objective.scale


def burn_window(objective: Objective, windows: Windows, seconds: int) -> BurnWindow:
    """The burn over one of `WINDOWS`."""
    count = windows.of(seconds)
    return BurnWindow(
        seconds,
        objective.amount(count.bad),
        objective.amount(count.total),
        objective.burn(count),
    )


def _row(row: Row, objective: Objective, windows: Windows) -> BurnRow:
    long = burn_window(objective, windows, row.long)
    short = burn_window(objective, windows, row.short)
    over = _over(row, objective, windows)
    guard = _guarded(row, objective, windows)
    parts = row.rate_parts(objective.window_days)
    reachable = objective.can_burn_at(parts)
    threshold = row.rate(objective.window_days)
    needed = max(1, objective.min_bad)
    words = _words(objective, threshold, long, short, over, guard, reachable, needed)
    return BurnRow(row.severity, threshold, long, short, needed, over, guard, reachable, words)


def _words(
    objective: Objective,
    threshold: float,
    long: BurnWindow,
    short: BurnWindow,
    over: bool,
    guard: bool,
    reachable: bool,
    needed: int,
) -> str:
    rate = three_digits(threshold)
    if not reachable:
        most = three_digits(1_000_000 / objective.allowed_millionths)
        return f"Can never reach {rate}: with everything bad the budget burns at {most}."
    empty = [each for each in (long, short) if each.burn is None]
    if empty:
        over_ = " and ".join(duration(each.seconds) for each in empty)
        return f"Not enough data: {nothing_words(objective)} in the last {over_}."
    told = f"{burn_words(objective, long)} and {burn_words(objective, short)}"
    if not over:
        return f"Below {rate}: {told}."
    if not guard:
        bad, least = amount_words(objective, long.bad), amount_words(objective, needed)
        return (
            f"At {rate} or faster, but held back: {bad} {bad_word(objective)} in the last "
            f"{duration(long.seconds)}, and {least} are needed. {told[0].upper()}{told[1:]}."
        )
    return f"At {rate} or faster: {told}."


def burn_words(objective: Objective, window: BurnWindow) -> str:
    """`burns at 20 (30 of 1,500 calls failed, last 1 h)`."""
    burn = "n/a" if window.burn is None else three_digits(window.burn)
    return f"burns at {burn} ({share_words(objective, window.bad, window.total)}, " + (
        f"last {duration(window.seconds)})"
    )


def share_words(objective: Objective, bad: float, total: float) -> str:
    """`2 % (30 of 1,500 calls failed)` without the brackets: what was bad, of how much."""
    return (
        f"{percent(bad, total)}: {amount_words(objective, bad, bare=True)} of "
        f"{amount_words(objective, total)} {bad_word(objective)}"
    )


def amount_words(objective: Objective, amount: float, *, bare: bool = False) -> str:
    """Calls as `1,500 calls`, runs as `12 runs`, time as `2 min 5 s`; `bare` without the unit."""
    if objective.of_time:
        return duration(amount)
    number = f"{amount:,.0f}"
    if bare:
        return number
    return f"{number} {objective.unit.removesuffix('s') if number == '1' else objective.unit}"


def nothing_words(objective: Objective) -> str:
    """That there is none of it: `no calls`, `no runs`, `no counted time`."""
    return "no counted time" if objective.of_time else f"no {objective.unit}"


def bad_word(objective: Objective) -> str:
    """What is bad about them: `failed`, `too slow`, `down`."""
    if objective.kind == LATENCY:
        return "too slow"
    return "down" if objective.of_time else "failed"
