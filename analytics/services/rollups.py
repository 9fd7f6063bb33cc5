"""Counts per minute, added to in the transaction that stores what they count."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection

from analytics.domain.errors import STATUS_ERROR
from analytics.domain.histogram import bucket, empty
from analytics.domain.telemetry import SpanRecord

MINUTE_NS = 60_000_000_000
INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
ENTRY_TOTAL_KIND = 0
# A service that names its operations by their arguments must not fill the store.
MAX_OPERATIONS = 500
OTHER_OPERATIONS = "(other operations)"
# Nor one that calls an address for each of its users.
MAX_PEERS = 500
OTHER_PEERS = "(other peers)"
_MOST_SERVICES = 10_000
_DAY = timedelta(days=1)


class Figures:
    """Calls, errors and durations being added up before they are written."""

    __slots__ = ("buckets", "calls", "duration_max_ns", "duration_ns", "errors")

    def __init__(self) -> None:
        self.calls = 0
        self.errors = 0
        self.duration_ns = 0
        self.duration_max_ns = 0
        self.buckets = empty()

    def add(self, duration_ns: int, bucket_index: int, failed: bool) -> None:
        self.calls += 1
        self.errors += failed
        self.duration_ns += duration_ns
        if duration_ns > self.duration_max_ns:
            self.duration_max_ns = duration_ns
        self.buckets[bucket_index] += 1

    def row(self) -> tuple[int, int, int, int, str]:
        """The figures in the order of their columns; the buckets as an array's text, because a
        list of arrays would arrive flattened."""
        buckets = "{" + ",".join(map(str, self.buckets)) + "}"
        return self.calls, self.errors, self.duration_ns, self.duration_max_ns, buckets


def minute_of(time_ns: int) -> datetime:
    """The start of the minute that a time falls into."""
    return datetime.fromtimestamp(time_ns // MINUTE_NS * 60, UTC)


class Names:
    """Which names of each service have rows of their own, per process and bounded.

    Those that came yesterday or today keep their rows whatever else comes; what came last before
    that makes room where there is none.
    """

    def __init__(self, limit: int, other: str) -> None:
        self._limit, self._other = limit, other
        self._today = date.min
        self._known: dict[str, dict[str, date]] = {}
        self._swept: dict[str, date] = {}

    def on(self, today: date) -> Names:
        """These names, on that day."""
        self._today = max(today, self._today)
        if len(self._known) > _MOST_SERVICES:
            self._known, self._swept = {}, {}
        return self

    def name(self, service: str, name: str) -> str:
        """The name, or that of all others where there is no room."""
        known = self._known.setdefault(service, {})
        if name not in known and len(known) >= self._limit and not self._sweep(service):
            return self._other
        self._known[service][name] = self._today
        return name

    def _sweep(self, service: str) -> bool:
        """Forget names that came no more, once a day; whether there is room then."""
        if self._swept.get(service) == self._today:
            return False
        self._swept[service] = self._today
        kept = {
            name: day for name, day in self._known[service].items() if self._today - day <= _DAY
        }
        self._known[service] = kept
        return len(kept) < self._limit


class Operations:
    """Which operations and which peers of each service have rows of their own."""

    def __init__(self, limit: int = MAX_OPERATIONS, peers: int = MAX_PEERS) -> None:
        self._operations = Names(limit, OTHER_OPERATIONS)
        self._peers = Names(peers, OTHER_PEERS)

    def on(self, today: date) -> Operations:
        """These, on that day."""
        self._operations.on(today)
        self._peers.on(today)
        return self

    def name(self, service: str, operation: str) -> str:
        """As what an operation of a service is counted."""
        return self._operations.name(service, operation)

    def peer(self, caller: str, peer: str) -> str:
        """As what an address that a service calls is counted."""
        return self._peers.name(caller, peer)


class CallFigures:
    """The call and edge rollups of one batch of spans."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self.calls: dict[tuple[int, str, str, int], Figures] = {}
        self.edges: dict[tuple[int, str, str, str], Figures] = {}

    def add(self, span: SpanRecord) -> None:
        """Count a span for its operation and, where work entered the service by it, in total."""
        service, kind = span.resource.service, span.kind
        duration = max(0, span.end_ns - span.start_ns)
        index = bucket(duration)
        failed = span.status_code == STATUS_ERROR
        minute = span.start_ns // MINUTE_NS
        operation = self._operations.name(service, span.name)
        self._of_call(minute, service, operation, kind).add(duration, index, failed)
        if kind in (SERVER, CONSUMER) or not span.parent_span_id:
            self._of_call(minute, service, "", ENTRY_TOTAL_KIND).add(duration, index, failed)

    def peer(self, caller: str, peer: str) -> str:
        """As what an address that a service calls is counted."""
        return self._operations.peer(caller, peer)

    def add_edge(
        self, start_ns: int, caller: str, callee: str, via: str, duration_ns: int, failed: bool
    ) -> None:
        """Count a call from one service to another."""
        key = (start_ns // MINUTE_NS, caller, callee, via)
        figures = self.edges.get(key)
        if figures is None:
            figures = self.edges[key] = Figures()
        figures.add(duration_ns, bucket(duration_ns), failed)

    def _of_call(self, minute: int, service: str, operation: str, kind: int) -> Figures:
        key = (minute, service, operation, kind)
        figures = self.calls.get(key)
        if figures is None:
            figures = self.calls[key] = Figures()
        return figures

    def write(self) -> None:
        """Add the counts to the tables, in key order so that two writers never deadlock."""
        _upsert("analytics_callrollup", _CALL_KEY, self.calls)
        _upsert("analytics_edgerollup", _EDGE_KEY, self.edges)


_CALL_KEY = {"service": "text", "operation": "text", "kind": "smallint"}
_EDGE_KEY = {"caller": "text", "callee": "text", "via": "text"}
_FIGURES = {
    "calls": "bigint", "errors": "bigint", "duration_ns": "bigint", "duration_max_ns": "bigint",
    "buckets": "text",
}  # fmt: skip


def _upsert(table: str, key: dict[str, str], figures: dict[Any, Figures]) -> None:
    """Add up all rows by one statement: the server plans it once, and answers once."""
    if not figures:
        return
    rows = [
        (datetime.fromtimestamp(row_key[0] * 60, UTC), *row_key[1:], *figures[row_key].row())
        for row_key in sorted(figures)
    ]
    types = {"minute": "timestamptz", **key, **_FIGURES}
    names, columns = ", ".join(key), ", ".join(types)
    arrays = ", ".join(f"%s::{each}[]" for each in types.values())
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO {table} AS t ({columns})
            SELECT {columns.removesuffix("buckets")} buckets::integer[]
            FROM unnest({arrays}) AS rows ({columns})
            ON CONFLICT (minute, {names}) DO UPDATE SET
                calls = t.calls + excluded.calls,
                errors = t.errors + excluded.errors,
                duration_ns = t.duration_ns + excluded.duration_ns,
                duration_max_ns = GREATEST(t.duration_max_ns, excluded.duration_max_ns),
                buckets = analytics_add_buckets(t.buckets, excluded.buckets),
                changed_at = excluded.changed_at
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )


def write_error_counts(counts: dict[tuple[int, str, str], int]) -> None:
    """Add errors per (minute since the epoch, service, pattern id); negative counts take away."""
    if not counts:
        return
    keys = sorted(counts)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO analytics_errorrollup AS t (minute, service, pattern_id, errors) "
            "SELECT * FROM unnest(%s::timestamptz[], %s::text[], %s::uuid[], %s::bigint[]) "
            "ON CONFLICT (minute, service, pattern_id) "
            "DO UPDATE SET errors = t.errors + excluded.errors, changed_at = excluded.changed_at",
            [
                [datetime.fromtimestamp(key[0] * 60, UTC) for key in keys],
                [key[1] for key in keys],
                [key[2] for key in keys],
                [counts[key] for key in keys],
            ],
        )


def write_ingest_counts(rows: Iterable[tuple[datetime, str, str, str, int, int]]) -> None:
    """Add (minute, signal, outcome, reason, items, requests)."""
    ordered = sorted(rows)
    if not ordered:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO analytics_ingestrollup AS t "
            "(minute, signal, outcome, reason, items, requests) VALUES (%s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (minute, signal, outcome, reason) DO UPDATE SET "
            "items = t.items + excluded.items, requests = t.requests + excluded.requests",
            ordered,
        )
