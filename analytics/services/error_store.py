"""Storing error events once each, with their stacks, patterns, counts and queue entries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import NamedTuple

import orjson
from django.db import connection

from analytics.choices import ErrorSource
from analytics.domain.errors import ErrorRecord, as_stack_words_it, time_uuid_hex
from analytics.domain.fingerprints import Fingerprint
from analytics.services import copying, patterns, rollups
from analytics.services.arrivals import Arrival
from analytics.services.copying import NULL, Clock
from analytics.services.grouping import Grouper, Stack, frames_document
from resilience_site.config import config

COLUMNS = (
    "occurred_at", "id", "received_at", "service", "environment", "instance", "operation", "type",
    "message", "severity", "source", "trace_id", "span_id", "correlation_id", "pattern_id",
    "stack_hash", "attributes",
)  # fmt: skip
TABLE = "analytics_errorevent"
UNGROUPED = "00000000-0000-0000-0000-000000000000"
_MAX_RAW_STACK = 65_536

# The database key of a stored error.
StoredKey = tuple[datetime, str]


class PreparedError(NamedTuple):
    """An error with its id (32 hex digits), its stack and its group, ready to be stored."""

    id: str
    record: ErrorRecord
    stack: Stack | None
    group: Fingerprint | None


class SeenStacks:
    """Stacks that this thread knows to be stored today; bounded by starting over."""

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._day = date.min
        self._hashes: set[str] = set()

    def unseen(self, hashes: Iterable[str], today: date) -> set[str]:
        if today != self._day or len(self._hashes) > self._limit:
            self._day, self._hashes = today, set()
        return {h for h in hashes if h not in self._hashes}

    def add(self, hashes: Iterable[str]) -> None:
        self._hashes.update(hashes)


def prepare(records: Iterable[ErrorRecord], grouper: Grouper) -> list[PreparedError]:
    """Give each error its id, stack and group; the same error twice in a batch stays once."""
    grouping = config.error_pattern_analysis_enabled and config.error_analytics_enabled
    prepared: dict[str, PreparedError] = {}
    for record in records:
        error_id = time_uuid_hex(record.occurred_ns, record.key)
        if error_id in prepared:
            continue
        stack = grouper.stack(record.stack, record.resource.language)
        if stack is not None and record.source == ErrorSource.LOG:
            record = as_stack_words_it(record, stack.parsed)
        group = grouper.fingerprint(record, stack) if grouping else None
        prepared[error_id] = PreparedError(error_id, record, stack, group)
    return list(prepared.values())


def rows_of(errors: Sequence[PreparedError], received_at: datetime) -> list[str]:
    """The errors as COPY rows, in the order of `COLUMNS`."""
    clock, escape, json = Clock(), copying.text, copying.json
    received = received_at.isoformat()
    rows = []
    prefixes: dict[int, str] = {}
    for error_id, record, stack, group in errors:
        resource = record.resource
        prefix = prefixes.get(id(resource))
        if prefix is None:
            prefix = prefixes[id(resource)] = "\t".join(
                (escape(resource.service), escape(resource.environment), escape(resource.instance))
            )
        rows.append(
            f"{clock.text(record.occurred_ns)}\t{error_id}\t{received}\t{prefix}\t"
            f"{escape(record.operation)}\t{escape(record.type)}\t{escape(record.message)}\t"
            f"{record.severity}\t{record.source}\t{record.trace_id}\t{record.span_id}\t"
            f"{escape(record.correlation_id)}\t{group.key.hex if group else NULL}\t"
            f"{stack.hash if stack else NULL}\t{json(record.attributes)}"
        )
    return rows


def write_stacks(
    errors: Sequence[PreparedError], received_at: datetime, seen: SeenStacks
) -> set[str]:
    """Store the stack traces not yet stored today; returns their hashes (`seen.add` them after
    the commit)."""
    today = received_at.date()
    stacks = {e.stack.hash: e for e in errors if e.stack}
    new = seen.unseen(stacks, today)
    if not new:
        return new
    rows = []
    for stack_hash in sorted(new):
        stack, record = stacks[stack_hash].stack, stacks[stack_hash].record
        assert stack is not None
        frames = orjson.dumps(frames_document(stack.parsed)).decode()
        rows.append(
            (stack_hash, stack.language, record.stack[:_MAX_RAW_STACK], frames, received_at, today)
        )
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO analytics_stacktrace AS s "
            "(hash, language, raw, frames, first_seen, last_seen) "
            "VALUES (%s, %s, %s, %s::jsonb, %s, %s) ON CONFLICT (hash) DO UPDATE "
            # Which frames are the service's own may be told otherwise since.
            "SET last_seen = excluded.last_seen, frames = excluded.frames "
            "WHERE s.last_seen < excluded.last_seen",
            rows,
        )
    return new


def count_errors(errors: Sequence[PreparedError], arrival: Arrival) -> None:
    """Add the errors to their per-minute counts."""
    counts: dict[tuple[int, str, str], int] = {}
    for error in errors:
        key = (
            error.record.occurred_ns // rollups.MINUTE_NS,
            error.record.resource.service,
            str(error.group.key) if error.group else UNGROUPED,
        )
        counts[key] = counts.get(key, 0) + 1
    rollups.write_error_counts(counts, arrival)


def replace_status_errors(keys: Sequence[StoredKey], arrival: Arrival) -> None:
    """Take back mere span statuses which a log record has explained since."""
    if not keys:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {TABLE} WHERE (occurred_at, id) IN "
            "(SELECT * FROM unnest(%s::timestamptz[], %s::uuid[])) AND source = 3 "
            "RETURNING date_trunc('minute', occurred_at), service, pattern_id",
            [[key[0] for key in keys], [key[1] for key in keys]],
        )
        removed = cursor.fetchall()
    counts: dict[tuple[int, str, str], int] = {}
    for minute, service, pattern_id in removed:
        key = (int(minute.timestamp()) // 60, service, str(pattern_id or UNGROUPED))
        counts[key] = counts.get(key, 0) - 1
    rollups.write_error_counts(counts, arrival)
    patterns.patterns_discount(counts={key[2]: value for key, value in counts.items()})


def queue_chains(errors: Sequence[PreparedError], received_at: datetime) -> None:
    """Ask for the chains that these errors belong to, one entry per trace or correlation id."""
    if not config.error_correlation_enabled:
        return
    clock = Clock()
    at = received_at.isoformat()
    rows: dict[tuple[str, str], str] = {}
    for error in errors:
        record = error.record
        correlation = "" if record.trace_id else record.correlation_id
        if record.trace_id or correlation:
            rows[record.trace_id, correlation] = (
                f"{record.trace_id}\t{copying.text(correlation)}\t"
                f"{clock.text(record.occurred_ns)}\t{at}\t{at}\tf"
            )
    copying.copy_rows(
        "analytics_chainpending",
        ("trace_id", "correlation_id", "occurred_at", "created_at", "due_at", "settling"),
        rows.values(),
    )


def errors_per_service(errors: Sequence[PreparedError]) -> dict[str, int]:
    """How many errors each service has in a batch."""
    per_service: dict[str, int] = {}
    for error in errors:
        service = error.record.resource.service
        per_service[service] = per_service.get(service, 0) + 1
    return per_service
