"""Error budgets in a resilience report: those of a range by service, summed up and in words.

They are those of objectives, by the arithmetic of their pages, over what each objective counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from alerting.domain.reports.figures import Budgets, Figures, ServiceLine, SloLine
from analytics.domain.slos.budgets import Spending
from analytics.domain.slos.burning import amount_words, bad_word, nothing_words
from analytics.domain.slos.words import basis_words, left_words, over_words, spent_words
from resilience_site.core.formatting import ABSENT, compact, duration, plural

# Of services whose budget is gone, so many are named.
_NAMED: Final = 5


def by_service(lines: Iterable[SloLine]) -> dict[str, SloLine]:
    """Of each service the objective that spent most of its budget in the range; of those without
    enough data any."""
    worst: dict[str, SloLine] = {}
    for line in lines:
        if line.service not in worst or spent_of(line) > spent_of(worst[line.service]):
            worst[line.service] = line
    return worst


def spent_of(line: SloLine | None) -> float:
    """What the range spent of a budget, to sort by; below zero where that is not known."""
    spent = line.budget.spent if line and line.budget else None
    return -1.0 if spent is None else spent


def budgets_now(lines: Iterable[SloLine]) -> Budgets:
    """What the range spent of the budgets of all services."""
    return _summed((line.service, line.budget) for line in lines)


def budgets_before(lines: Iterable[SloLine]) -> Budgets:
    """The same of the range before."""
    return _summed((line.service, line.budget_before) for line in lines)


def _summed(found: Iterable[tuple[str, Spending | None]]) -> Budgets:
    most: dict[str, float | None] = {}
    for service, budget in found:
        spent = budget.spent if budget else None
        highest = most.get(service)
        most[service] = highest if spent is None else max(spent, highest or 0.0)
    known = [spent for spent in most.values() if spent is not None]
    return Budgets(len(most), len(known), sum(spent >= 1 for spent in known))


# --- In words ------------------------------------------------------------------------------------


def budgets_verdict(figures: Figures) -> Iterator[str]:
    """Whose budget of the range is gone, and how much of it went, in one sentence; nothing in
    reports that do not know of it."""
    now, before = figures.totals.budgets, figures.before.budgets
    if now is None:
        return
    if not now.services:
        yield "No error budget: no objective is watched."
    elif not now.known:
        yield f"No error budget is known: not enough data for {plural(now.services, 'service')}."
    else:
        before_words = f" ({_gone(before)} in the time before)" if before else ""
        yield (
            f"The error budget of this time is gone at {now.gone or 'none'} of "
            f"{plural(now.known, 'service')}{before_words}"
            f"{_named(figures.services, now.gone)}{unknown_words(now)}."
        )


def _gone(budgets: Budgets) -> str:
    return f"{budgets.gone} of {budgets.known}" if budgets.known else ABSENT


def _named(services: list[ServiceLine], gone: int) -> str:
    """The services whose budget is gone, or the one that spent most."""
    known = [line for line in services if spent_of(line.slo) >= 0]
    shown = known[: min(_NAMED, gone) or 1]
    if not shown or not (gone or spent_of(shown[0].slo)):
        return ""
    names = ", ".join(f"{line.service} ({spent_told(line.slo)})" for line in shown)
    more = f" and {gone - len(shown)} more" if gone > len(shown) else ""
    return f": {names}{more}" if gone else f"; most went at {names}"


def unknown_words(budgets: Budgets) -> str:
    """That there are more of which too little is known."""
    unknown = budgets.services - budgets.known
    return f"; not enough data for {plural(unknown, 'more service')}" if unknown else ""


def spent_told(line: SloLine | None) -> str:
    """`spent 215 times: 504 failed of 2.72 allowed`."""
    if line is None or line.budget is None or line.budget.spent is None:
        return "not enough data"
    return f"{spent_words(line.budget.spent)}: {over_words(line.terms, line.budget)}"


def left_told(line: SloLine | None) -> str:
    """What is left of the budget of the range: `59 % left`, `gone, spent 215 times`."""
    return left_words(line.budget.spent) if line and line.budget else ABSENT


def basis_told(line: SloLine | None) -> str:
    """What that rests on, and what was left before: `504 failed of 2.72 allowed, 2,716 calls; 59 %
    left before`."""
    if line is None or line.budget is None:
        return ABSENT
    before = line.budget_before
    then = f"; {left_words(before.spent)} before" if before and before.total else "; n/a before"
    return f"{basis_words(line.terms, line.budget)}{then}"


def window_left(line: SloLine) -> str:
    """What was left at the end of the budget of its own window, as its page says it."""
    return left_words(line.spent)


def window_basis(line: SloLine) -> str:
    """`504 of 2,716 calls failed`, `1 min 37 s of 2 h down`."""
    if not line.unit:
        return f"{compact(line.bad)} of {compact(line.total)}"
    terms = line.terms
    if not line.total:
        return nothing_words(terms)
    bad = amount_words(terms, line.bad, bare=True)
    return f"{bad} of {amount_words(terms, line.total)} {bad_word(terms)}"


def aim_words(line: SloLine) -> str:
    """`availability 99.9 % over 30 d`, `latency 99 % within 300 ms over 7 d`."""
    share = f"{100 * line.objective:.4f}".rstrip("0").rstrip(".")
    within = f" within {duration(line.threshold_ms / 1000)}" if line.threshold_ms else ""
    return f"{line.kind} {share} %{within} over {line.window_days} d"
