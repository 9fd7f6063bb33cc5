"""Reads of calls and errors with their attributes, evenly over a range and never too many."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from analytics.selectors.pattern_families import FAMILY
from analytics.selectors.reading import limited_time
from resilience_site.core.timerange import TimeRange

# Of each range; spread over its steps, so that a busy moment does not stand for all. Of an hour
# a step is nine seconds: of a busy minute not only its first calls are read.
MOST_ROWS = 8_000
_STEPS = 400
_SHORTEST_STEP = timedelta(seconds=1)
_TIMEOUT_MS = 4_000
_MAX_VALUE = 120
# Of the attributes of a call that take more bytes than this, so many are read, the shortest names
# first, cut to this length: what 16,000 calls hold must fit into memory, whatever senders put there.
_MAX_BYTES = 8_192
_MAX_EACH = 64
_MAX_NAME = 100
# What calls end with: it says that they failed, not where.
_OUTCOMES = ("error", "exception", "otel.status", "status")
_STATUS_CODES = ("status_code", "status.code", "response.status", "exit_code")

_ATTRIBUTES = f"""
CASE WHEN octet_length(attributes::text) <= {_MAX_BYTES} THEN attributes::text ELSE (
    SELECT jsonb_object_agg(left(key, {_MAX_NAME}), left(value, {_MAX_VALUE}))::text
    FROM (SELECT key, value FROM jsonb_each_text(attributes) LIMIT {_MAX_EACH}) AS each
) END
"""
# Entry calls as the figures per minute count them. Each step reads its stretch of one hour's
# partition by the primary key and stops when it has enough: 40 ms of 600,000 spans in two hours,
# 300 ms where one of twenty services is asked for, whose other rows are passed over.
_CALLS = f"""
SELECT at, s.service, s.instance, s.environment, s.operation, s.status = 2, s.trace_id, {_ATTRIBUTES}
FROM generate_series(%(since)s::timestamptz, %(until)s::timestamptz - interval '1 microsecond',
    %(step)s) AS at,
LATERAL (
    SELECT * FROM analytics_span
    WHERE started_at >= at AND started_at < least(at + %(step)s, %(until)s)
    AND (kind IN (2, 5) OR parent_span_id = '') AND %(service)s IN ('', service)
    ORDER BY started_at LIMIT %(each)s
) AS s
"""
_ERRORS = f"""
SELECT at, e.service, e.instance, e.environment, e.operation, e.matches, e.id::text, {_ATTRIBUTES}
FROM generate_series(%(since)s::timestamptz, %(until)s::timestamptz - interval '1 microsecond',
    %(step)s) AS at,
LATERAL (
    SELECT *, (%(type)s IN ('', type) AND (%(pattern)s::uuid IS NULL
        OR pattern_id = ANY({FAMILY.replace("%s", "%(pattern)s")}))) AS matches
    FROM analytics_errorevent
    WHERE occurred_at >= at AND occurred_at < least(at + %(step)s, %(until)s)
    AND %(service)s IN ('', service)
    ORDER BY occurred_at LIMIT %(each)s
) AS e
"""


@dataclass(frozen=True)
class Call:
    """One call (or error) with its attributes as texts; `failed` is whether it belongs to the
    failures in question, `key` its trace id, or the id of the error."""

    attributes: Mapping[str, str]
    failed: bool
    key: str


@dataclass
class Calls:
    """What was read of a range; `cut` is whether some steps had more than were read."""

    calls: list[Call] = field(default_factory=list)
    cut: bool = False
    left_out: set[str] = field(default_factory=set)


def calls_read(within: TimeRange, service: str = "") -> Calls:
    """Entry calls of a range, of one service or of all: at most `MOST_ROWS`, evenly over time."""
    return _read(_CALLS, within, {"service": service})


def errors_read(
    within: TimeRange, service: str = "", type_: str = "", pattern: UUID | None = None
) -> Calls:
    """Errors of a range; those of the type and the pattern (with its members) are the failures."""
    return _read(_ERRORS, within, {"service": service, "type": type_, "pattern": pattern})


def _read(query: str, within: TimeRange, parameters: dict[str, Any]) -> Calls:
    step = max(within.length / _STEPS, _SHORTEST_STEP)
    steps = max(1, -(-within.length // step))
    each = max(1, MOST_ROWS // steps)
    found = Calls()
    parameters |= {"since": within.since, "until": within.until, "step": step, "each": each}
    with (
        limited_time(_TIMEOUT_MS, "choose a shorter one, or a service"),
        connection.cursor() as cursor,
    ):
        cursor.execute(query, parameters)
        rows = cursor.fetchall()
    for _, service, instance, environment, operation, failed, key, text in rows:
        named = {
            "service": service,
            "service.instance.id": instance,
            "deployment.environment.name": environment,
            "operation": operation,
        }
        attributes = dict(_texts(json.loads(text), found.left_out)) | named
        found.calls.append(Call(attributes, bool(failed), key))
    found.cut = each in Counter(row[0] for row in rows).values()
    return found


def _texts(attributes: Mapping[str, Any], left_out: set[str]) -> Iterator[tuple[str, str]]:
    for name, value in attributes.items():
        if name.startswith(_OUTCOMES) or any(word in name for word in _STATUS_CODES):
            left_out.add(name)
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield name, text[:_MAX_VALUE]
