"""How full bulkheads are, whom they reject, and where they do not isolate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, QuerySet

from breakers.models import Bulkhead, BulkheadBreach
from breakers.selectors.bins import binned, summed, total, trend
from breakers.selectors.instances import GONE, is_silent
from resilience_site.core.timerange import TimeRange


@dataclass(frozen=True)
class BulkheadInstance:
    """A bulkhead in one process, as it was told last; `silent` ones may be gone."""

    instance: str
    active: int | None
    queued: int | None
    limit: int | None
    last_seen: datetime
    silent: bool


@dataclass(frozen=True)
class Rejections:
    """Calls that were rejected in a window; the tier is empty for calls of none."""

    tier: str
    reason: str
    rejected: int


@dataclass(frozen=True)
class BulkheadFigures:
    """One bulkhead of a service: its use now, summed over the instances that are heard of, and
    what it did in a window of `window_seconds`. Sums that no instance told are None."""

    service: str
    name: str
    window_seconds: float
    active: int | None
    queued: int | None
    limit: int | None
    instances: tuple[BulkheadInstance, ...]
    rejections: tuple[Rejections, ...]
    breaches: int
    trend: list[float | None] = field(default_factory=list)

    @property
    def live(self) -> int:
        """Instances that are heard of: those that the sums are over."""
        return sum(not each.silent for each in self.instances)

    @property
    def silent(self) -> int:
        return len(self.instances) - self.live

    @property
    def rejected(self) -> int:
        return sum(each.rejected for each in self.rejections)

    @property
    def rejected_by_tier(self) -> dict[str, int]:
        return summed((each.tier, each.rejected) for each in self.rejections)

    @property
    def rejected_by_reason(self) -> dict[str, int]:
        return summed((each.reason, each.rejected) for each in self.rejections)

    @property
    def use(self) -> float | None:
        """Share of the slots in use now, 0..1; None where it is not known."""
        if self.active is None or not self.limit:
            return None
        return min(1.0, self.active / self.limit)


def bulkhead_figures(
    within: TimeRange, *, now: datetime, service: str = "", name: str = ""
) -> list[BulkheadFigures]:
    """Bulkheads that are told of, or that rejected or failed to isolate in a range; those with
    breaches first, then the most rejecting, then the fullest."""
    exact = {column: value for column, value in (("service", service), ("name", name)) if value}
    instances: dict[_Key, list[BulkheadInstance]] = {}
    for row in Bulkhead.objects.filter(last_seen__gt=now - GONE, **exact):
        instances.setdefault((row.service, row.name), []).append(bulkhead_instance(row, now))
    rejections: dict[_Key, list[tuple[str, str, int, int]]] = {}
    names = ("service", "name", "tier", "reason")
    sums = ("sum(rejected)::bigint",)
    for of, each, *rest in binned("breakers_bulkheadrollup", names, sums, within, exact):
        rejections.setdefault((of, each), []).append((rest[0], rest[1], rest[2], rest[3]))
    breaches = _breach_counts(within, exact)
    seconds = within.length.total_seconds()
    figures = [
        _figures(key, seconds, instances.get(key, []), rejections.get(key, []), breaches)
        for key in instances.keys() | rejections.keys() | breaches.keys()
    ]
    return sorted(
        figures, key=lambda f: (-f.breaches, -f.rejected, -(f.use or 0), f.service, f.name)
    )


def breach_list(
    within: TimeRange, *, service: str = "", name: str = ""
) -> QuerySet[BulkheadBreach]:
    """Breaches of a time range, newest first."""
    rows = BulkheadBreach.objects.filter(at__gte=within.since, at__lt=within.until)
    exact = {column: value for column, value in (("service", service), ("name", name)) if value}
    return rows.filter(**exact)


_Key = tuple[str, str]


def bulkhead_instance(row: Bulkhead, now: datetime) -> BulkheadInstance:
    """What a process told last."""
    silent = is_silent(row.last_seen, now)
    return BulkheadInstance(row.instance, row.active, row.queued, row.limit, row.last_seen, silent)


def _breach_counts(within: TimeRange, exact: Mapping[str, str]) -> dict[_Key, int]:
    rows = breach_list(within, **exact).order_by().values_list("service", "name")
    return {(service, name): n for service, name, n in rows.annotate(count=Count("pk"))}


def _figures(
    key: _Key,
    seconds: float,
    instances: Sequence[BulkheadInstance],
    rejections: Sequence[tuple[str, str, int, int]],
    breaches: Mapping[_Key, int],
) -> BulkheadFigures:
    live = [each for each in instances if not each.silent]
    counts: dict[tuple[str, str], int] = {}
    for tier, reason, _, rejected in rejections:
        counts[tier, reason] = counts.get((tier, reason), 0) + rejected
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return BulkheadFigures(
        service=key[0],
        name=key[1],
        window_seconds=seconds,
        active=total(each.active for each in live),
        queued=total(each.queued for each in live),
        limit=total(each.limit for each in live),
        instances=tuple(instances),
        rejections=tuple(Rejections(tier, reason, n) for (tier, reason), n in ordered),
        breaches=breaches.get(key, 0),
        trend=trend((part, rejected) for *_, part, rejected in rejections),
    )
