"""The days of a public service as bars, with the same as text: shape and colour both tell the state.

A bar is as tall as the day was good: a whole one had no trouble, and the worse the day, the shorter
its solid part. Maintenance alone is an outline, no data a dot on the ground line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from health.domain.availability import percent_text
from health.domain.public import DEGRADED, MAINTENANCE, MAJOR, OPERATIONAL, PARTIAL, DayTold
from resilience_site.core.formatting import duration

DAYS: Final = 90
STEP, WIDTH, HEIGHT = 10, 7, 36
# The height of the solid part, of HEIGHT.
SOLID: Final[dict[str, int]] = {OPERATIONAL: 36, DEGRADED: 25, PARTIAL: 16, MAJOR: 8}
WORDS: Final[dict[str | None, str]] = {
    OPERATIONAL: "no trouble",
    MAINTENANCE: "maintenance",
    DEGRADED: "degraded",
    PARTIAL: "partial outage",
    MAJOR: "major outage",
    None: "no data",
}


@dataclass(frozen=True)
class Run:
    """Days in a row that were alike; `share` of the measured time was good, None without data."""

    first: date
    last: date
    level: str | None
    word: str
    share: str
    out: str

    @property
    def count(self) -> int:
        return (self.last - self.first).days + 1


@dataclass(frozen=True)
class Bars:
    """The bars of one service, the sentence that says the same, and its rows."""

    svg: SafeString
    share: str
    basis: str
    runs: tuple[Run, ...]


def bars_of(days: Sequence[date], told: Mapping[date, DayTold], name: str) -> Bars:
    """The bars of `days` in a row; a day that is not in `told` has no data."""
    each = [told.get(day, DayTold()) for day in days]
    total = DayTold(
        good=sum(day.good for day in each),
        bad=sum(day.bad for day in each),
    )
    measured = sum(day.measured > 0 for day in each)
    share = percent_text(total.share)
    basis = f"of {duration(total.measured)} measured on {measured} of {len(days)} days"
    if measured == 0:
        basis = f"nothing measured, last {len(days)} days"
    runs = _runs(days, each)
    return Bars(_svg(days, each, f"{name}: {_summary(each, share)}"), share, basis, tuple(runs))


def _summary(days: Sequence[DayTold], share: str) -> str:
    counts = {level: sum(day.level == level for day in days) for level in WORDS}
    parts = [
        f"{count} day{'' if count == 1 else 's'} {WORDS[level]}"
        for level, count in counts.items()
        if count
    ]
    return f"{share} available in the last {len(days)} days; {', '.join(parts)}"


def _runs(days: Sequence[date], told: Sequence[DayTold]) -> list[Run]:
    """The newest first; quiet days in a row make one."""
    runs: list[Run] = []
    for day, each in zip(reversed(days), reversed(told), strict=True):
        run = Run(
            first=day,
            last=day,
            level=each.level,
            word=WORDS[each.level],
            share=percent_text(each.share),
            out=duration(each.bad) if each.bad else "",
        )
        before = runs[-1] if runs else None
        if before and (before.level, before.share, before.out) == (run.level, run.share, run.out):
            runs[-1] = Run(day, before.last, run.level, run.word, run.share, run.out)
        else:
            runs.append(run)
    return runs


def _svg(days: Sequence[date], told: Sequence[DayTold], label: str) -> SafeString:
    """Days without trouble are one path, as there are many; each other has its own title."""
    quiet, empty, others = [], [], []
    for index, (day, each) in enumerate(zip(days, told, strict=True)):
        x = index * STEP
        if each.level == OPERATIONAL:
            quiet.append(_bar(x, HEIGHT))
        elif each.level is None:
            empty.append(f"M{x + 2} {HEIGHT - 3}h3v3h-3z")
        else:
            others.append((each.level, _title(day, each), _drawn(x, each.level)))
    marked = format_html_join("", '<g data-level="{}"><title>{}</title>{}</g>', others)
    return format_html(
        '<svg class="status-bars" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img"'
        ' aria-label="{}"><path data-level="operational" d="{}"/><path data-level="none" d="{}"/>'
        "{}</svg>",
        len(days) * STEP,
        HEIGHT,
        label,
        "".join(quiet),
        "".join(empty),
        marked,
    )


def _title(day: date, told: DayTold) -> str:
    out = f", out for {duration(told.bad)}" if told.bad else ""
    share = f", {percent_text(told.share)} available" if told.measured else ""
    return f"{day:%Y-%m-%d}: {WORDS[told.level]}{share}{out}"


def _bar(x: int, height: int) -> str:
    return f"M{x} {HEIGHT - height}h{WIDTH}v{height}h-{WIDTH}z"


def _drawn(x: int, level: str) -> SafeString:
    if level == MAINTENANCE:
        shape = f'<path class="outline" d="M{x + 1} 1h{WIDTH - 2}v{HEIGHT - 2}h-{WIDTH - 2}z"/>'
    else:
        shape = f'<path class="faint" d="{_bar(x, HEIGHT)}"/><path d="{_bar(x, SOLID[level])}"/>'
    return mark_safe(shape)  # noqa: S308 - numbers alone


def legend() -> list[tuple[str, SafeString]]:
    """Each state with its bar."""
    shown = []
    for level, word in WORDS.items():
        if level == OPERATIONAL:
            drawn = mark_safe(f'<path data-level="operational" d="{_bar(0, HEIGHT)}"/>')  # noqa: S308
        elif level is None:
            drawn = mark_safe(f'<path data-level="none" d="M2 {HEIGHT - 3}h3v3h-3z"/>')  # noqa: S308
        else:
            drawn = format_html('<g data-level="{}">{}</g>', level, _drawn(0, level))
        svg = format_html(
            '<svg class="status-key" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">{}</svg>',
            WIDTH, HEIGHT, drawn,
        )  # fmt: skip
        shown.append((word, svg))
    return shown
