"""What was served in place of answers that failed, by service and dependency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from breakers.selectors.bins import binned, trend
from breakers.selectors.retries import RETRIED
from resilience_site.core.timerange import TimeRange


@dataclass(frozen=True)
class SourceFigures:
    """Answers from one source; ages in seconds, known of `aged` of the `served` ones."""

    source: str
    served: int
    aged: int
    age_mean: float | None
    age_max: float | None


@dataclass(frozen=True)
class FallbackFigures:
    """What was served in place of a dependency's answers in a window of `window_seconds`.

    `calls` are the calls that reached the breaker of the dependency's name, counted once however
    often they were retried; None where no such breaker told of any.
    """

    service: str
    dependency: str
    window_seconds: float
    sources: tuple[SourceFigures, ...]
    calls: int | None
    trend: list[float | None] = field(default_factory=list)

    @property
    def served(self) -> int:
        return sum(source.served for source in self.sources)

    @property
    def aged(self) -> int:
        """Served answers whose age is known."""
        return sum(source.aged for source in self.sources)

    @property
    def rate(self) -> float:
        """Served answers per second."""
        return self.served / self.window_seconds if self.window_seconds else 0.0

    @property
    def share(self) -> float | None:
        """Served answers per call, 0..1; None without calls."""
        return self.served / self.calls if self.calls else None

    @property
    def age_mean(self) -> float | None:
        """Mean age in seconds of the served answers whose age is known."""
        ages = [(each.age_mean, each.aged) for each in self.sources if each.age_mean is not None]
        return sum(age * count for age, count in ages) / self.aged if ages else None

    @property
    def age_max(self) -> float | None:
        """The oldest served answer, in seconds."""
        return max(
            (each.age_max for each in self.sources if each.age_max is not None), default=None
        )


def fallback_figures(
    within: TimeRange, *, service: str = "", dependency: str = ""
) -> list[FallbackFigures]:
    """Figures of each dependency that something was served in place of, most first."""
    counted: dict[_Key, list[_Counted]] = {}
    names = ("service", "dependency", "source")
    sums = ("sum(served)::bigint", "sum(aged)::bigint", "sum(age_sum)", "max(age_max)")
    exact = {"service": service, "dependency": dependency}
    for name, of, *rest in binned("breakers_fallbackrollup", names, sums, within, exact):
        counted.setdefault((name, of), []).append(_Counted(*rest))
    calls = _calls(within, service, dependency)
    seconds = within.length.total_seconds()
    figures = [_figures(key, seconds, rows, calls.get(key)) for key, rows in counted.items()]
    return sorted(figures, key=lambda f: (-f.served, f.service, f.dependency))


_Key = tuple[str, str]


class _Counted(NamedTuple):
    """Answers of one source in one part of the range."""

    source: str
    part: int
    served: int
    aged: int
    age_sum: float
    age_max: float | None


def _figures(
    key: _Key, seconds: float, counted: Sequence[_Counted], calls: int | None
) -> FallbackFigures:
    by_source: dict[str, list[_Counted]] = {}
    for each in counted:
        by_source.setdefault(each.source, []).append(each)
    sources = sorted(
        (_source(source, rows) for source, rows in by_source.items()),
        key=lambda each: (-each.served, each.source),
    )
    served = sum(source.served for source in sources)
    return FallbackFigures(
        service=key[0],
        dependency=key[1],
        window_seconds=seconds,
        sources=tuple(sources),
        # What a bulkhead rejects reaches no breaker, but is answered all the same.
        calls=None if calls is None else max(calls, served),
        trend=trend((each.part, each.served) for each in counted),
    )


def _source(source: str, rows: Sequence[_Counted]) -> SourceFigures:
    aged = sum(row.aged for row in rows)
    ages = [row.age_max for row in rows if row.age_max is not None]
    return SourceFigures(
        source=source,
        served=sum(row.served for row in rows),
        aged=aged,
        age_mean=sum(row.age_sum for row in rows) / aged if aged else None,
        age_max=max(ages, default=None),
    )


def _calls(within: TimeRange, service: str, dependency: str) -> dict[_Key, int]:
    """Calls to each dependency: what its breaker saw, less the further attempts of the same."""
    seen = {
        (name, of): calls
        for name, of, _, calls in binned(
            "breakers_callminute",
            ("service", "name"),
            ("sum(calls + ignored + rejected)::bigint",),
            within,
            {"service": service, "name": dependency},
            bins=1,
        )
    }
    for name, of, _, retries in binned(
        "breakers_retryrollup",
        ("service", "dependency"),
        ("sum(attempts)::bigint",),
        within,
        {"service": service, "dependency": dependency, "outcome": RETRIED},
        bins=1,
    ):
        if (name, of) in seen:
            seen[name, of] = max(0, seen[name, of] - retries)
    return seen
