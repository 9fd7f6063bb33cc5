"""How objectives are put in words, each number with its window and its denominator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from analytics.choices import SloKind, SloSource
from analytics.domain.slos.burning import (
    BurnRow,
    BurnWindow,
    amount_words,
    bad_word,
    nothing_words,
)
from analytics.domain.slos.objectives import HOUR, PAGE, Objective
from analytics.domain.slos.words import allowed_words, basis_words, left_words
from analytics.figures import errors_query
from analytics.models import Slo
from analytics.selectors.slo_counts import slow_from
from analytics.selectors.slos import SloFigures, slo_days
from resilience_site.core.formatting import ABSENT, duration, machine, percent, three_digits

# The windows that a list has room for.
_SHOWN: Final = (HOUR, 6 * HOUR, 72 * HOUR)


@dataclass(frozen=True)
class Rate:
    """The burn over a window, in words."""

    window: str
    rate: str
    basis: str


@dataclass(frozen=True)
class Rule:
    """A row of the table of burn rates: its state (see the badges), its name and its words."""

    state: str
    name: str
    words: str
    severity: str


@dataclass(frozen=True)
class Day:
    """What a day spent of the budget of the whole window; `left` after it, both shares."""

    since: datetime
    until: datetime
    basis: str
    spent: float | None
    left: float | None
    href: str

    @property
    def spent_text(self) -> str:
        return share_text(self.spent)

    @property
    def left_text(self) -> str:
        return share_text(self.left)


@dataclass(frozen=True)
class Told:
    """An objective as screens show it; `filled` is how much of the bar is left, in percent."""

    slo: Slo
    figures: SloFigures
    state: str
    aim: str
    left: str
    filled: int
    tone: str
    basis: str
    allowed: str
    rates: list[Rate]
    ends_at: datetime | None
    ends: str


def told(figures: SloFigures) -> Told:
    """What a list says of an objective."""
    slo, terms, left = figures.slo, figures.slo.terms, figures.budget.left
    state = figures.state
    return Told(
        slo=slo,
        figures=figures,
        state=state,
        aim=aim_text(slo),
        left=left_text(figures),
        filled=0 if left is None else max(0, min(100, round(100 * left))),
        tone="bad" if state in ("burning", "exhausted") else "warn" if state == "spending" else "",
        basis=budget_basis(figures),
        allowed=allowed_text(figures),
        rates=[brief_rate(terms, each) for each in figures.burns if each.seconds in _SHOWN],
        ends_at=figures.ending.at,
        ends=figures.ending.words,
    )


def aim_text(slo: Slo) -> str:
    """`99.9 % availability over 30 d`, `99 % of calls within 300 ms over 7 d`, or of runs."""
    share = f"{100 * slo.objective:.4f}".rstrip("0").rstrip(".")
    if slo.kind == SloKind.LATENCY and slo.threshold_ms is not None:
        within = duration(slo.threshold_ms / 1000)
        return f"{share} % of {slo.terms.unit} within {within} over {slo.window_days} d"
    return f"{share} % availability over {slo.window_days} d"


def measured_text(slo: Slo) -> str:
    """What is counted, and what is not."""
    if slo.terms.of_time:
        return (
            "Seconds in which its worst critical check was down or unreachable are bad; maintenance "
            "and time of which nothing is known are not counted at all."
        )
    bound = slow_from(slo)
    if bound is not None and slo.threshold_ms is not None:
        longer = f"took longer than {duration(bound / 1000)} are too slow"
        told = (
            f"Runs of its critical checks that {longer}. Those that failed are not counted, as they "
            "are what availability is about, nor those in maintenance."
            if slo.terms.of_runs
            else f"Calls that {longer}, failed ones included."
        )
        return (
            f"{told} Durations are counted in buckets: those between "
            f"{duration(slo.threshold_ms / 1000)} and {duration(bound / 1000)} cannot be told apart "
            "and count as quick enough."
        )
    return "Entry calls that ended in an error are bad, by the status of their spans."


def left_text(figures: SloFigures) -> str:
    """`59 % left`, `gone, spent 1.4 times`, or that there is not enough data."""
    return left_words(figures.budget.spent)


def budget_basis(figures: SloFigures) -> str:
    """`288 failed of 696 allowed, 696,000 calls, last 30 d`."""
    basis = basis_words(figures.slo.terms, figures.budget)
    return f"{basis}, last {figures.slo.window_days} d"


def allowed_text(figures: SloFigures) -> str:
    """How much may be bad of what was counted: `696 calls`, `86 runs`, `43 min 12 s`."""
    return allowed_words(figures.slo.terms, figures.budget)


def rate(terms: Objective, burn: BurnWindow) -> Rate:
    """The burn over a window with what it rests on: `180 of 3,600 calls failed`."""
    basis = f"{amount_words(terms, burn.bad, bare=True)} of {amount_words(terms, burn.total)}"
    if burn.burn is None:
        return Rate(_window(burn), ABSENT, nothing_words(terms))
    return Rate(_window(burn), three_digits(burn.burn), f"{basis} {bad_word(terms)}")


def brief_rate(terms: Objective, burn: BurnWindow) -> Rate:
    """The same where there is little room: `180 of 3,600`."""
    whole = rate(terms, burn)
    bad, total = (amount_words(terms, each, bare=True) for each in (burn.bad, burn.total))
    return whole if burn.burn is None else Rate(whole.window, whole.rate, f"{bad} of {total}")


def _window(burn: BurnWindow) -> str:
    return f"last {duration(burn.seconds)}"


def rule(row: BurnRow) -> Rule:
    """A row of the table of burn rates."""
    if not row.reachable:
        state = "never"
    elif row.long.burn is None or row.short.burn is None:
        state = "no_data"
    elif row.holds:
        state = row.severity
    else:
        state = "held_back" if row.over else "below"
    severity = "calls somebody at once" if row.severity == PAGE else "for working hours"
    return Rule(state, row.name, row.words, severity)


def days(figures: SloFigures) -> list[Day]:
    """The days of the budget's window, the oldest first. Before anything was counted, nothing is
    known to be left."""
    terms, allowed = figures.slo.terms, figures.budget.allowed
    enough = figures.budget.enough and allowed > 0
    found, gone, counted = [], 0.0, False
    for since, until, count in slo_days(figures):
        bad, total = terms.amount(count.bad), terms.amount(count.total)
        gone, counted = gone + bad, counted or total > 0
        basis = f"{amount_words(terms, bad, bare=True)} of {amount_words(terms, total)}"
        found.append(
            Day(
                since, until, basis if total else "nothing counted",
                bad / allowed if enough and total else None,
                1 - gone / allowed if enough and counted else None,
                _behind(figures.slo, since, until),
            )
        )  # fmt: skip
    return found


def _behind(slo: Slo, since: datetime, until: datetime) -> str:
    """Where the rows behind a day are."""
    within = {"since": machine(since), "until": machine(until)}
    if slo.source == SloSource.CHECKS:
        return reverse("service", args=[slo.service])
    if slo.kind == SloKind.LATENCY:
        asked = {"service": slo.service, "metric": "latency_p95"}
        return f"{reverse('trends')}?{urlencode({**asked, **within})}"
    step: timedelta = until - since
    return f"{reverse('errors')}?{errors_query(since, step, {'service': slo.service})}"


def share_text(share: float | None) -> str:
    """A share in percent, also a negative one; `n/a` where there is none."""
    if share is None:
        return ABSENT
    return f"-{percent(-share, 1)}" if share < 0 else percent(share, 1)
