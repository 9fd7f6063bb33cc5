"""How the time of a resilience report went, in a few sentences."""

from __future__ import annotations

from collections.abc import Iterator

from alerting.domain.reports.budgets import budgets_verdict
from alerting.domain.reports.figures import Figures, Totals
from health.domain.availability import percent_text
from resilience_site.core.formatting import compact, duration, percent, plural

_SHORTEST_CHANGE = 0.0005


def verdict(figures: Figures) -> list[str]:
    """How it went, the most important first, in one sentence each."""
    now, before = figures.totals, figures.before
    return [
        *budgets_verdict(figures),
        _uptime(now, before),
        _incidents(now, before),
        *_failures(now, before),
        *_healing(now),
    ]


def _uptime(now: Totals, before: Totals) -> str:
    measured, ratio = now.measured, now.measured.ratio
    if ratio is None:
        return "No uptime by checks: no critical check measured a service in this time."
    met = "met" if measured.met else "missed"
    return (
        f"By checks, services were up for {percent_text(ratio)} of the measured time "
        f"({duration(measured.bad)} down of {duration(measured.counted)}, "
        f"{plural(now.services, 'service')}, target {percent_text(measured.target)}: {met})"
        f"{_points(ratio, before.measured.ratio)}."
    )


def _points(ratio: float, before: float | None) -> str:
    if before is None:
        return ", with nothing to compare it with"
    points = 100 * (ratio - before)
    if abs(points) < _SHORTEST_CHANGE:
        return ", as in the time before"
    return f", {abs(points):.3f} points {'more' if points > 0 else 'less'} than in the time before"


def _incidents(now: Totals, before: Totals) -> str:
    if not now.incidents:
        return f"No incident ({before.incidents:,} in the time before)."
    began = f"{plural(now.incidents, 'incident')} ({before.incidents:,} in the time before)"
    return f"{began}: {handled_words(now)}."


def handled_words(totals: Totals) -> str:
    """How soon people took incidents up, and how soon they ended, each of how many: `1 of 16
    acknowledged, after 4 min; 2 of 16 over, after 40 min on average`."""
    return "; ".join(
        _handled(word, count, totals.incidents, mean)
        for word, count, mean in (
            ("acknowledged", totals.acknowledged, totals.acknowledge_seconds),
            ("over", totals.ended, totals.resolve_seconds),
        )
    )


def _handled(word: str, count: int | None, of: int, mean: float | None) -> str:
    if count is None:
        return f"{word} after {duration(mean)} on average"
    after = "" if mean is None else f", after {duration(mean)}"
    return f"{count:,} of {of:,} {word}{after}{' on average' if count > 1 else ''}"


def _failures(now: Totals, before: Totals) -> Iterator[str]:
    if now.calls.calls:
        yield (
            f"{percent(now.calls.failed, now.calls.calls)} of the calls failed "
            f"({compact(now.calls.failed)} of {compact(now.calls.calls)}; "
            f"{percent(before.calls.failed, before.calls.calls)} in the time before)."
        )
    if now.openings or before.openings:
        yield (
            f"Breakers opened {plural(now.openings, 'time')} "
            f"({before.openings} in the time before)."
        )


def _healing(now: Totals) -> Iterator[str]:
    ratio = now.healing.ratio
    if ratio is not None:
        over = now.healing.succeeded + now.healing.failed
        yield f"Healing succeeded in {now.healing.succeeded} of {plural(over, 'run')}."
