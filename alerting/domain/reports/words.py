"""A resilience report in words: its verdict, the subject of its mail, and the whole as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from alerting.domain.reports.figures import Figures, Measured, Repairs, ServiceLine, Totals
from health.domain.availability import percent_text
from resilience_site.core.formatting import (
    compact,
    duration,
    exact,
    percent,
    plural,
    three_digits,
)

_LINES = 10
_SHORTEST_CHANGE = 0.0005
# From here on a share of the budget is told as so many times of it.
_TIMES = 2.0


def range_words(since: datetime, until: datetime) -> str:
    """`16 to 22 November 2026` for whole days, else both moments."""
    last = until - timedelta(days=1)
    if any((each.hour, each.minute, each.second) != (0, 0, 0) for each in (since, until)):
        return f"{exact(since)} to {exact(until)}"
    if since == last:
        return _day(since)
    if (since.year, since.month) == (last.year, last.month):
        return f"{since.day} to {_day(last)}"
    return f"{_day(since)} to {_day(last)}"


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def verdict(figures: Figures) -> list[str]:
    """How it went, the most important first, in one sentence each."""
    now, before = figures.totals, figures.before
    return [
        _availability(now, before),
        *_budgets(figures.services),
        _incidents(now, before),
        *_failures(now, before),
        *_healing(now),
    ]


def _availability(now: Totals, before: Totals) -> str:
    ratio = now.measured.ratio
    if ratio is None:
        return "No availability: no critical check measured a service in this time."
    met = "met" if now.measured.met else "missed"
    return (
        f"Services were available for {percent_text(ratio)} of the measured time "
        f"({plural(now.services, 'service')}, target {percent_text(now.measured.target)}: {met})"
        f"{_points(ratio, before.measured.ratio)}."
    )


def _points(ratio: float, before: float | None) -> str:
    if before is None:
        return ", with nothing to compare it with"
    points = 100 * (ratio - before)
    if abs(points) < _SHORTEST_CHANGE:
        return ", as in the time before"
    return f", {abs(points):.3f} points {'more' if points > 0 else 'less'} than in the time before"


def _budgets(services: list[ServiceLine]) -> Iterator[str]:
    over = [line for line in services if line.measured.met is False]
    if over:
        names = ", ".join(f"{line.service} ({budget_words(line.measured)})" for line in over[:3])
        more = f" and {len(over) - 3} more" if len(over) > 3 else ""
        yield f"More than the whole error budget went at {names}{more}."


def spent_words(measured: Measured) -> str:
    """`47 %` of the error budget, from twice of it on `23.8 times`."""
    spent = measured.spent
    if spent is not None and spent >= _TIMES:
        return f"{three_digits(spent)} times"
    return percent(measured.bad, measured.allowed)


def budget_words(measured: Measured) -> str:
    """`42 min bad of 10 min 4 s allowed`."""
    return f"{duration(measured.bad)} bad of {duration(measured.allowed)} allowed"


def _incidents(now: Totals, before: Totals) -> str:
    if not now.incidents:
        return f"No incident ({before.incidents} in the time before)."
    times = [
        f"{word} after {duration(seconds)} on average"
        for word, seconds in (
            ("acknowledged", now.acknowledge_seconds),
            ("over", now.resolve_seconds),
        )
        if seconds is not None
    ]
    said = f", {' and '.join(times)}" if times else ""
    return f"{plural(now.incidents, 'incident')} ({before.incidents} in the time before){said}."


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


def kept_notes(since: datetime, now: datetime, kept: Mapping[str, timedelta]) -> list[str]:
    """What is missing of the range from `since` on and of the time before, by how long each thing is
    kept: whole days go, and a day that has begun to go counts as there."""
    return [
        f"{what} are kept for {length.days} days: what was before {_day(now - length)} is missing."
        for what, length in kept.items()
        if since + timedelta(days=1) < now - length
    ]


def subject(figures: Figures, since: datetime, until: datetime) -> str:
    """The subject of its mail: what it is, and the two numbers that matter most."""
    ratio = figures.totals.measured.ratio
    parts = [f"{percent_text(ratio)} available"] if ratio is not None else []
    parts.append(plural(figures.totals.incidents, "incident"))
    return f"Resilience report {range_words(since, until)}: {', '.join(parts)}"


def plain_text(figures: Figures, since: datetime, until: datetime) -> str:
    """The report as text of short lines; where all of it stands is said by whoever sends it."""
    parts = [
        f"Resilience report of {range_words(since, until)} (UTC)",
        *figures.verdict,
        *_repairs(figures.totals.repairs, figures.before.repairs),
    ]
    sections = (
        ("Services", _services(figures)),
        ("Error budgets", _slos(figures)),
        ("Patterns with the most errors", _patterns(figures)),
        ("Breakers that opened", _breakers(figures)),
        ("Incidents", _incident_lines(figures)),
        ("Alerts by rule", _alerts(figures)),
    )
    for title, lines in sections:
        shown = list(lines)
        if shown:
            parts += ["", title, *(f"- {line}" for line in shown[:_LINES])]
            if len(shown) > _LINES:
                parts.append(f"- and {len(shown) - _LINES} more")
    return "\n".join([*parts, *(["", *figures.notes] if figures.notes else [])])


def _repairs(now: Repairs, before: Repairs) -> Iterator[str]:
    for name, mean, then in (
        ("MTTR", now.mttr, before.mttr),
        ("MTBF", now.mtbf, before.mtbf),
    ):
        if mean is not None:
            yield f"{name} {duration(mean)} ({duration(then)} before)."


def _services(figures: Figures) -> Iterator[str]:
    for line in figures.services:
        measured = percent_text(line.measured.ratio) if line.measured.counted else "not checked"
        calls = (
            f"{percent(line.calls.failed, line.calls.calls)} of {compact(line.calls.calls)} calls failed"
            if line.calls.calls
            else "no calls seen"
        )
        yield f"{line.service}: {measured}, {calls}, {plural(line.errors, 'stored error')}"


def _slos(figures: Figures) -> Iterator[str]:
    for line in figures.slos:
        left = "too little data" if line.left is None else f"{left_words(line.left)} left"
        yield (
            f"{line.service}, {line.kind} {objective_words(line.objective)} "
            f"over {line.window_days} d: {left}"
        )


def left_words(left: float) -> str:
    """`63 %` of a budget, also `-40 %`."""
    return f"{three_digits(100 * left)} %"


def objective_words(objective: float) -> str:
    """`99.9 %`."""
    return f"{100 * objective:.4f}".rstrip("0").rstrip(".") + " %"


def _patterns(figures: Figures) -> Iterator[str]:
    for line in figures.patterns:
        new = ", new" if line.new else ""
        yield (
            f"{line.service}: {line.type or 'Error'}, {plural(line.errors, 'error')} "
            f"({line.before:,} before{new})"
        )


def _breakers(figures: Figures) -> Iterator[str]:
    for line in figures.breakers:
        yield (
            f"{line.service} {line.name}: {plural(line.openings, 'time')} ({line.before} before)"
        )


def _incident_lines(figures: Figures) -> Iterator[str]:
    for line in figures.incidents:
        lasted = "goes on" if line.seconds is None else duration(line.seconds)
        yield f"{exact(line.started_at)}, {lasted}: {line.title}"


def _alerts(figures: Figures) -> Iterator[str]:
    for line in figures.alerts:
        yield (
            f"{line.rule} ({line.severity}): {plural(line.fired, 'alert')} ({line.before} before)"
        )
