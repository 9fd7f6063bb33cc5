"""The rows of the services table, on the overview and on its own page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from analytics.selectors import rollups
from analytics.selectors.rollups import Figures
from health.models import Service
from health.selectors import service_list
from resilience_site.core.timerange import TimeRange
from resilience_site.pages.verdict import MINIMUM_CALLS, state_of

DEFAULT_SORT = "-errors"


@dataclass(frozen=True)
class ServiceRow:
    """A service, its entry calls of a range (None without any) and its share of errors over it."""

    service: Service
    figures: Figures | None
    state: str
    trend: list[float | None]


def _number(read: Callable[[Figures], float | None]) -> Callable[[ServiceRow], float]:
    def key(row: ServiceRow) -> float:
        value = read(row.figures) if row.figures else None
        return -1.0 if value is None else value

    return key


def _judged(figures: Figures) -> float | None:
    # A single failed call is no 100 %: those with too few calls stand after all others.
    return figures.error_ratio if figures.calls >= MINIMUM_CALLS else -0.5


SORTS: dict[str, Callable[[ServiceRow], float]] = {
    "errors": _number(_judged),
    "rate": _number(lambda figures: figures.rate),
    "p50": _number(lambda figures: figures.p50_ms),
    "p95": _number(lambda figures: figures.p95_ms),
    "heard": lambda row: row.service.last_seen.timestamp(),
}


def service_rows(within: TimeRange, sort: str = DEFAULT_SORT) -> list[ServiceRow]:
    """All services, by `sort` (`name`, or a key of `SORTS`; a minus turns it round)."""
    figures = rollups.service_figures(within)
    trends = rollups.service_trends(within)
    rows = [
        ServiceRow(
            service,
            figures.get(service.name),
            state_of(figures.get(service.name)),
            trends.get(service.name, []),
        )
        for service in service_list()
    ]
    field = sort.removeprefix("-")
    if field in SORTS:
        return sorted(rows, key=SORTS[field], reverse=sort.startswith("-"))
    return rows[::-1] if sort == "-name" else rows
