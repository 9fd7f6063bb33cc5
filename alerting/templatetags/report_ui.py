"""Figures of resilience reports as they are shown, on pages and in mail."""

from __future__ import annotations

from datetime import datetime

from django import template

from alerting.domain.reports import budgets, words
from alerting.domain.reports.figures import Calls, Figures, Measured, SloLine
from alerting.domain.reports.tiles import Tile, tiles
from health.domain.availability import percent_text
from resilience_site.core import formatting

register = template.Library()


@register.filter
def report_tiles(figures: Figures) -> list[Tile]:
    """The numbers at the head of a report."""
    return tiles(figures)


@register.filter
def uptime(measured: Measured) -> str:
    """`99.951 %`, or what is said of a service that no critical check measures."""
    return percent_text(measured.ratio) if measured.counted else "not checked"


@register.filter
def budget(line: SloLine | None) -> str:
    """What is left of the budget of the report's time: `59 % left`, `gone, spent 215 times`."""
    return budgets.left_told(line)


@register.filter
def budget_basis(line: SloLine | None) -> str:
    """What that rests on, and what was left before."""
    return budgets.basis_told(line)


@register.filter
def failed_share(calls: Calls) -> str:
    """`4.2 % (21/500)`, or `no calls`."""
    if not calls.calls:
        return "no calls"
    counts = f"{formatting.compact(calls.failed)}/{formatting.compact(calls.calls)}"
    return f"{formatting.percent(calls.failed, calls.calls)} ({counts})"


@register.filter
def window_left(line: SloLine) -> str:
    """What was left at the end of the budget of an objective's own window."""
    return budgets.window_left(line)


@register.filter
def window_basis(line: SloLine) -> str:
    """`504 of 2,716 calls failed`."""
    return budgets.window_basis(line)


@register.filter
def aim(line: SloLine) -> str:
    """`availability 99.9 % over 30 d`."""
    return budgets.aim_words(line)


@register.filter
def range_until(since: datetime, until: datetime) -> str:
    """`16 to 22 November 2026`."""
    return words.range_words(since, until)


@register.filter
def range_zoned(since: datetime, until: datetime) -> str:
    """`16 to 22 November 2026 (UTC)`."""
    return words.zoned_words(since, until)


@register.filter
def utc(moment: datetime) -> str:
    """`2026-11-24 03:12:07 UTC`, for mail, where nothing makes it local."""
    return formatting.exact(moment)
