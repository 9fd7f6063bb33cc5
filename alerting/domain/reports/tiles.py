"""The numbers at the head of a resilience report, each with its denominator and the time before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from alerting.domain.reports.budgets import unknown_words
from alerting.domain.reports.figures import Figures, Healing, Totals
from alerting.domain.reports.verdict import handled_words
from analytics.domain.slos.words import spent_words
from health.domain.availability import percent_text
from resilience_site.core.formatting import ABSENT, compact, duration, percent, plural


@dataclass(frozen=True)
class Tile:
    """A number as text; `basis` says what it is of and what it was before; `tone` may be bad."""

    label: str
    value: str
    basis: str
    tone: str = ""


def tiles(figures: Figures) -> list[Tile]:
    """The head of the report, the most important first."""
    now, before = figures.totals, figures.before
    return [
        *_budgets(figures),
        _uptime(now, before),
        *_repairs(now, before),
        Tile(
            "Failed calls",
            percent(now.calls.failed, now.calls.calls),
            f"{compact(now.calls.failed)} of {compact(now.calls.calls)} calls; "
            f"{percent(before.calls.failed, before.calls.calls)} before",
        ),
        Tile(
            "Incidents",
            f"{now.incidents:,}",
            f"{f'{handled_words(now)}; ' if now.incidents else ''}{before.incidents:,} before",
            "bad" if now.incidents else "",
        ),
        Tile(
            "Alerts fired",
            f"{now.alerts:,}",
            f"{plural(now.pages, 'page')} among them; {plural(now.told, 'notification')} arrived, "
            f"{now.untold:,} did not; {plural(before.alerts, 'alert')} before",
            "bad" if now.untold else "",
        ),
        Tile(
            "Breaker openings",
            f"{now.openings:,}",
            f"in all instances together; {before.openings:,} before",
        ),
        Tile("Healing success", *_healing(now.healing, before.healing)),
        Tile(
            "Stored errors",
            f"{now.errors:,}",
            f"in {plural(now.patterns, 'pattern')}, {now.patterns_new:,} new; "
            f"{plural(before.errors, 'error')} before",
        ),
    ]


def _budgets(figures: Figures) -> Iterator[Tile]:
    now, before = figures.totals.budgets, figures.before.budgets
    if now is None:
        return
    if not now.known:
        services = plural(now.services, "service")
        why = f"not enough data for {services}" if now.services else "no objective is watched"
        yield Tile("Error budgets gone", ABSENT, why)
        return
    worst = figures.services[0].slo if figures.services else None
    spent = worst.budget.spent if worst and worst.budget else None
    most = f"; most at {figures.services[0].service}, {spent_words(spent)}" if spent else ""
    then = (
        f"{before.gone:,} of {before.known:,} before" if before and before.known else "n/a before"
    )
    yield Tile(
        "Error budgets gone",
        f"{now.gone:,} of {now.known:,}",
        f"services, of the budget of this time; {then}{most}{unknown_words(now)}",
        "bad" if now.gone else "",
    )


def _uptime(now: Totals, before: Totals) -> Tile:
    measured = now.measured
    if measured.ratio is None:
        return Tile("Uptime by checks", ABSENT, "no critical check measured anything in this time")
    return Tile(
        "Uptime by checks",
        percent_text(measured.ratio),
        f"{duration(measured.bad)} down of {duration(measured.counted)} measured of "
        f"{plural(now.services, 'service')}, target "
        f"{percent_text(measured.target)}; {percent_text(before.measured.ratio)} before",
        "bad" if measured.met is False else "",
    )


def _repairs(now: Totals, before: Totals) -> Iterator[Tile]:
    repairs = now.repairs
    yield Tile(
        "MTTR",
        duration(repairs.mttr),
        f"mean of {plural(repairs.repaired, 'repaired failure')}; "
        f"{duration(before.repairs.mttr)} before",
    )
    yield Tile(
        "MTBF",
        duration(repairs.mtbf),
        f"{duration(repairs.good)} good, {plural(repairs.failures, 'failure')} began; "
        f"{duration(before.repairs.mtbf)} before",
    )


def _healing(now: Healing, before: Healing) -> tuple[str, str]:
    over = now.succeeded + now.failed
    then = percent(before.succeeded, before.succeeded + before.failed)
    if not now.runs:
        return ABSENT, f"no healing runs in this time; {then} before"
    return percent(now.succeeded, over), f"{now.succeeded:,} of {over:,} ended runs; {then} before"
