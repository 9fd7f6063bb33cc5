"""Storing metric points: every one added to the figures of its series and minute, once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import orjson

from analytics.choices import NameKind, Signal
from analytics.domain.distributions import normal
from analytics.domain.streams import Growth, Total, growth
from analytics.domain.telemetry import Decoded, MetricPoint, Rejection
from analytics.models import partitions as tables
from analytics.selectors.name_limits import most_of
from analytics.services.arrivals import Arrival
from analytics.services.folds import Folds
from analytics.services.ingest import (
    StoreResult,
    TimeWindow,
    ensure_range,
    finish,
    memory,
    run_storing,
)
from analytics.services.metric_figures import (
    CUMULATIVE,
    DELTA,
    MetricFigures,
    PointFigures,
    finite,
)
from analytics.services.metric_series import (
    OVERFLOW_KIND,
    Admitted,
    Series,
    series_admit,
    series_of,
)
from analytics.services.metric_series import memory as series_memory
from analytics.services.metric_streams import (
    StreamKey,
    lock_services,
    streams_load,
    streams_save,
    writer_of,
    writers_known,
)
from analytics.services.receipts import Digest, batch_is_new
from resilience_site.core import partitions, taps
from resilience_site.core.taps import PointSeen

_MAX_NS = 2**63 - 1
_MAX_COUNT = 2**63 - 1


def store_metrics(decoded: Decoded, *, received_at: datetime) -> StoreResult:
    """Add metric points to the figures of their series and minute.

    Points keep no identity of their own, so a batch that a client sends again is told by the
    digest of all its points. Series beyond a service's limit are added up in overflow series,
    which the result mentions as a rejection of 0 points.
    Raises `django.db.OperationalError` and its kind when the store is down: nothing was stored.
    """
    received_ns = int(received_at.timestamp() * 1e9)
    window = TimeWindow(received_at)
    digest = _digest(decoded.items)
    points = [
        _usable(point, received_ns)
        for point in decoded.items
        if window.accepts(point.time_ns or received_ns)
    ]
    # What a total grew by depends on the order.
    points.sort(key=_time)
    points, folded = memory.services.fold(points, received_at)
    series = [series_of(point) for point in points]
    rejections = [*decoded.rejections, *window.rejections(), *folded]
    tapped = [point.time_ns for point in points if taps.wanted(point.name)]
    heard: list[PointSeen] = []

    def needs() -> None:
        ensure_range(tables.METRIC_ROLLUPS, [point.time_ns for point in points])
        partitions.ensure(tables.INGEST_ROLLUPS, received_at, received_at)
        taps.prepare(tapped, received_at)

    def store(_direct: bool) -> StoreResult:
        lock_services({point.resource.service for point in points})
        fresh = batch_is_new(digest, received_at)
        figures, folds, warnings = MetricFigures(), Folds(), []
        heard.clear()
        if fresh:
            admitted = series_admit(series, received_at)
            streams = _Streams(points, series, admitted, folds, received_at)
            heard.extend(_add_points(points, series, admitted, figures, streams))
            streams.save(received_at)
            warnings = [*_warnings(admitted), *folds.warnings()]
        stored = len(points) if fresh else 0
        result = StoreResult(stored, len(points) - stored, [*rejections, *warnings])
        finish(
            Signal.METRICS, result, [], [point.resource for point in points], Arrival(received_at),
            before_journal=lambda: figures.write(received_at), folds=folds,
            others=lambda: taps.deliver_points(heard, received_at) if heard else [],
        )  # fmt: skip
        return result

    return run_storing(store, needs)


def _usable(point: MetricPoint, received_ns: int) -> MetricPoint:
    if not point.time_ns:
        point = point._replace(time_ns=received_ns)
    if point.temporality not in (DELTA, CUMULATIVE):
        point = point._replace(temporality=0)
    return point


def _time(point: MetricPoint) -> int:
    return point.time_ns


def _digest(points: Sequence[MetricPoint]) -> str:
    digest = Digest("metrics")
    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS
    writers = _Writers()
    for point in points:
        digest.add(
            f"{point.resource.service}\0{writers.of(point)}\0{point.scope}\0{point.name}\0{point.unit}"
            f"\0{point.kind}\0{point.temporality}\0{point.start_ns}\0{point.time_ns}"
            f"\0{point.value}\0{point.count}\0{point.sum}",
            orjson.dumps(point.attributes, option=options),
            orjson.dumps(point.distribution, option=options) if point.distribution else b"",
        )
    return digest.hex()


def _warnings(admitted: Admitted) -> list[Rejection]:
    most = most_of(NameKind.SERIES)
    return [
        Rejection(
            0,
            f"{count} series of service {service} are beyond its limit of {most} metric "
            "series and were added up under otel.metric.overflow=true; send attributes with "
            "fewer distinct values",
        )
        for service, count in sorted(admitted.overflowing.items())
    ]


def _add_points(
    points: Sequence[MetricPoint],
    series: Sequence[Series],
    admitted: Admitted,
    figures: MetricFigures,
    streams: _Streams,
) -> list[PointSeen]:
    """Add the points to their figures; those that somebody listens to, with what they grew by."""
    heard = []
    for point, own in zip(points, series, strict=True):
        target = admitted.target[own.id]
        to = figures.of(point.time_ns, target.id)
        to.points += 1
        grown = None
        if target.kind != OVERFLOW_KIND:
            grown = _add_point(point, target, to, streams)
        if taps.wanted(point.name):
            heard.append(_seen(point, grown))
    return heard


def _seen(point: MetricPoint, grown: Growth | None) -> PointSeen:
    counted = point.kind not in ("gauge", "sum")
    return PointSeen(
        point.resource.service,
        point.resource.instance,
        point.resource.version,
        point.name,
        point.time_ns,
        point.start_ns,
        point.attributes,
        finite(point.value),
        None if grown is None else float(grown.observations if counted else grown.value),
        grown.value if grown is not None and counted else None,
    )


def _add_point(
    point: MetricPoint, target: Series, to: PointFigures, streams: _Streams
) -> Growth | None:
    """Add a point to the figures of its series; what a total grew by, where that can be said."""
    if point.kind in ("gauge", "sum"):
        value = finite(point.value)
        if value is None:
            return None
        if point.kind == "sum" and point.temporality == DELTA:
            to.add_increase(value)
            return Growth(value, 0, None, reset=False)
        grown = None
        if point.kind == "sum" and point.temporality == CUMULATIVE and point.monotonic:
            total = Total(_start(point), point.time_ns, value, 0, None)
            grown = streams.advance(point, target, total)
            if grown is not None:
                to.add_increase(grown.value, grown.reset)
        else:
            to.add_level(value)
        if not target.overflow:
            to.set_last(value, point.time_ns)
        return grown
    total = Total(
        _start(point),
        point.time_ns,
        finite(point.sum) or 0.0,
        min(point.count, _MAX_COUNT),
        normal(point.distribution),
    )
    if _is_running_total(point):
        grown = streams.advance(point, target, total)
    else:
        grown = Growth(total.value, total.observations, total.distribution, reset=False)
        to.add_extremes(finite(point.minimum), finite(point.maximum))
    if grown is not None:
        to.add_observations(grown)
    return grown


def _start(point: MetricPoint) -> int:
    return min(point.start_ns, _MAX_NS)


def _is_running_total(point: MetricPoint) -> bool:
    """Whether a point tells what came together since its start. Summaries always do."""
    if point.kind == "sum":
        return point.temporality == CUMULATIVE and point.monotonic
    return point.kind == "summary" or point.temporality == CUMULATIVE


class _Writers:
    """Who sent each point of a batch; one resource stands behind thousands of points."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    def of(self, point: MetricPoint) -> str:
        key = id(point.resource)
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = writer_of(point.resource)
        return name


class _Streams:
    """The running totals of one batch, each compared with the one before it.

    Series without room have none: who wrote what of them is not kept apart. Nor have those that
    came when the service had as many totals as are kept. Both are noted in `folds`.
    """

    def __init__(
        self,
        points: Sequence[MetricPoint],
        series: Sequence[Series],
        admitted: Admitted,
        folds: Folds,
        at: datetime,
    ) -> None:
        self._new, self._folds = admitted.new, folds
        writers: dict[str, set[str]] = {}
        self._writers = _Writers()
        services: dict[StreamKey, str] = {}
        for point, own in zip(points, series, strict=True):
            if admitted.target[own.id].overflow:
                folds.add(NameKind.SERIES, own.service, f"{own.name} {own.attributes}")
            elif _is_running_total(point):
                writer = self._writers.of(point)
                services[StreamKey(own.id, writer)] = own.service
                if own.id in self._new:
                    writers.setdefault(own.service, set()).add(writer)
        self._last = streams_load(services)
        self._known = writers_known(writers)
        new: dict[str, set[StreamKey]] = {}
        for key in services.keys() - self._last.keys():
            new.setdefault(services[key], set()).add(key)
        self._refused = series_memory.streams.refused(new, at)
        self._moved: dict[StreamKey, tuple[str, Total]] = {}

    def advance(self, point: MetricPoint, target: Series, now: Total) -> Growth | None:
        """What came to a total with this point, if that can be said."""
        if target.overflow:
            return None
        key = StreamKey(target.id, self._writers.of(point))
        if key in self._refused:
            self._folds.add(NameKind.STREAM, target.service, f"{target.name} of {key.writer}")
            return None
        before = self._last.get(key)
        first_ever = key.series_id in self._new and (target.service, key.writer) in self._known
        grown = growth(before, now, first_ever=first_ever)
        if before is None or now.time_ns > before.time_ns:
            self._last[key] = now
            self._moved[key] = (target.service, now)
        return grown

    def save(self, at: datetime) -> None:
        streams_save(self._moved, at)
