"""Storing decoded telemetry: one transaction per request, each item once, nothing half-written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar

from django.db import IntegrityError, connection, transaction
from psycopg import errors as pg

from analytics.choices import NameKind, Outcome, Signal
from analytics.domain.errors import ErrorRecord, errors_of_span
from analytics.domain.fingerprints import MOST_PATTERNS, OTHERS_RULE
from analytics.domain.telemetry import Decoded, Rejection, Resource, SpanRecord
from analytics.models import partitions as tables
from analytics.services import (
    copying,
    edges,
    error_store,
    pattern_room,
    patterns,
    rollups,
    same_failure,
    span_rows,
)
from analytics.services.arrivals import Arrival
from analytics.services.call_names import CallNames
from analytics.services.catalogue import Catalogue
from analytics.services.error_store import PreparedError, SeenStacks
from analytics.services.folds import Folds
from analytics.services.grouping import Grouper
from analytics.services.releases import releases_observe
from analytics.services.service_room import ServiceRoom
from analytics.services.sightings import edges_tell
from health.services import Observed, service_observe
from resilience_site.config import config
from resilience_site.core import journal, partitions
from resilience_site.core.partitions import PartitionedTable

FUTURE_TOLERANCE = timedelta(minutes=10)
_OBSERVE_EVERY = timedelta(seconds=30)
_NEW_REASON = "more than 10 minutes in the future: check the sender's clock"
_T = TypeVar("_T")


class StoreResult(NamedTuple):
    """What became of a request's items; `rejections` name those that were refused and why."""

    stored: int
    duplicates: int
    rejections: list[Rejection]


class Memory(threading.local):
    """What a storing thread remembers between requests; losing it costs time, never truth."""

    def __init__(self) -> None:
        self.grouper = Grouper()
        self.names = CallNames()
        self.seen_stacks = SeenStacks()
        self.patterns = Catalogue(
            "analytics_errorpattern", (), MOST_PATTERNS, f"rule <> '{OTHERS_RULE}'"
        )
        self.services = ServiceRoom()
        self.observed: dict[Observed, datetime] = {}
        # Those of them whose version found no room.
        self.unversioned: set[Observed] = set()


memory = Memory()


class TimeWindow:
    """The times that are accepted: within the retention, at most ten minutes ahead."""

    def __init__(self, now: datetime) -> None:
        self.oldest_ns = int((now - tables.error_retention()).timestamp() * 1e9)
        self.newest_ns = int((now + FUTURE_TOLERANCE).timestamp() * 1e9)
        self.too_old = self.too_new = 0

    def accepts(self, time_ns: int, end_ns: int = 0) -> bool:
        """Whether an item of this time (and end, if it has one) is taken; counts those that are
        not."""
        if time_ns < self.oldest_ns:
            self.too_old += 1
            return False
        if max(time_ns, end_ns) > self.newest_ns:
            self.too_new += 1
            return False
        return True

    def refusal(self, time_ns: int) -> str:
        """Why an item of this time is not taken, "" where it is; counts those that are not."""
        if self.accepts(time_ns):
            return ""
        return self._old_reason if time_ns < self.oldest_ns else _NEW_REASON

    def timely(self, record: ErrorRecord, fallback_ns: int) -> ErrorRecord:
        """The error as it is, or at another time where its own cannot be true."""
        if self.oldest_ns <= record.occurred_ns <= self.newest_ns:
            return record
        return record._replace(occurred_ns=fallback_ns)

    @property
    def _old_reason(self) -> str:
        days = config.error_retention_days
        return f"older than the retention of {days} days (ERROR_RETENTION_DAYS)"

    def rejections(self) -> list[Rejection]:
        """What was not taken, and why."""
        reasons = [(self.too_old, self._old_reason), (self.too_new, _NEW_REASON)]
        return [Rejection(count, reason) for count, reason in reasons if count]


def run_storing(store: Callable[[bool], _T], needs: Callable[[], None]) -> _T:
    """Run `store(direct)` in a transaction: first with plain COPY, and through a temporary table
    only where that met a row which is there already. `needs` makes the partitions; it runs again
    where another process dropped one meanwhile.
    """
    direct, partition_retry = True, True
    while True:
        needs()
        try:
            with transaction.atomic():
                return store(direct)
        except IntegrityError as error:
            if direct and isinstance(error.__cause__, pg.UniqueViolation):
                direct = False
            elif partition_retry and isinstance(error.__cause__, pg.CheckViolation):
                partition_retry = False
                partitions.forget_known()
            else:
                raise


def ensure_range(table: PartitionedTable, times_ns: Sequence[int]) -> None:
    """Make the partitions that the given times fall into (each one, not the span between)."""
    width = table.width.total_seconds() * 1e9
    for slot in {int(t // width) for t in times_ns}:
        at = datetime.fromtimestamp(slot * width / 1e9, UTC)
        partitions.ensure(table, at, at)


def store_spans(decoded: Decoded, *, received_at: datetime) -> StoreResult:
    """Store spans, the errors they report, and all that is counted from them.

    Raises `django.db.OperationalError` and its kind when the store is down: nothing was stored.
    """
    window, arrival = TimeWindow(received_at), Arrival(received_at)
    spans: list[SpanRecord] = [s for s in decoded.items if window.accepts(s.start_ns, s.end_ns)]
    spans, folded = memory.services.fold(spans, received_at)
    rejections = [*decoded.rejections, *window.rejections(), *folded]
    found = [
        window.timely(record, span.start_ns) for span in spans for record in errors_of_span(span)
    ]
    errors = error_store.prepare(found, memory.grouper)
    ids = [span_rows.span_key(span) for span in spans]
    rows = span_rows.rows_of(spans, ids)

    def needs() -> None:
        starts = [span.start_ns for span in spans]
        ensure_range(tables.SPANS, starts)
        ensure_range(tables.CALL_ROLLUPS, starts)
        ensure_range(tables.EDGE_ROLLUPS, starts)
        ensure_errors(errors, received_at)

    def store(direct: bool) -> StoreResult:
        fresh, novel = spans, errors
        if errors:
            same_failure.lock_services(errors, exclusive=False)
            novel = same_failure.without_told_by_logs(errors)
        if direct:
            copying.copy_rows(span_rows.TABLE, span_rows.COLUMNS, rows)
        else:
            new = copying.copy_new_rows(span_rows.TABLE, span_rows.COLUMNS, rows)
            unique = {i: s for i, s in zip(ids, spans, strict=True) if i in new}
            fresh = list(unique.values())
        novel = write_errors(novel, received_at, direct=direct)
        folds = Folds()
        peers = edges.peers_named(fresh)
        names = memory.names.of(
            ((span.resource.service, span.name) for span in fresh),
            (
                (span.resource.service, peer)
                for span, peer in zip(fresh, peers, strict=True)
                if peer
            ),
            folds,
            received_at,
        )
        figures = rollups.CallFigures(names, arrival)
        for span in fresh:
            figures.add(span)
        waiting, aliases = edges.edges_collect(fresh, peers, figures)
        edges.edges_queue(waiting, received_at)
        requeue_late(fresh, novel, received_at)
        warnings = [*pattern_room.warnings_of(novel), *folds.warnings()]
        result = StoreResult(len(fresh), len(spans) - len(fresh), [*rejections, *warnings])
        finish(
            Signal.TRACES, result, novel, [s.resource for s in fresh], arrival,
            before_journal=figures.write, aliases=aliases, folds=folds,
            others=lambda: edges_tell(figures, received_at),
        )  # fmt: skip
        return result

    return run_storing(store, needs)


def ensure_errors(errors: Sequence[PreparedError], received_at: datetime) -> None:
    """Make the partitions that errors and the counts of a request fall into."""
    times = [error.record.occurred_ns for error in errors]
    ensure_range(tables.ERRORS, times)
    ensure_range(tables.ERROR_ROLLUPS, times)
    partitions.ensure(tables.INGEST_ROLLUPS, received_at, received_at)


def write_errors(
    errors: list[PreparedError], received_at: datetime, *, direct: bool
) -> list[PreparedError]:
    """Store errors and their stacks, inside the caller's transaction; returns those not there
    before, each with the group that there is room for."""
    if not errors:
        return []
    errors = pattern_room.errors_fold(errors, memory.patterns, received_at)
    rows = error_store.rows_of(errors, received_at)
    if direct:
        copying.copy_rows(error_store.TABLE, error_store.COLUMNS, rows)
    else:
        new = copying.copy_new_rows(error_store.TABLE, error_store.COLUMNS, rows)
        errors = [error for error in errors if error.id in new]
    seen = memory.seen_stacks
    stacks = error_store.write_stacks(errors, received_at, seen)
    transaction.on_commit(lambda: seen.add(stacks))
    error_store.queue_chains(errors, received_at)
    return errors


def requeue_late(
    spans: Sequence[SpanRecord], errors: Sequence[PreparedError], received_at: datetime
) -> None:
    """Queue the chains again whose traces got further spans."""
    if not config.error_correlation_enabled:
        return
    fresh = {error.record.trace_id for error in errors}
    others = sorted({span.trace_id for span in spans} - fresh)
    if not others:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO analytics_chainpending "
            "(trace_id, correlation_id, occurred_at, created_at, due_at, settling) "
            "SELECT trace_id, '', started_at, %(at)s, %(at)s, false "
            "FROM analytics_correlationchain WHERE trace_id = ANY(%(traces)s) "
            "AND opened_on >= %(at)s::date - 1",
            {"at": received_at, "traces": others},
        )


def finish(
    signal: Signal,
    result: StoreResult,
    errors: Sequence[PreparedError],
    resources: Sequence[Resource],
    arrival: Arrival,
    *,
    before_journal: Callable[[], None] = lambda: None,
    others: Callable[[], list[journal.Entry]] = list,
    aliases: set[tuple[str, str, str]] | None = None,
    folds: Folds | None = None,
) -> None:
    """Count a request and tell the journal, last in its transaction: rows that many requests
    update are held for the shortest time that way. `others` are those that listen to telemetry,
    `folds` what had no room under its own name."""
    received_at = arrival.at
    edges.aliases_write(aliases or set(), received_at)
    folds = folds or Folds()
    new_services, new_releases = _observe(resources, received_at, folds)
    before_journal()
    error_store.count_errors(errors, arrival)
    touched = patterns.patterns_count(errors, received_at)
    folds.write(received_at)
    count_ingest(signal, result, received_at)
    entries = [journal.Entry("ingest", "ingest.stored", str(signal))]
    if result.stored:
        services = {resource.service for resource in resources}
        entries += [journal.Entry("traffic", "traffic.changed", name) for name in sorted(services)]
    entries += [
        journal.Entry("errors", "errors.stored", service, service=service, payload={"count": n})
        for service, n in sorted(error_store.errors_per_service(errors).items())
    ]
    entries += patterns.entries_of(touched, received_at)
    entries += [journal.Entry("services", "service.new", name) for name in new_services]
    entries += new_releases
    entries += others()
    journal.append(entries)


def count_ingest(signal: Signal, result: StoreResult, received_at: datetime) -> None:
    """Add what became of a request's items to the counters of this minute."""
    minute = received_at.replace(second=0, microsecond=0)
    rows = [(minute, str(signal), str(Outcome.STORED), "", result.stored, 1)]
    if result.duplicates:
        rows.append((minute, str(signal), str(Outcome.DUPLICATE), "", result.duplicates, 0))
    reasons: dict[str, int] = {}
    for rejection in result.rejections:
        reasons[rejection.reason] = reasons.get(rejection.reason, 0) + rejection.count
    rows += [
        (minute, str(signal), str(Outcome.REJECTED), reason, count, 0)
        for reason, count in reasons.items()
        if count
    ]
    rollups.write_ingest_counts(rows)


def _observe(
    resources: Sequence[Resource], at: datetime, folds: Folds
) -> tuple[list[str], list[journal.Entry]]:
    """Services that are new, and entries of versions that are."""
    known = memory.observed
    distinct = {id(resource): resource for resource in resources}
    seen = {key: _observed(resource) for key, resource in distinct.items()}
    observed = set(seen.values())
    due = {
        o for o in observed if at - known.get(o, datetime.min.replace(tzinfo=UTC)) > _OBSERVE_EVERY
    }
    beyond = (memory.unversioned & observed) - due
    new_services: list[str] = []
    new_releases: list[journal.Entry] = []
    if due:
        if len(known) > 10_000:
            known.clear()
            memory.unversioned.clear()
        new_services = service_observe(observed=due, at=at)
        folded: set[Observed] = set()
        new_releases = releases_observe(due, at, folded)
        beyond |= folded
        transaction.on_commit(lambda: _remember(due, folded, at))
    if beyond:
        for resource in resources:
            if seen[id(resource)] in beyond:
                folds.add(NameKind.VERSION, resource.service, resource.version)
    return new_services, new_releases


def _observed(resource: Resource) -> Observed:
    return Observed(
        resource.service,
        resource.environment,
        resource.version,
        resource.language,
        resource.criticality,
    )


def _remember(due: set[Observed], folded: set[Observed], at: datetime) -> None:
    memory.observed.update(dict.fromkeys(due, at))
    memory.unversioned -= due
    memory.unversioned |= folded
