"""Figures of resilience reports as they are shown, on pages and in mail."""

from __future__ import annotations

from datetime import datetime

from django import template

from alerting.domain.reports import words
from alerting.domain.reports.figures import Calls, Figures, Measured
from alerting.domain.reports.tiles import Tile, tiles
from health.domain.availability import percent_text
from resilience_site.core import formatting

register = template.Library()


@register.filter
def report_tiles(figures: Figures) -> list[Tile]:
    """The numbers at the head of a report."""
    return tiles(figures)


@register.filter
def availability(measured: Measured) -> str:
    """`99.951 %`, or what is said of a service that no critical check measures."""
    return percent_text(measured.ratio) if measured.counted else "not checked"


@register.filter
def budget(measured: Measured) -> str:
    """`42 % (4 min bad of 10 min allowed)`."""
    if not measured.counted:
        return formatting.ABSENT
    return f"{words.spent_words(measured)} ({words.budget_words(measured)})"


@register.filter
def failed_share(calls: Calls) -> str:
    """`4.2 % (21/500)`, or `no calls`."""
    if not calls.calls:
        return "no calls"
    counts = f"{formatting.compact(calls.failed)}/{formatting.compact(calls.calls)}"
    return f"{formatting.percent(calls.failed, calls.calls)} ({counts})"


@register.filter
def budget_left(left: float | None) -> str:
    """`63 %` of an objective's budget, below zero where it is missed."""
    return formatting.ABSENT if left is None else words.left_words(left)


@register.filter
def objective(value: float) -> str:
    """`99.9 %`."""
    return words.objective_words(value)


@register.filter
def range_until(since: datetime, until: datetime) -> str:
    """`16 to 22 November 2026`."""
    return words.range_words(since, until)


@register.filter
def utc(moment: datetime) -> str:
    """`2026-11-24 03:12:07 UTC`, for mail, where nothing makes it local."""
    return formatting.exact(moment)
