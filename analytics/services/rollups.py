"""Counts per minute, added to in the transaction that stores what they count."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from analytics.domain.errors import STATUS_ERROR
from analytics.domain.histogram import bucket, empty
from analytics.domain.telemetry import SpanRecord
from analytics.services import late_figures
from analytics.services.arrivals import Arrival
from analytics.services.call_names import Named

MINUTE_NS = 60_000_000_000
INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
ENTRY_TOTAL_KIND = 0


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


class CallFigures:
    """The call and edge rollups of one batch of spans, under the names that there is room for."""

    def __init__(self, names: Named, arrival: Arrival | None = None) -> None:
        self._names = names
        self._arrival = arrival
        self.calls: dict[tuple[int, str, str, int], Figures] = {}
        self.edges: dict[tuple[int, str, str, str], Figures] = {}

    def add(self, span: SpanRecord) -> None:
        """Count a span for its operation and, where work entered the service by it, in total."""
        service, kind = span.resource.service, span.kind
        duration = max(0, span.end_ns - span.start_ns)
        index = bucket(duration)
        failed = span.status_code == STATUS_ERROR
        minute = span.start_ns // MINUTE_NS
        operation = self._names.operation(service, span.name)
        self._of_call(minute, service, operation, kind).add(duration, index, failed)
        if kind in (SERVER, CONSUMER) or not span.parent_span_id:
            self._of_call(minute, service, "", ENTRY_TOTAL_KIND).add(duration, index, failed)

    def add_peer(
        self, start_ns: int, caller: str, peer: str, via: str, duration_ns: int, failed: bool
    ) -> None:
        """Count a call from a service to an address."""
        self.add_edge(start_ns, caller, self._names.peer(caller, peer), via, duration_ns, failed)

    def keeps_peer(self, caller: str, peer: str) -> bool:
        """Whether an address that a service calls has figures of its own."""
        return self._names.has_peer(caller, peer)

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
        if self.calls:
            self._write_calls()
        _upsert("analytics_edgerollup", _EDGE_KEY, self.edges)

    def _write_calls(self) -> None:
        """Calls that came late lie in the oldest minutes, so that the order of keys stays."""
        known = self._arrival.known_from() if self._arrival else None
        late, prompt = late_figures.parted(self.calls, known)
        _upsert("analytics_callrollup", _CALL_KEY, late, "0", _LATE)
        _upsert("analytics_callrollup", _CALL_KEY, prompt, "NULL", _PROMPT)
        if known is not None:
            totals = {key[:2]: figures.row() for key, figures in late.items() if not key[2]}
            late_figures.late_calls_write(totals, known)


_CALL_KEY = {"service": "text", "operation": "text", "kind": "smallint"}
_EDGE_KEY = {"caller": "text", "callee": "text", "via": "text"}
# The longest call of those that came in time is kept apart, once others came after them.
_LATE = "COALESCE(t.prompt_max_ns, t.duration_max_ns)"
_PROMPT = (
    "CASE WHEN t.prompt_max_ns IS NOT NULL "
    "THEN GREATEST(t.prompt_max_ns, excluded.duration_max_ns) END"
)
_FIGURES = {
    "calls": "bigint", "errors": "bigint", "duration_ns": "bigint", "duration_max_ns": "bigint",
    "buckets": "text",
}  # fmt: skip


def _upsert(
    table: str, key: dict[str, str], figures: dict[Any, Figures], first: str = "", then: str = ""
) -> None:
    """Add up all rows by one statement: the server plans it once, and answers once. `first` and
    `then` say the longest of the timely calls, of a row that is new and of one that is there."""
    if not figures:
        return
    rows = [
        (datetime.fromtimestamp(row_key[0] * 60, UTC), *row_key[1:], *figures[row_key].row())
        for row_key in sorted(figures)
    ]
    types = {"minute": "timestamptz", **key, **_FIGURES}
    names, columns = ", ".join(key), ", ".join(types)
    arrays = ", ".join(f"%s::{each}[]" for each in types.values())
    prompt = ", prompt_max_ns" if first else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO {table} AS t ({columns}{prompt})
            SELECT {columns.removesuffix("buckets")} buckets::integer[]{first and f", {first}::bigint"}
            FROM unnest({arrays}) AS rows ({columns})
            ON CONFLICT (minute, {names}) DO UPDATE SET
                calls = t.calls + excluded.calls,
                errors = t.errors + excluded.errors,
                duration_ns = t.duration_ns + excluded.duration_ns,
                duration_max_ns = GREATEST(t.duration_max_ns, excluded.duration_max_ns),
                buckets = analytics_add_buckets(t.buckets, excluded.buckets),
                changed_at = excluded.changed_at{prompt and f"{prompt} = {then}"}
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )


def write_error_counts(
    counts: dict[tuple[int, str, str], int], arrival: Arrival | None = None
) -> None:
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
    known = arrival.known_from() if arrival else None
    late, _ = late_figures.parted(counts, known)
    if known is not None:
        late_figures.late_errors_write(late, known)


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
