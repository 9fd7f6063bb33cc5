"""Writing what services told: each table by one statement, its rows in the order of their keys,
so that two writers never wait for each other in a circle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from django.db import connection

from breakers.domain.keys import breaker_key
from breakers.services import bounds
from breakers.services.bounds import Bound, admitted

Place = tuple[str, str, str]
"""Service, name and instance of a breaker or bulkhead; for a budget the dependency is the name."""


def _write(
    statement: str, rows: Iterable[Sequence[Any]], *first: Any, bound: Bound | None = None
) -> int:
    """Rows begin with the key that a `bound` is about."""
    ordered = sorted(rows, key=lambda row: tuple(row[:3]))
    if bound is not None:
        size = len(bound.columns)
        kept = admitted(bound, {tuple(row[:size]) for row in ordered})
        ordered = [row for row in ordered if tuple(row[:size]) in kept]
    if not ordered:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(statement, [*first, *map(list, zip(*ordered, strict=True))])
        return int(cursor.rowcount)


_INSTANCES = """
INSERT INTO breakers_instance AS t
    (service, instance, version, first_seen, last_seen, started_at, restarts)
SELECT service, instance, version, %s, %s, started_at, 0
FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[])
    AS seen (service, instance, version, started_at)
ON CONFLICT (service, instance) DO UPDATE SET
    version = COALESCE(NULLIF(excluded.version, ''), t.version),
    last_seen = GREATEST(t.last_seen, excluded.last_seen),
    -- A poll says it exactly; the totals of metrics only about.
    started_at = CASE WHEN t.polled_at IS NULL AND excluded.started_at > t.started_at + interval '2 s'
        THEN excluded.started_at ELSE COALESCE(t.started_at, excluded.started_at) END,
    restarts = t.restarts + CASE WHEN t.polled_at IS NULL
        AND excluded.started_at > t.started_at + interval '2 s' THEN 1 ELSE 0 END,
    restarted_at = CASE WHEN t.polled_at IS NULL
        AND excluded.started_at > t.started_at + interval '2 s'
        THEN excluded.last_seen ELSE t.restarted_at END
"""


def instances_see(
    seen: Mapping[tuple[str, str], tuple[str, datetime | None]], at: datetime
) -> None:
    """Note instances by (service, instance): their version, and when their totals began."""
    rows = [(service, instance, *told) for (service, instance), told in seen.items()]
    _write(_INSTANCES, rows, at, at, bound=bounds.INSTANCES)


class StateSeen(NamedTuple):
    """A breaker's state from `since` on; a gauge alone knows neither reason nor figures."""

    state: str
    since: datetime
    reason: str = ""
    failure_rate: float | None = None
    calls: int | None = None
    next_probe_at: datetime | None = None


_STATES = """
INSERT INTO breakers_breaker AS t (service, name, instance, key, state, since, reason, failure_rate,
    window_calls, next_probe_at, first_seen, last_seen)
SELECT service, name, instance, key, state, since, reason, failure_rate, calls, next_probe_at, %s, %s
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[],
    %s::text[], %s::float8[], %s::int[], %s::timestamptz[])
    AS seen (service, name, instance, key, state, since, reason, failure_rate, calls, next_probe_at)
ON CONFLICT (service, name, instance) DO UPDATE SET
    last_seen = GREATEST(t.last_seen, excluded.last_seen),
    state = CASE WHEN {newer} THEN excluded.state ELSE t.state END,
    since = CASE WHEN {newer} THEN excluded.since ELSE t.since END,
    reason = CASE WHEN {newer} THEN excluded.reason ELSE t.reason END,
    failure_rate = CASE WHEN {newer} THEN excluded.failure_rate ELSE t.failure_rate END,
    window_calls = CASE WHEN {newer} THEN excluded.window_calls ELSE t.window_calls END,
    next_probe_at = CASE WHEN NOT ({newer}) THEN t.next_probe_at
        WHEN excluded.state <> 'open' THEN NULL
        WHEN excluded.next_probe_at IS NOT NULL THEN excluded.next_probe_at
        WHEN jsonb_typeof(t.policy -> 'timeout') = 'number'
        THEN excluded.since + LEAST((t.policy ->> 'timeout')::float8, 2592000) * interval '1 s' END
RETURNING service, name, key, state
"""
_BY_TRANSITION = _STATES.format(newer="excluded.since >= t.since")
_BY_GAUGE = _STATES.format(newer="excluded.since > t.since AND excluded.state <> t.state")


_HELD = """
SELECT FROM breakers_breaker AS t
JOIN unnest(%s::text[], %s::text[], %s::text[]) AS seen (service, name, instance)
    USING (service, name, instance)
ORDER BY service COLLATE "C", name COLLATE "C", instance COLLATE "C" FOR NO KEY UPDATE OF t
"""


def breakers_hold(places: Iterable[Place]) -> None:
    """Lock the rows of all breakers that more than one statement is about to write, in the order
    of their keys: each statement keeps to it, but one after the other they would not."""
    _write(_HELD, set(places))


def transitions_apply(states: Mapping[Place, StateSeen], at: datetime) -> None:
    """Set breakers to the states that their newest transitions led to; older ones change nothing."""
    _write(_BY_TRANSITION, _state_rows(states), at, at, bound=bounds.BREAKERS)


def states_apply(states: Mapping[Place, StateSeen], at: datetime) -> None:
    """Note what gauges say of breakers: that they live, and a state that no transition told of."""
    _write(_BY_GAUGE, _state_rows(states), at, at, bound=bounds.BREAKERS)


def _state_rows(states: Mapping[Place, StateSeen]) -> list[tuple[Any, ...]]:
    return [(*place, breaker_key(place[0], place[1]), *seen) for place, seen in states.items()]


_TRANSITIONS = """
INSERT INTO breakers_breakertransition (id, at, service, name, instance, from_state, to_state, reason,
    failure_rate, calls, trace_id, received_at)
SELECT id, at, service, name, instance, from_state, to_state, reason, failure_rate, calls, trace_id, %s
FROM unnest(%s::text[], %s::text[], %s::text[], %s::uuid[], %s::timestamptz[], %s::text[], %s::text[],
    %s::text[], %s::float8[], %s::int[], %s::text[])
    AS seen (service, name, instance, id, at, from_state, to_state, reason, failure_rate, calls, trace_id)
ON CONFLICT (id) DO NOTHING
"""


def transitions_add(rows: Iterable[Sequence[Any]], at: datetime) -> int:
    """Add transitions to the history: (service, name, instance, id, at, from, to, reason,
    failure rate, calls, trace id); how many were new."""
    return _write(_TRANSITIONS, rows, at)


_POLICIES = """
INSERT INTO breakers_breaker AS t (service, name, instance, key, policy, policy_at, state, since,
    reason, first_seen, last_seen)
SELECT service, name, instance, key, policy, at, 'closed', at, '', %s, %s
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::jsonb[], %s::timestamptz[])
    AS seen (service, name, instance, key, policy, at)
ON CONFLICT (service, name, instance) DO UPDATE SET
    last_seen = GREATEST(t.last_seen, excluded.last_seen),
    policy = CASE WHEN t.policy_at IS NULL OR excluded.policy_at >= t.policy_at
        THEN excluded.policy ELSE t.policy END,
    policy_at = GREATEST(t.policy_at, excluded.policy_at)
"""


def policies_apply(
    policies: Mapping[Place, tuple[Mapping[str, Any], datetime]], at: datetime
) -> None:
    """Note what breakers work by, from a time on."""
    rows = [
        (*place, breaker_key(place[0], place[1]), orjson.dumps(policy).decode(), since)
        for place, (policy, since) in policies.items()
    ]
    _write(_POLICIES, rows, at, at, bound=bounds.BREAKERS)


_BULKHEADS = """
INSERT INTO breakers_bulkhead AS t (service, name, instance, active, queued, "limit", last_seen)
SELECT service, name, instance, active, queued, most, %s
FROM unnest(%s::text[], %s::text[], %s::text[], %s::int[], %s::int[], %s::int[])
    AS seen (service, name, instance, active, queued, most)
ON CONFLICT (service, name, instance) DO UPDATE SET
    active = COALESCE(excluded.active, t.active),
    queued = COALESCE(excluded.queued, t.queued),
    "limit" = COALESCE(excluded."limit", t."limit"),
    last_seen = GREATEST(t.last_seen, excluded.last_seen)
"""

_BUDGETS = """
INSERT INTO breakers_retrybudget AS t (service, dependency, instance, calls, retries, "left", last_seen)
SELECT service, dependency, instance, calls, retries, budget_left, %s
FROM unnest(%s::text[], %s::text[], %s::text[], %s::int[], %s::int[], %s::int[])
    AS seen (service, dependency, instance, calls, retries, budget_left)
ON CONFLICT (service, dependency, instance) DO UPDATE SET
    calls = COALESCE(excluded.calls, t.calls),
    retries = COALESCE(excluded.retries, t.retries),
    "left" = COALESCE(excluded."left", t."left"),
    last_seen = GREATEST(t.last_seen, excluded.last_seen)
"""

Gauges = Mapping[Place, Mapping[str, int]]


def bulkheads_apply(gauges: Gauges, at: datetime) -> None:
    """Note the gauges of bulkheads: active, queued, limit."""
    _write(
        _BULKHEADS, _gauge_rows(gauges, ("active", "queued", "limit")), at, bound=bounds.BULKHEADS
    )


def budgets_apply(gauges: Gauges, at: datetime) -> None:
    """Note the gauges of retry budgets: window_calls, window_retries, budget_left."""
    names = ("window_calls", "window_retries", "budget_left")
    _write(_BUDGETS, _gauge_rows(gauges, names), at, bound=bounds.BUDGETS)


def _gauge_rows(gauges: Gauges, names: Sequence[str]) -> list[tuple[Any, ...]]:
    return [(*place, *(told.get(name) for name in names)) for place, told in gauges.items()]


_BREACHES = """
INSERT INTO breakers_bulkheadbreach (id, at, service, name, instance, kind, mitigation)
SELECT id, at, service, name, instance, kind, mitigation
FROM unnest(%s::text[], %s::text[], %s::text[], %s::uuid[], %s::timestamptz[], %s::text[], %s::text[])
    AS seen (service, name, instance, id, at, kind, mitigation)
ON CONFLICT (id) DO NOTHING
"""


def breaches_add(rows: Iterable[Sequence[Any]]) -> None:
    """Add breaches: (service, name, instance, id, at, kind, mitigation)."""
    _write(_BREACHES, rows)


_OUTCOMES = """
INSERT INTO breakers_outcomebatch (service, name, instance, id, at, data)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::uuid[], %s::timestamptz[], %s::bytea[])
ON CONFLICT (at, id) DO NOTHING
"""


def outcomes_add(rows: Iterable[Sequence[Any]]) -> None:
    """Add recorded outcomes: (service, name, instance, id, at, data)."""
    _write(_OUTCOMES, rows)


_MEMBERS = """
INSERT INTO breakers_domainmember (domain, service, name, source)
SELECT domain, service, name, 'reported'
FROM unnest(%s::text[], %s::text[], %s::text[]) AS seen (domain, service, name)
ON CONFLICT (domain, service, name) DO NOTHING
"""


def members_add(members: Iterable[tuple[str, str, str]]) -> int:
    """Add what services report of failure domains: (domain, service, name); how many were new."""
    return _write(_MEMBERS, set(members), bound=bounds.MEMBERS)
