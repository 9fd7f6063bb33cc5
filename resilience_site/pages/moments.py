"""A time range in equal parts, one of which can be looked at by itself."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import QueryDict

from analytics.selectors import rollups
from resilience_site.core.formatting import machine
from resilience_site.core.problems import Invalid
from resilience_site.core.querystrings import PLACE, query_pairs, query_with
from resilience_site.core.timerange import TimeRange

MOMENTS = 24
_WHOLE = "the whole time"


@dataclass(frozen=True)
class Moments:
    """The parts of a range: `chosen` is 0 for the whole, or counts from 1. `errors` are those
    stored in each part, `names` what the slider says at each of its places."""

    count: int
    chosen: int
    errors: list[int]
    label: str
    names: list[str]
    kept: list[tuple[str, str]]
    whole: str

    @property
    def said(self) -> str:
        return self.names[self.chosen]


def moments_read(query: QueryDict, within: TimeRange) -> tuple[Moments, TimeRange]:
    """The parts of a range and the one that the address asks for by `moment`.

    Raises `Invalid` where it asks for none that there is.
    """
    chosen = _chosen(query.get("moment") or "0")
    width = within.length / MOMENTS
    parts = [
        TimeRange(within.since + width * n, within.since + width * (n + 1)) for n in range(MOMENTS)
    ]
    errors = [0] * MOMENTS
    for at, count in rollups.error_counts(within, step=rollups.step_for(within, MOMENTS * 4)):
        errors[min(MOMENTS - 1, max(0, int((at - within.since) / width)))] += count
    found = Moments(
        count=MOMENTS,
        chosen=chosen,
        errors=errors,
        label=f"Stored errors in {MOMENTS} parts of the time",
        names=[_WHOLE, *(f"{_clock(p)} to {_clock(p, end=True)} UTC" for p in parts)],
        kept=[pair for pair in query_pairs(query) if pair[0] not in ("moment", *PLACE)],
        whole=query_with(query, moment=None),
    )
    return found, parts[chosen - 1] if chosen else within


def _chosen(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text[:4]) > MOMENTS:
        raise Invalid.field("query.moment", f"Choose a moment from 0 (all) to {MOMENTS}.")
    return int(text)


def _clock(part: TimeRange, *, end: bool = False) -> str:
    text = machine(part.until if end else part.since)
    return f"{text[5:10]} {text[11:19]}"
