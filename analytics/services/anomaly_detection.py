"""Watching the figures of services, minute by minute, for what stands out.

The journal's topic anomalies (key and service: the service) tells of each spell, for alerts and for
healing: `anomaly_started` and `anomaly_ended` (state: the metric) carry `id, service, metric, unit,
at, value, expected, lower, upper, score, started_at, ended_at, window_seconds`. Times are RFC 3339;
`ended_at` is null while it lasts. What was found in minutes that were read late is kept, but told
only while it is news.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Final
from uuid import UUID, uuid5

from django.db import connection, transaction

from analytics.domain.anomalies.storing import VERSION, Unreadable, packed, unpacked
from analytics.domain.anomalies.watching import MINUTE, Spell, Watch
from analytics.models import Anomaly, DetectorState
from analytics.selectors.minute_figures import MinuteSeries, minute_figures, silent
from analytics.selectors.series import active_services, known_longest
from resilience_site.config import config
from resilience_site.core import journal
from resilience_site.core.choices import Topic
from resilience_site.core.journal import Entry
from resilience_site.core.timerange import TimeRange

SPACE: Final = UUID("0f4a9f1e-52b7-4c31-9a86-8d2b6e7c1a55")
# What belongs to a minute arrives within the next two, mostly.
SETTLE: Final = timedelta(minutes=2)
# A series that is new here, or was left alone for long, is learnt from a day of its history.
HISTORY: Final = timedelta(days=1)
# A service without calls or errors for so long is watched no longer.
IDLE: Final = timedelta(days=1)
MOST_SERVICES: Final = 100
# Older finds are history, not news.
_NEWS: Final = timedelta(minutes=30)
# Services that are read together: many if it is for a few minutes, one for a day.
_TOGETHER: Final = 20
_FEW: Final = timedelta(minutes=15)
_TURN_SECONDS: Final = 20.0
_TOLD: Final = (
    "service", "metric", "unit", "value", "expected", "lower", "upper", "score", "window_seconds",
)  # fmt: skip
_LOCK: Final = 0x616E6F6D616C79
_log = logging.getLogger(__name__)


@dataclass
class Watched:
    """What one turn did."""

    services: int = 0
    minutes: int = 0
    started: int = 0
    ended: int = 0
    left_out: int = 0
    begun_anew: int = 0
    late: list[str] = field(default_factory=list)


def anomalies_detect(
    *, now: datetime, turn_seconds: float = _TURN_SECONDS, clock: Callable[[], float] = monotonic
) -> Watched:
    """Look at all settled minutes that were not looked at, service by service, for one turn.

    Those that are furthest behind wait for those that are up to date. Nothing is looked at twice.
    """
    done = Watched()
    if not config.error_analytics_enabled:
        return done
    until = (now - SETTLE).replace(second=0, microsecond=0)
    heard = active_services(TimeRange(until - IDLE, until))
    watched = known_longest(heard, MOST_SERVICES) if len(heard) > MOST_SERVICES else heard
    done.left_out = len(heard) - len(watched)
    started = clock()
    for since, services in _batches(watched, until):
        if clock() - started > turn_seconds:
            done.late += services
            continue
        _batch(services, TimeRange(since, until), now, done)
    _close_left(watched, now, done)
    if done.left_out or done.late:
        _log.info(
            "%d services are not watched for anomalies, %d wait for a later turn.",
            done.left_out, len(done.late),
        )  # fmt: skip
    return done


def _batches(services: list[str], until: datetime) -> list[tuple[datetime, list[str]]]:
    """Services by the minute from which they are to be read, those nearest to now first."""
    through: dict[str, datetime] = {}
    rows = DetectorState.objects.filter(service__in=services, version=VERSION)
    for service, at in rows.values_list("service", "through"):
        through[service] = max(at, through.get(service, at))
    by_since: dict[datetime, list[str]] = {}
    for service in services:
        known = through.get(service)
        since = until - HISTORY if known is None else max(known + _minute(1), until - HISTORY)
        if since < until:
            by_since.setdefault(since, []).append(service)
    found = []
    for since, names in sorted(by_since.items(), reverse=True):
        together = _TOGETHER if until - since <= _FEW else 1
        found += [(since, names[i : i + together]) for i in range(0, len(names), together)]
    return found


@transaction.atomic
def _batch(services: list[str], within: TimeRange, now: datetime, done: Watched) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return
    # Another worker may have been here since the batches were made.
    if DetectorState.objects.filter(
        service__in=services, version=VERSION, through__gte=within.since
    ).exists():
        return
    states = {
        (state.service, state.metric): state
        for state in DetectorState.objects.filter(service__in=services)
    }
    changed: list[Anomaly] = []
    entries: list[Entry] = []
    kept = []
    alive: set[UUID] = set()
    for series in _series(services, within):
        state = states.get((series.service, series.metric))
        if state is None and series.first is None:
            continue
        watch = _watch(state, done)
        for spell in _spells(watch, series, since=series.first if state is None else None):
            anomaly = _anomaly(spell, series)
            changed.append(anomaly)
            entries += _told(anomaly, now, done)
        kept.append(_state(watch, series, within.until))
        if watch.spell and not watch.spell.ended:
            alive.add(_id(series, watch.spell.started_at))
    _write(kept, changed)
    entries += _forgotten_end(services, alive, within, done)
    journal.append(entries)
    done.services += len(services)
    done.minutes += int(within.length.total_seconds()) // MINUTE * len(services)


def _series(services: list[str], within: TimeRange) -> list[MinuteSeries]:
    """All series to look at; those that fell silent in the middle of a spell too."""
    found = minute_figures(services, within)
    known = {(series.service, series.metric) for series in found}
    open_ones = Anomaly.objects.filter(service__in=services, ended_at=None)
    for service, metric, unit in open_ones.values_list("service", "metric", "unit").distinct():
        if (service, metric) not in known:
            found.append(silent(service, metric, unit, within))
    return found


def _watch(state: DetectorState | None, done: Watched) -> Watch:
    if state is None or state.version != VERSION:
        return Watch()
    try:
        return unpacked(bytes(state.state))
    except Unreadable:
        _log.exception("%s %s is learnt anew.", state.service, state.metric)
        done.begun_anew += 1
        return Watch()


def _spells(watch: Watch, series: MinuteSeries, since: int | None) -> Iterable[Spell]:
    """The spells that began, changed or ended in the samples, each as it was last.

    What is new here was not at 0 before it was first heard of: it is looked at from then on.
    """
    seen: dict[int, Spell] = {}
    for sample in series.samples:
        if since is not None and sample.at < since:
            continue
        spell = watch.see(sample, series.kind)
        if spell is not None:
            seen[spell.started_at] = spell
    return seen.values()


def _forgotten_end(
    services: list[str], alive: Collection[UUID], within: TimeRange, done: Watched
) -> list[Entry]:
    """End the spells that no watch knows of: what was known of their series was lost."""
    left = Anomaly.objects.filter(service__in=services, ended_at=None).exclude(id__in=alive)
    return _ended(list(left), within.since, done)


def _ended(left: list[Anomaly], at: datetime, done: Watched) -> list[Entry]:
    """Spells that end at a time, not before their worst minute is over."""
    for anomaly in left:
        anomaly.ended_at = max(anomaly.at + _minute(1), at)
    Anomaly.objects.bulk_update(left, ["ended_at"])
    done.ended += len(left)
    return [_entry("anomaly_ended", anomaly) for anomaly in left]


def _id(series: MinuteSeries, started_at: int) -> UUID:
    return uuid5(SPACE, f"{series.service}\0{series.metric}\0{started_at}")


def _anomaly(spell: Spell, series: MinuteSeries) -> Anomaly:
    return Anomaly(
        id=_id(series, spell.started_at),
        service=series.service,
        metric=series.metric,
        unit=series.unit,
        started_at=_time(spell.started_at),
        ended_at=None if spell.ended_at is None else _time(spell.ended_at),
        at=_time(spell.at),
        value=spell.value,
        expected=spell.expected,
        lower=spell.lower,
        upper=spell.upper,
        score=spell.score,
        window_seconds=MINUTE,
    )


def _told(anomaly: Anomaly, now: datetime, done: Watched) -> list[Entry]:
    entries = []
    if not Anomaly.objects.filter(id=anomaly.id).exists():
        done.started += 1
        if now - anomaly.started_at <= _NEWS:
            entries.append(_entry("anomaly_started", anomaly))
    if anomaly.ended_at is not None:
        done.ended += 1
        if now - anomaly.ended_at <= _NEWS:
            entries.append(_entry("anomaly_ended", anomaly))
    return entries


def _entry(kind: str, anomaly: Anomaly) -> Entry:
    payload: dict[str, Any] = {
        "id": str(anomaly.id),
        "at": anomaly.at.isoformat(),
        "started_at": anomaly.started_at.isoformat(),
        "ended_at": anomaly.ended_at.isoformat() if anomaly.ended_at else None,
    }
    for name in _TOLD:
        payload[name] = getattr(anomaly, name)
    return Entry(Topic.ANOMALIES, kind, anomaly.service, anomaly.metric, anomaly.service, payload)


def _state(watch: Watch, series: MinuteSeries, until: datetime) -> DetectorState:
    return DetectorState(
        service=series.service,
        metric=series.metric,
        version=VERSION,
        through=until - _minute(1),
        state=packed(watch),
        points=watch.detector.points,
    )


def _write(states: list[DetectorState], anomalies: list[Anomaly]) -> None:
    DetectorState.objects.bulk_create(
        states,
        update_conflicts=True,
        unique_fields=["service", "metric"],
        update_fields=["version", "through", "state", "points"],
    )
    Anomaly.objects.bulk_create(
        anomalies,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["ended_at", "at", "value", "expected", "lower", "upper", "score"],
    )


@transaction.atomic
def _close_left(watched: list[str], now: datetime, done: Watched) -> None:
    """End the spells of services that are watched no longer: nothing more will be heard of them."""
    left = list(
        Anomaly.objects.select_for_update(skip_locked=True)
        .filter(ended_at=None, started_at__lt=now - IDLE)
        .exclude(service__in=watched)[:500]
    )
    journal.append(_ended(left, now - IDLE, done))


def anomalies_prune(*, now: datetime) -> int:
    """Forget spells and what was learnt of series that are older than errors are kept."""
    border = now - timedelta(days=config.error_retention_days)
    DetectorState.objects.filter(through__lt=border).delete()
    return Anomaly.objects.filter(started_at__lt=border).exclude(ended_at=None).delete()[0]


def _minute(count: int) -> timedelta:
    return timedelta(minutes=count)


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
