"""Which series a metric point belongs to, and the bounds on how many a service may have."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from analytics.choices import NameKind
from analytics.domain.telemetry import MetricPoint
from analytics.selectors.name_limits import most_of
from analytics.services import copying
from analytics.services.catalogue import Catalogue
from analytics.services.grouping import Recent
from analytics.services.metric_streams import StreamRoom

MAX_OVERFLOW_SERIES = 200
OVERFLOW_ATTRIBUTES = {"otel.metric.overflow": True}
# Where even the metrics' names are too many; their points are only counted.
OVERFLOW_NAME = "(other metrics)"
OVERFLOW_KIND = "overflow"

_COLUMNS = (
    "scope", "name", "unit", "kind", "temporality", "monotonic", "attributes", "overflow",
)  # fmt: skip


class Series(NamedTuple):
    """A series, its attributes as JSON with sorted keys. `id` is 32 hex digits."""

    id: str
    service: str
    scope: str
    name: str
    unit: str
    kind: str
    temporality: int
    monotonic: bool
    attributes: str
    overflow: bool = False

    def row(self) -> tuple[Any, ...]:
        """Its values in the order of the table's own columns."""
        return self[2:]


class SeriesMemory(threading.local):
    """What a storing thread remembers between requests; losing it costs time, never truth."""

    def __init__(self) -> None:
        self.recent: Recent[tuple[Any, ...], Series] = Recent(8_192)
        self.catalogue = Catalogue(
            "analytics_metricseries", _COLUMNS, partial(most_of, NameKind.SERIES), "NOT overflow"
        )
        self.overflow = Catalogue(
            "analytics_metricseries", _COLUMNS, MAX_OVERFLOW_SERIES, "overflow"
        )
        self.streams = StreamRoom()


memory = SeriesMemory()


def series_of(point: MetricPoint) -> Series:
    """The series of a point, whether there is room for it or not."""
    attributes = copying.jsonb(point.attributes, ordered=True)
    parts = (
        point.resource.service, point.scope, point.name, point.unit, point.kind,
        point.temporality, point.monotonic, attributes,
    )  # fmt: skip
    return memory.recent.get(parts, lambda: _series(*parts))


def _series(
    service: str,
    scope: str,
    name: str,
    unit: str,
    kind: str,
    temporality: int,
    monotonic: bool,
    attributes: str,
    overflow: bool = False,
) -> Series:
    scope, name, unit = (text.replace("\0", "") for text in (scope, name, unit))
    parts = (service, scope, name, unit, kind, temporality, monotonic, attributes)
    data = "\0".join(map(str, parts)).encode("utf-8", "replace")
    return Series(blake2b(data, digest_size=16).hexdigest(), *parts, overflow)


def _overflow_of(series: Series) -> Series:
    attributes = orjson.dumps(OVERFLOW_ATTRIBUTES).decode()
    return _series(*series[1:8], attributes, True)


def _last_resort(service: str) -> Series:
    attributes = orjson.dumps(OVERFLOW_ATTRIBUTES).decode()
    return _series(service, "", OVERFLOW_NAME, "", OVERFLOW_KIND, 0, False, attributes, True)


class Admitted(NamedTuple):
    """Where the points of each series go: itself, or an overflow series of its service.

    `new` holds the ids of series that this request brought; `overflowing` how many series of
    each service had no room.
    """

    target: dict[str, Series]
    new: set[str]
    overflowing: dict[str, int]


def series_admit(series: Iterable[Series], at: datetime) -> Admitted:
    """Make entries for new series as far as there is room, inside the caller's transaction."""
    per_service: dict[str, dict[str, Series]] = {}
    for one in series:
        per_service.setdefault(one.service, {})[one.id] = one
    result = Admitted({}, set(), {})
    for service in sorted(per_service):
        _admit_service(service, per_service[service], result, at)
    return result


def _admit_service(
    service: str, wanted: Mapping[str, Series], result: Admitted, at: datetime
) -> None:
    rows = {key: one.row() for key, one in wanted.items()}
    admitted = memory.catalogue.admit(service, rows, at, made=result.new)
    result.target.update((key, wanted[key]) for key in admitted)
    refused = {key: _overflow_of(one) for key, one in wanted.items() if key not in admitted}
    if not refused:
        return
    result.overflowing[service] = len(refused)
    overflow = {one.id: one for one in refused.values()}
    roomy = memory.overflow.admit(service, {k: one.row() for k, one in overflow.items()}, at)
    last = _last_resort(service)
    if len(roomy) < len(overflow):
        memory.overflow.add(service, {last.id: last.row()}, at)
    result.target.update((key, one if one.id in roomy else last) for key, one in refused.items())
