"""Reads of service level objectives: budgets, burn rates and what they come to.

Windows end at whole minutes. That of a budget begins at the whole hour before, as health's windows
of weeks do. Minutes of calls still change while their telemetry arrives, and a failure of a check
is dated back to its first failed run: whoever wants final figures asks a few minutes later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from analytics.choices import SloKind, SloSource
from analytics.domain.slos import burning as rates
from analytics.domain.slos.budgets import Spending, days_until_gone, spending
from analytics.domain.slos.burning import BurnRow, BurnWindow, Windows, burn_window
from analytics.domain.slos.objectives import DAY, PAGE, WINDOWS, Count
from analytics.models import Slo
from analytics.selectors.slo_beside import Beside
from analytics.selectors.slo_counts import day_sums, sums_between
from analytics.selectors.slo_sums import Sums
from resilience_site.core.formatting import duration
from resilience_site.core.timerange import TimeRange

_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)
_INSTANT: Final = timedelta(microseconds=1)
_LENGTHS: Final = {seconds: timedelta(seconds=seconds) for seconds in WINDOWS}
_LONGEST: Final = WINDOWS[-1]


@dataclass(frozen=True)
class Ending:
    """When the budget will be gone, if things go on as in the last `basis` seconds.

    `at` is None where it will not be within the objective's window, or where that cannot be told
    (`basis` is None then). Where it is gone already, `at` is the moment asked for.
    """

    at: datetime | None
    gone: bool
    basis: int | None

    @property
    def words(self) -> str:
        """What it rests on."""
        if self.gone:
            return "The budget is gone."
        if self.basis is None:
            return "Not enough data: foretold from a day of figures on."
        return f"If it goes on as in the last {duration(self.basis)}."


@dataclass(frozen=True)
class SloFigures:
    """An objective at a moment: its budget from `since` to `at`, and its burn rates.

    `days` are the counts of the budget's window day by day, the oldest first, the last one with
    what came since the last whole hour.
    """

    slo: Slo
    since: datetime
    at: datetime
    budget: Spending
    days: tuple[Count, ...]
    windows: Windows
    rows: tuple[BurnRow, ...]
    ending: Ending

    @property
    def burns(self) -> list[BurnWindow]:
        """The burn over each of the windows, the shortest first."""
        return [burn_window(self.slo.terms, self.windows, each) for each in WINDOWS]

    @property
    def held(self) -> BurnRow | None:
        """The most urgent row that holds."""
        return next((row for row in self.rows if row.holds), None)

    @property
    def state(self) -> str:
        """`off`, `burning` (somebody should be called), `exhausted`, `spending` (too fast, for
        working hours), `ok`, or `no_data`."""
        if not self.slo.enabled:
            return "off"
        if self.held is not None and self.held.severity == PAGE:
            return "burning"
        if self.budget.gone:
            return "exhausted"
        if self.held is not None:
            return "spending"
        return "no_data" if self.budget.left is None else "ok"


def slo_list() -> QuerySet[Slo]:
    """All objectives that were not deleted, by service."""
    return Slo.objects.filter(deleted_at=None)


def slo_get(slo_id: UUID) -> Slo:
    """One of them; raises `Slo.DoesNotExist`."""
    return slo_list().get(id=slo_id)


def slos_enabled() -> list[Slo]:
    """Those that are watched."""
    return list(slo_list().filter(enabled=True))


def availability_slos(services: Iterable[str]) -> dict[str, Slo]:
    """The availability objective of each of the services that has one: of several the one of
    traces, and of these the oldest."""
    rows = slo_list().filter(
        enabled=True, kind=SloKind.AVAILABILITY, service__in=list(services)
    )  # fmt: skip
    ranked = sorted(rows, key=lambda each: (each.source != SloSource.TRACES, each.created_at))
    return {each.service: each for each in reversed(ranked)}


# --- Burn rates ----------------------------------------------------------------------------------


def burn_windows(
    slos: Iterable[Slo], ends: Sequence[datetime], beside: Beside | None = None
) -> dict[UUID, list[Windows]]:
    """What was bad, and all, of each objective in each of `WINDOWS` up to each of the `ends`.

    Ends are whole minutes; the counts are the same whether one is asked for or a week of them. A
    constant number of queries. Raises `ValueError` for an end that is no whole minute.
    """
    wanted = list(slos)
    if not ends or not wanted:
        return {each.id: [] for each in wanted}
    if any(each.second or each.microsecond for each in ends):
        raise ValueError("windows end at whole minutes")
    bounds = sorted({*ends, *(end - length for end in ends for length in _LENGTHS.values())})
    place = {bound: number for number, bound in enumerate(bounds)}
    last = [place[end] for end in ends]
    firsts = [[place[end - length] for end in ends] for length in _LENGTHS.values()]
    return {
        slo_id: _windows(sums, ends, firsts, last)
        for slo_id, sums in sums_between(wanted, bounds, beside).items()
    }


def _windows(
    sums: Sums, ends: Sequence[datetime], firsts: Sequence[Sequence[int]], last: Sequence[int]
) -> list[Windows]:
    bad = zip(*((sums.bad[last] - sums.bad[first]).tolist() for first in firsts), strict=True)
    total = zip(*((sums.total[last] - sums.total[first]).tolist() for first in firsts), strict=True)
    return [Windows(*each) for each in zip(ends, bad, total, strict=True)]


def burning(slo: Slo, windows: Windows) -> list[BurnRow]:
    """All rows of the table of burn rates as they stand, the most urgent first."""
    return rates.burning(slo.terms, windows)


# --- Budgets -------------------------------------------------------------------------------------


def slo_figures(slos: Iterable[Slo], at: datetime) -> list[SloFigures]:
    """All figures of the objectives at the last whole minute before `at`, in their order; a
    constant number of queries."""
    wanted = list(slos)
    if not wanted:
        return []
    end = at.replace(second=0, microsecond=0)
    days = _days(wanted, end)
    burns = burn_windows(wanted, [end])
    return [_figures(each, days[each.id], burns[each.id][0]) for each in wanted]


def budget_counts(slos: Iterable[Slo], at: datetime) -> Mapping[UUID, Count]:
    """What was bad, and all, of each objective over its window up to `at`."""
    end = at.replace(second=0, microsecond=0)
    counted = _days(list(slos), end)
    return {slo_id: _added(days) for slo_id, days in counted.items()}


def bad_between(slo: Slo, within: TimeRange) -> int:
    """What was bad in the minutes that a range touches, in whole parts."""
    since = within.since.replace(second=0, microsecond=0)
    until = (within.until + _MINUTE - _INSTANT).replace(second=0, microsecond=0)
    return sums_between([slo], [since, until])[slo.id].between(0, 1).bad


def _days(slos: Sequence[Slo], end: datetime) -> dict[UUID, tuple[Count, ...]]:
    """The counts of each day of each objective's window, the oldest first."""
    if not slos:
        return {}
    hour = end.replace(minute=0)
    longest = max(each.window_days for each in slos)
    bounds = [hour - number * _DAY for number in range(longest, -1, -1)]
    # What came since the last whole hour belongs to the last day.
    bounds += [end] if end > hour else []
    last = len(bounds) - 1
    sums = day_sums(slos, bounds)
    found = {}
    for each in slos:
        first = longest - each.window_days
        ends = [*range(first + 1, longest), last]
        starts = range(first, longest)
        found[each.id] = tuple(
            sums[each.id].between(start, stop) for start, stop in zip(starts, ends, strict=True)
        )
    return found


def _figures(slo: Slo, days: tuple[Count, ...], windows: Windows) -> SloFigures:
    terms, at = slo.terms, windows.at
    budget = spending(terms, _added(days))
    rows = tuple(rates.burning(terms, windows))
    return SloFigures(
        slo=slo,
        since=at.replace(minute=0) - slo.window_days * _DAY,
        at=at,
        budget=budget,
        days=days,
        windows=windows,
        rows=rows,
        ending=_ending(slo, days, windows, budget, rows),
    )


def _ending(
    slo: Slo,
    days: Sequence[Count],
    windows: Windows,
    budget: Spending,
    rows: Iterable[BurnRow],
) -> Ending:
    """By the long window of the most urgent row that holds, else by the last three days."""
    if budget.gone:
        return Ending(windows.at, True, None)
    held = next((row.long.seconds for row in rows if row.holds), None)
    # Of a service that is younger than a day, nobody knows how a day of it looks.
    known = next((len(days) - number for number, day in enumerate(days) if day.total), 0)
    if budget.left is None or (held is None and known < 2):
        return Ending(None, False, None)
    basis = held or min(_LONGEST, known * DAY)
    count = windows.of(held or _LONGEST)
    in_days = basis / DAY
    left = days_until_gone(slo.terms, days, count.bad / in_days, count.total / in_days)
    at = None if left is None else windows.at + left * _DAY
    return Ending(at, False, basis)


def _added(days: Iterable[Count]) -> Count:
    counted = list(days)
    return Count(sum(day.bad for day in counted), sum(day.total for day in counted))


def slo_days(figures: SloFigures) -> Iterator[tuple[datetime, datetime, Count]]:
    """The days of a budget's window, each from when to when and what was counted in it."""
    for number, count in enumerate(figures.days):
        since = figures.since + number * _DAY
        last = number == len(figures.days) - 1
        yield since, figures.at if last else since + _DAY, count
