"""What services can run out of, as their gauges tell: disks, memory and pools, with their limits.

Names are OpenTelemetry's, the older ones included, and the runtime's own bulkheads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Count, QuerySet

from analytics.choices import ExhaustionKind
from analytics.models import MetricSeries
from resilience_site.core.timerange import TimeRange

HOUR: Final = timedelta(hours=1)
# Resources that are looked at at once; the rest is left out.
MOST: Final = 1_000
_STATES: Final = (
    "state", "system.filesystem.state", "system.memory.state", "db.client.connection.state",
    "jvm.memory.type",
)  # fmt: skip
_USED: Final = frozenset({"used", "heap"})


@dataclass(frozen=True)
class Rule:
    """Which gauge tells the use of something; without `limit` it is a share, 0..1.

    `kind` is empty for what saturates a service but is nothing that is used up for good.
    """

    kind: str
    used: str
    limit: str
    unit: str


_RULES: Final = (
    Rule(ExhaustionKind.DISK, "system.filesystem.utilization", "", "1"),
    Rule(ExhaustionKind.DISK, "system.filesystem.usage", "system.filesystem.limit", "By"),
    Rule(
        ExhaustionKind.POOL, "db.client.connection.count", "db.client.connection.max", "connections"
    ),
    Rule(
        ExhaustionKind.POOL, "db.client.connections.usage", "db.client.connections.max",
        "connections",
    ),
    Rule(ExhaustionKind.POOL, "resilience.bulkhead.active", "resilience.bulkhead.limit", "calls"),
    Rule("", "system.memory.utilization", "", "1"),
    Rule("", "jvm.memory.used", "jvm.memory.limit", "By"),
)  # fmt: skip


@dataclass(frozen=True)
class Resource:
    """Something of a service with a limit: the series of its use and, unless its use is a share,
    of its limit."""

    service: str
    kind: str
    subject: str
    unit: str
    used: tuple[UUID, ...]
    limit: tuple[UUID, ...]


@dataclass(frozen=True)
class Level:
    """How much is used in the step that begins at `at` (its highest), and of how much."""

    at: datetime
    used: float
    limit: float

    @property
    def share(self) -> float:
        return self.used / self.limit


def resources_of(*, service: str = "", seen_since: date) -> list[Resource]:
    """What a service (each, where none is named) can run out of, by name."""
    return _found(_series(seen_since, [service] if service else []))


def resources_each(*, seen_since: date) -> Iterator[list[Resource]]:
    """What services can run out of, as many services at a time as `resources_of` can look at, so
    that none is left out for those before it."""
    together: list[str] = []
    held = 0
    counts = _series(seen_since).values("service").annotate(series=Count("id")).order_by("service")
    for service, series in counts.values_list("service", "series"):
        if together and held + series > MOST:
            yield _found(_series(seen_since, together))
            together, held = [], 0
        together.append(service)
        held += series
    if together:
        yield _found(_series(seen_since, together))


def _series(seen_since: date, services: Collection[str] = ()) -> QuerySet[MetricSeries]:
    names = {name for rule in _RULES for name in (rule.used, rule.limit) if name}
    rows = MetricSeries.objects.filter(name__in=names, last_seen__gte=seen_since, overflow=False)
    return rows.filter(service__in=services) if services else rows


def _found(rows: QuerySet[MetricSeries]) -> list[Resource]:
    series: dict[str, dict[tuple[str, str], list[UUID]]] = defaultdict(lambda: defaultdict(list))
    for each in rows.order_by("service", "name", "id")[: 4 * MOST]:
        if _is_use(each.attributes):
            series[each.name][each.service, _subject(each.attributes)].append(each.id)
    found: dict[tuple[str, str, str], Resource] = {}
    for rule in _RULES:
        for (owner, subject), used in series[rule.used].items():
            limit = series[rule.limit][owner, subject] if rule.limit else []
            if rule.limit and not limit:
                continue
            key = (owner, rule.kind or rule.used, subject or rule.used)
            resource = Resource(owner, rule.kind, key[2], rule.unit, tuple(used), tuple(limit))
            found.setdefault(key, resource)
    return [found[key] for key in sorted(found)][:MOST]


def resource_levels(
    resources: Sequence[Resource], within: TimeRange, step: timedelta
) -> list[list[Level]]:
    """The levels of each resource, oldest first; steps without a figure are left out."""
    ids = [each for resource in resources for each in (*resource.used, *resource.limit)]
    figures = _highest(ids, within, step)
    return [list(_levels(each, figures)) for each in resources]


def saturation_series(
    within: TimeRange, step: timedelta, *, service: str = ""
) -> dict[datetime, tuple[float, int]]:
    """The share of the fullest resource in each step, and of how many resources it is."""
    resources = resources_of(service=service, seen_since=within.since.date())
    found: dict[datetime, tuple[float, int]] = {}
    for levels in resource_levels(resources, within, step):
        for level in levels:
            share, count = found.get(level.at, (0.0, 0))
            found[level.at] = (max(share, level.share), count + 1)
    return found


_Figures = dict[UUID, dict[datetime, float]]


def _highest(ids: Sequence[UUID], within: TimeRange, step: timedelta) -> _Figures:
    figures: _Figures = defaultdict(dict)
    if not ids:
        return figures
    table, column = (
        ("analytics_metricrolluphour", "hour")
        if step >= HOUR
        else ("analytics_metricrollup", "minute")
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT series_id, date_bin(%s::interval, {column}, 'epoch'::timestamptz), max(maximum) "
            f"FROM {table} WHERE series_id = ANY(%s) AND {column} >= %s AND {column} < %s "
            "AND maximum IS NOT NULL GROUP BY 1, 2 ORDER BY 2",
            [str(step), list(ids), within.since, within.until],
        )
        for series, at, value in cursor.fetchall():
            figures[series][at] = value
    return figures


def _levels(resource: Resource, figures: _Figures) -> Iterable[Level]:
    used = _added(resource.used, figures)
    limits = _added(resource.limit, figures)
    # A limit is sent less often than it holds: the first one known holds before it, too.
    limit = next(iter(limits.values()), None) if resource.limit else 1.0
    for at, value in sorted(used.items()):
        limit = limits.get(at, limit)
        if limit is not None and limit > 0:
            yield Level(at, value, limit)


def _added(ids: Iterable[UUID], figures: _Figures) -> dict[datetime, float]:
    added: dict[datetime, float] = defaultdict(float)
    for each in ids:
        for at, value in figures.get(each, {}).items():
            added[at] += value
    return added


def _is_use(attributes: dict[str, Any]) -> bool:
    """False for the idle and free part of something."""
    states = [str(attributes[key]) for key in _STATES if key in attributes]
    return all(state in _USED for state in states)


def _subject(attributes: dict[str, Any]) -> str:
    values = [str(attributes[key]) for key in sorted(attributes) if key not in _STATES]
    return " ".join(values)[:200]
