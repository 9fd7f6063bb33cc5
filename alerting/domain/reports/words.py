"""A resilience report in words: its time, the subject of its mail, and the whole as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from alerting.domain.reports.budgets import (
    aim_words,
    basis_told,
    left_told,
    window_basis,
    window_left,
)
from alerting.domain.reports.figures import Figures, Repairs
from analytics.domain.known import JUDGED_AFTER
from health.domain.availability import percent_text
from resilience_site.core.formatting import (
    compact,
    duration,
    exact,
    percent,
    plural,
)

_LINES = 10


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


def zoned_words(since: datetime, until: datetime) -> str:
    """The same with its time zone: `16 to 22 November 2026 (UTC)`."""
    words = range_words(since, until)
    return words if words.endswith("UTC") else f"{words} (UTC)"


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def kept_notes(since: datetime, now: datetime, kept: Mapping[str, timedelta]) -> list[str]:
    """What is missing of the range from `since` on and of the time before, by how long each thing is
    kept: whole days go, and a day that has begun to go counts as there."""
    return [
        f"{what} are kept for {length.days} days: what was before {_day(now - length)} is missing."
        for what, length in kept.items()
        if since + timedelta(days=1) < now - length
    ]


def settled_notes(until: datetime, made_at: datetime) -> list[str]:
    """That a report was made so soon after its end that not everything had arrived."""
    after = made_at - until
    if after >= JUDGED_AFTER:
        return []
    return [
        f"Made {duration(after.total_seconds())} after the end of this time: what services had not "
        "sent or checks not confirmed by then is missing."
    ]


def subject(figures: Figures, since: datetime, until: datetime) -> str:
    """The subject of its mail: what it is, and the two numbers that matter most."""
    budgets, ratio = figures.totals.budgets, figures.totals.measured.ratio
    parts = [plural(figures.totals.incidents, "incident")]
    if budgets and budgets.known:
        gone = f"{budgets.gone} of {plural(budgets.known, 'error budget')} gone"
        parts.insert(0, gone)
    elif ratio is not None:
        parts.insert(0, f"{percent_text(ratio)} up by checks")
    return f"Resilience report {range_words(since, until)}: {', '.join(parts)}"


def plain_text(figures: Figures, since: datetime, until: datetime) -> str:
    """The report as text of short lines; where all of it stands is said by whoever sends it."""
    parts = [
        f"Resilience report of {zoned_words(since, until)}",
        *figures.verdict,
        *_repairs(figures.totals.repairs, figures.before.repairs),
    ]
    sections = (
        ("Services", _services(figures)),
        ("Objectives, as they stood at the end", _slos(figures)),
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
    if now.mttr is not None:
        yield (
            f"MTTR {duration(now.mttr)}, mean of {plural(now.repaired, 'repaired failure')} "
            f"({duration(before.mttr)} before)."
        )
    if now.mtbf is not None:
        yield (
            f"MTBF {duration(now.mtbf)}: {duration(now.good)} good, "
            f"{plural(now.failures, 'failure')} began ({duration(before.mtbf)} before)."
        )


def _services(figures: Figures) -> Iterator[str]:
    for line in figures.services:
        measured = (
            f"{percent_text(line.measured.ratio)} up by checks"
            if line.measured.counted
            else "not checked"
        )
        calls = (
            f"{percent(line.calls.failed, line.calls.calls)} of {compact(line.calls.calls)} calls failed"
            if line.calls.calls
            else "no calls seen"
        )
        budget = (
            f"error budget of this time: {left_told(line.slo)} ({basis_told(line.slo)}), "
            if line.slo
            else ""
        )
        yield f"{line.service}: {budget}{measured}, {calls}, {plural(line.errors, 'stored error')}"


def _slos(figures: Figures) -> Iterator[str]:
    for line in figures.slos:
        yield f"{line.service}, {aim_words(line)}: {window_left(line)} ({window_basis(line)})"


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
