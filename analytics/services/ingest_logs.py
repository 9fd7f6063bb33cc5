"""Storing log records: each counted once, those of a trace kept, their exceptions made errors."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from functools import partial

from analytics.choices import NameKind, Signal
from analytics.domain.errors import time_uuid_hex
from analytics.domain.name_limits import OTHER_TEMPLATES
from analytics.domain.telemetry import Decoded, LogRecord
from analytics.models import partitions as tables
from analytics.selectors.name_limits import most_of
from analytics.services import copying, error_store, log_rows, pattern_room, same_failure
from analytics.services.arrivals import Arrival
from analytics.services.catalogue import Catalogue
from analytics.services.error_store import PreparedError
from analytics.services.folds import Folds
from analytics.services.ingest import (
    StoreResult,
    TimeWindow,
    ensure_errors,
    ensure_range,
    finish,
    memory,
    run_storing,
    write_errors,
)
from analytics.services.log_rows import PreparedLog, Templates
from analytics.services.receipts import Digest, batch_is_new
from resilience_site.core import taps
from resilience_site.core.taps import EventSeen


class LogMemory(threading.local):
    """What a storing thread remembers between requests; losing it costs time, never truth."""

    def __init__(self) -> None:
        self.templates = Templates()
        self.catalogue = Catalogue(
            "analytics_logtemplate", ("template",), partial(most_of, NameKind.TEMPLATE)
        )


log_memory = LogMemory()


def store_logs(decoded: Decoded, *, received_at: datetime) -> StoreResult:
    """Store log records, the errors they report, and what is counted from them.

    A batch that a client sends again is counted once: records of a trace by ids made of their
    content, the others by the digest of all of them together.
    Raises `django.db.OperationalError` and its kind when the store is down: nothing was stored.
    """
    received_ns = int(received_at.timestamp() * 1e9)
    window, arrival = TimeWindow(received_at), Arrival(received_at)
    records: list[LogRecord] = [
        record
        for record in decoded.items
        if window.accepts(record.time_ns or record.observed_ns or received_ns)
    ]
    records, folded = memory.services.fold(records, received_at)
    rejections = [*decoded.rejections, *window.rejections(), *folded]
    logs, templates = log_rows.prepare_logs(records, received_ns, log_memory.templates)
    kept = [log for log in logs if log.id]
    loose = [log for log in logs if not log.id]
    digest = Digest("logs")
    for record in decoded.items:
        if not log_rows.tells_itself(record):
            digest.add(*log_rows.content_of(record))
    errors = error_store.prepare(
        [log.error for log in logs if log.error is not None], memory.grouper
    )
    loose_errors = _error_ids(loose)
    tapped = [log.record.time_ns for log in logs if taps.wanted(log.record.event_name)]

    def needs() -> None:
        ensure_range(tables.LOG_RECORDS, [log.record.time_ns for log in kept])
        ensure_range(tables.LOG_ROLLUPS, [log.record.time_ns for log in logs])
        ensure_errors(errors, received_at)
        taps.prepare(tapped, received_at)

    def store(direct: bool) -> StoreResult:
        new_batch = batch_is_new(digest.hex(), received_at)
        template_ids = _admit(templates, received_at)
        fresh = [*_write_records(kept, template_ids, direct=direct), *(loose if new_batch else [])]
        folds = _folds(fresh, templates, template_ids)
        novel = errors if new_batch else [e for e in errors if e.id not in loose_errors]
        if novel:
            # As late as can be: batches with failures of the same service wait from here on.
            novel = _without_told(novel, arrival)
        novel = write_errors(novel, received_at, direct=direct)
        warnings = [*pattern_room.warnings_of(novel), *folds.warnings()]
        result = StoreResult(len(fresh), len(logs) - len(fresh), [*rejections, *warnings])
        finish(
            Signal.LOGS, result, novel, [log.record.resource for log in fresh], arrival,
            before_journal=lambda: log_rows.write_log_counts(fresh, template_ids), folds=folds,
            others=lambda: taps.deliver_events(_events(fresh), received_at) if tapped else [],
        )  # fmt: skip
        return result

    return run_storing(store, needs)


def _events(logs: list[PreparedLog]) -> list[EventSeen]:
    """What others may want to hear of."""
    return [
        EventSeen(
            record.resource.service,
            record.resource.instance,
            record.resource.version,
            record.event_name,
            record.time_ns,
            record.attributes,
            record.trace_id,
        )
        for record in (log.record for log in logs)
        if record.event_name
    ]


def _error_ids(logs: list[PreparedLog]) -> set[str]:
    found = [log.error for log in logs if log.error is not None]
    return {time_uuid_hex(error.occurred_ns, error.key) for error in found}


def _without_told(errors: list[PreparedError], arrival: Arrival) -> list[PreparedError]:
    same_failure.lock_services(errors, exclusive=True)
    novel, replaced = same_failure.without_told_by_spans(errors)
    error_store.replace_status_errors(replaced, arrival)
    return novel


def _admit(templates: Mapping[str, tuple[str, str]], at: datetime) -> dict[str, str]:
    """Which template each one is counted as: itself, or `(other)` where its service is full."""
    per_service: dict[str, dict[str, tuple[str]]] = {}
    for template_id, (service, text) in templates.items():
        per_service.setdefault(service, {})[template_id] = (text,)
    counted_as: dict[str, str] = {}
    for service in sorted(per_service):
        rows = per_service[service]
        admitted = log_memory.catalogue.admit(service, rows, at)
        counted_as.update((key, key) for key in admitted)
        if len(admitted) < len(rows):
            other = log_rows.template_key(service, OTHER_TEMPLATES)
            log_memory.catalogue.add(service, {other: (OTHER_TEMPLATES,)}, at)
            counted_as.update((key, other) for key in rows if key not in admitted)
    return counted_as


def _folds(
    logs: list[PreparedLog],
    templates: Mapping[str, tuple[str, str]],
    template_ids: Mapping[str, str],
) -> Folds:
    folds = Folds()
    for log in logs:
        if template_ids[log.template_id] != log.template_id:
            folds.add(NameKind.TEMPLATE, *templates[log.template_id])
    return folds


def _write_records(
    logs: list[PreparedLog], template_ids: Mapping[str, str], *, direct: bool
) -> list[PreparedLog]:
    rows = log_rows.rows_of(logs, template_ids)
    if direct:
        copying.copy_rows(log_rows.TABLE, log_rows.COLUMNS, rows)
        return logs
    new = copying.copy_new_rows(log_rows.TABLE, log_rows.COLUMNS, rows)
    return [log for log in logs if log.id in new]
