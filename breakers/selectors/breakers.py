"""Reads of breakers over all their instances: the list, and one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson
from django.db import connection

from breakers.choices import BreakerState
from breakers.domain.aggregate import counted, worst
from breakers.domain.keys import breaker_key
from breakers.models import Breaker, ControlDocument, DomainMember
from breakers.selectors.breaker_view import (
    BIN_SECONDS,
    BINS,
    OPENINGS_WINDOW_SECONDS,
    WINDOW_SECONDS,
    BreakerView,
    Counts,
    InstanceView,
    OverrideView,
)
from breakers.selectors.instances import GONE, is_silent
from breakers.selectors.overrides import overrides_in_force, overrides_of
from resilience_site.core.problems import Invalid

SILENT_STATE: Final = "silent"
STATES: Final = (*BreakerState.values, SILENT_STATE)
# A breaker of which nobody heard for a day is not listed; its page remains.
LISTED: Final = timedelta(days=1)
_MOST_WORDS: Final = 12

# Times come as seconds: thousands of them as texts would take longer to read than all the rest.
_ROWS = """
SELECT b.service, b.name, b.key, b.instance, b.state, {since}, b.reason, b.failure_rate,
    b.window_calls, {next_probe_at}, b.policy::text, {policy_at}, {last_seen}, i.applied_version,
    {applied_at}, coalesce(i.version, ''), {started_at}, coalesce(i.restarts, 0), {restarted_at}
FROM breakers_breaker b
LEFT JOIN breakers_instance i ON i.service = b.service AND i.instance = b.instance
WHERE {{wanted}} ORDER BY b.service, b.name, b.instance
""".format(
    **{
        name: f"extract(epoch FROM {column})::float8"
        for name, column in {
            "since": "b.since",
            "next_probe_at": "b.next_probe_at",
            "policy_at": "b.policy_at",
            "last_seen": "greatest(b.last_seen, i.last_seen)",
            "applied_at": "i.applied_at",
            "started_at": "i.started_at",
            "restarted_at": "i.restarted_at",
        }.items()
    }
)
_FIGURES = """
SELECT service, name, ((extract(epoch FROM at)::float8 - %s) / %s)::int AS bin, sum(calls)::bigint,
    sum(failures)::bigint, sum(slow)::bigint, sum(rejected)::bigint
FROM breakers_callrollup WHERE {wanted} GROUP BY service, name, bin
"""

_OPENINGS = """
SELECT service, name, count(*) FROM breakers_breakertransition
WHERE at > %s AND at <= %s AND to_state = 'open' AND from_state <> 'open' {wanted}
GROUP BY service, name
"""

Place = tuple[str, str]


class _Row(NamedTuple):
    """A breaker in one instance, as the store has it; times in seconds since the epoch."""

    service: str
    name: str
    key: str
    instance: str
    state: str
    since: float
    reason: str
    failure_rate: float | None
    window_calls: int | None
    next_probe_at: float | None
    policy: str | None
    policy_at: float | None
    last_seen: float
    applied_version: int | None
    applied_at: float | None
    version: str
    started_at: float | None
    restarts: int
    restarted_at: float | None


class _Beside(NamedTuple):
    """What is read beside the rows."""

    figures: Mapping[Place, Sequence[Counts | None]]
    overrides: Sequence[OverrideView]
    versions: Mapping[str, int]
    domains: Mapping[Place, tuple[str, ...]]
    openings: Mapping[Place, int]


def breaker_list(
    now: datetime, *, service: str = "", state: str = "", q: str = "", domain: str = ""
) -> list[BreakerView]:
    """The breakers that were heard of within a day, the worst first, then the busiest.

    `state` may also be `silent`. Raises `Invalid` for a state that does not exist.
    """
    if state and state not in STATES:
        raise Invalid.field(
            "query.state", f"{state[:80]!r} is no state; allowed are {', '.join(STATES)}."
        )
    wanted: list[tuple[str, Any]] = [
        ("greatest(b.last_seen, i.last_seen) > %s", now - LISTED),
    ]
    if service:
        wanted.append(("b.service = %s", _clean(service)))
    if domain:
        wanted.append(
            (
                "(b.service, b.name) IN "
                "(SELECT d.service, d.name FROM breakers_domainmember d WHERE d.domain = %s)",
                _clean(domain),
            )
        )
    for word in _clean(q).lower().split()[:_MOST_WORDS]:
        wanted.append(("position(%s IN lower(b.service || ' ' || b.name)) > 0", word))
    found = [view for view in _views(wanted, now) if not state or _is(view, state)]
    return sorted(found, key=lambda view: view.trouble)


def breaker_get(key: str, now: datetime | None = None) -> BreakerView:
    """One breaker by its key. Raises `Breaker.DoesNotExist`."""
    found = _views([("b.key = %s", key)], now or datetime.now(UTC))
    if not found:
        raise Breaker.DoesNotExist(f"no breaker has the key {key!r}")
    return found[0]


def breaker_find(service: str, name: str, now: datetime | None = None) -> BreakerView:
    """One breaker by its service and name. Raises `Breaker.DoesNotExist`."""
    return breaker_get(breaker_key(service, name), now)


def breaker_place(key: str) -> Place:
    """The service and the name that a key stands for. Raises `Breaker.DoesNotExist`."""
    found = Breaker.objects.filter(key=key).values_list("service", "name").first()
    if found is None:
        raise Breaker.DoesNotExist(f"no breaker has the key {key!r}")
    return found


def service_names() -> list[str]:
    """The services that have breakers, for the filter's choices."""
    names = Breaker.objects.order_by("service").values_list("service", flat=True)
    return list(names.distinct())


def _is(view: BreakerView, state: str) -> bool:
    if state == SILENT_STATE:
        return view.silent
    return not view.silent and state in dict(view.counts)


def _clean(text: str) -> str:
    return text.replace("\0", "")


def _views(wanted: Sequence[tuple[str, Any]], now: datetime) -> list[BreakerView]:
    with connection.cursor() as cursor:
        cursor.execute(
            _ROWS.format(wanted=" AND ".join(text for text, _ in wanted)),
            [value for _, value in wanted],
        )
        rows = [_Row._make(row) for row in cursor.fetchall()]
    if not rows:
        return []
    places: dict[Place, list[_Row]] = {}
    for row in rows:
        places.setdefault((row.service, row.name), []).append(row)
    only = next(iter(places)) if len(places) == 1 else None
    services = {service for service, _ in places}
    beside = _Beside(
        _figures(now, only),
        list(overrides_in_force(now)),
        dict(
            ControlDocument.objects.filter(service__in=services).values_list("service", "version")
        ),
        _domains(services),
        _openings(now, only),
    )
    return [_view(place, found, beside, now) for place, found in places.items()]


def _domains(services: Iterable[str]) -> dict[Place, tuple[str, ...]]:
    found: dict[Place, tuple[str, ...]] = {}
    members = DomainMember.objects.filter(service__in=services).order_by("domain")
    for service, name, domain in members.values_list("service", "name", "domain"):
        found[service, name] = (*found.get((service, name), ()), domain)
    return found


def _figures(now: datetime, only: Place | None) -> dict[Place, list[Counts | None]]:
    """Two minutes of counts of all breakers or of one, oldest first."""
    first = bins_from(now)
    wanted = "at >= %s AND at <= %s"
    values: list[Any] = [first.timestamp(), BIN_SECONDS, first, now]
    if only is not None:
        wanted, values = f"{wanted} AND service = %s AND name = %s", [*values, *only]
    found: dict[Place, list[Counts | None]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_FIGURES.format(wanted=wanted), values)
        for service, name, place, *counts in cursor.fetchall():
            series = found.get((service, name))
            if series is None:
                series = found[service, name] = [None] * BINS
            series[place] = Counts(*counts)
    return found


def _openings(now: datetime, only: Place | None) -> dict[Place, int]:
    """How often breakers opened of late, all of them or one."""
    values: list[datetime | str] = [now - timedelta(seconds=OPENINGS_WINDOW_SECONDS), now]
    wanted = ""
    if only is not None:
        wanted, values = "AND service = %s AND name = %s", [*values, *only]
    with connection.cursor() as cursor:
        cursor.execute(_OPENINGS.format(wanted=wanted), values)
        return {(service, name): count for service, name, count in cursor.fetchall()}


def bins_from(now: datetime) -> datetime:
    """When the oldest bin of two minutes begins; the newest one is still filling."""
    seconds = now.timestamp() // BIN_SECONDS * BIN_SECONDS - (BINS - 1) * BIN_SECONDS
    return datetime.fromtimestamp(seconds, UTC)


def _view(place: Place, rows: list[_Row], beside: _Beside, now: datetime) -> BreakerView:
    newest = max(row.last_seen for row in rows)
    rows = [row for row in rows if row.last_seen > newest - GONE.total_seconds()]
    instances = tuple(_instance(row, now) for row in rows)
    live = [each for each in instances if not each.silent]
    speaking = live or instances
    state = worst(each.state for each in speaking)
    in_state = [each for each in speaking if each.state == state]
    first = min(in_state, key=lambda each: each.since)
    probes = [each.next_probe_at for each in in_state if each.next_probe_at is not None]
    told = max(rows, key=lambda row: (row.policy_at or 0.0, row.last_seen))
    series = beside.figures.get(place, [None] * BINS)
    window = [each for each in series[-WINDOW_SECONDS // BIN_SECONDS :] if each is not None]
    domains = beside.domains.get(place, ())
    return BreakerView(
        service=place[0],
        name=place[1],
        key=rows[0].key,
        state=state,
        silent=not live,
        since=first.since,
        reason=first.reason,
        next_probe_at=min(probes, default=None),
        last_seen=_moment(newest),
        instances=instances,
        counts=counted(each.state for each in speaking),
        overrides=overrides_of(beside.overrides, place, domains),
        series=tuple(series),
        policy=policy_of(told.policy),
        version=beside.versions.get(place[0]),
        domains=domains,
        calls=sum(each.calls for each in window),
        failures=sum(each.failures for each in window),
        slow=sum(each.slow for each in window),
        rejected=sum(each.rejected for each in window),
        openings=beside.openings.get(place, 0),
    )


def _instance(row: _Row, now: datetime) -> InstanceView:
    last_seen = _moment(row.last_seen)
    return InstanceView(
        instance=row.instance,
        state=row.state,
        since=_moment(row.since),
        last_seen=last_seen,
        silent=is_silent(last_seen, now),
        reason=row.reason,
        failure_rate=row.failure_rate,
        window_calls=row.window_calls,
        next_probe_at=_optional(row.next_probe_at),
        policy=policy_of(row.policy),
        applied_version=row.applied_version,
        applied_at=_optional(row.applied_at),
        version=row.version,
        started_at=_optional(row.started_at),
        restarts=row.restarts,
        restarted_at=_optional(row.restarted_at),
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _optional(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def policy_of(text: str | None) -> Mapping[str, Any] | None:
    """A policy as stored; instances of a breaker mostly have the same one."""
    return None if text is None else _parsed(text)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Mapping[str, Any] | None:
    found = orjson.loads(text)
    return found if isinstance(found, dict) else None
