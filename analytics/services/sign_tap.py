"""Signs in what is being received: `resilience.*` events and gauges, counted as they are stored.

It runs inside the transaction that stores the telemetry, so that an item sent twice counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from analytics.domain.foresight import signs
from analytics.services.signs import SignKey, signs_add
from resilience_site.config import config
from resilience_site.core import taps
from resilience_site.core.journal import Entry
from resilience_site.core.taps import EventSeen, PointSeen

_PREFIX = "resilience."
_MINUTE_NS = 60_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What was told so late foretells nothing any more, and would never be read.
_LATEST = timedelta(hours=1)
_NAME = "resilience.bulkhead.name"


def register() -> None:
    """Listen to what is received from now on."""
    taps.register(taps.Tap(_PREFIX, take_events, take_points, _needs_nothing))


def take_events(events: Sequence[EventSeen], received_at: datetime) -> list[Entry]:
    """Count what is a sign of something."""
    if _on():
        counts: Counter[SignKey] = Counter()
        for event in events:
            kind = signs.of_event(event.name, event.attributes)
            if kind is not None:
                _count(counts, event.service, event.at_ns, kind, received_at)
        signs_add(counts)
    return []


def take_points(points: Sequence[PointSeen], received_at: datetime) -> list[Entry]:
    """Count gauges that stand high; a bulkhead's use is held against its limit, told with it."""
    if _on():
        limits = {
            _bulkhead(point): point.value
            for point in points
            if point.name == "resilience.bulkhead.limit"
        }
        counts: Counter[SignKey] = Counter()
        for point in points:
            kind = signs.of_gauges(point.name, point.value, limits.get(_bulkhead(point)))
            if kind is not None:
                _count(counts, point.service, point.at_ns, kind, received_at)
        signs_add(counts)
    return []


def _bulkhead(point: PointSeen) -> tuple[str, str, str]:
    # Attributes may hold anything, lists too.
    return point.service, point.instance, str(point.attributes.get(_NAME))


def _on() -> bool:
    return config.predictive_failure_detection and config.error_analytics_enabled


def _count(
    counts: Counter[SignKey], service: str, at_ns: int, kind: str, received_at: datetime
) -> None:
    minute = _EPOCH + timedelta(minutes=at_ns // _MINUTE_NS)
    if received_at - minute < _LATEST:
        counts[(signs.storable(service), minute, kind)] += 1


def _needs_nothing(times: Sequence[int], received_at: datetime) -> None:
    return None
