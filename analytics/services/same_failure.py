"""One failure that a span and a log record both tell of is one error, whichever arrives first.

A span tells of all its failures at once, so its exception events say how often something failed:
two events alike are two failures, as of a retry that failed again. Log records of the same span,
type and message tell of the same failures, one each where the span had not arrived yet, and any
number of them once it has. Their stack traces may differ: a traceback grows while its exception
travels up to the span's end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from django.db import connection

from analytics.choices import ErrorSource
from analytics.domain.errors import bare_type
from analytics.services.error_store import TABLE, PreparedError, StoredKey

_LOCK_CLASS = 0x6572726F

# Trace, span, type without its module, and message: what all reports of a failure have in common.
_Form = tuple[str, str, str, str]


class _Stored(NamedTuple):
    form: _Form
    key: StoredKey
    source: int


def lock_services(errors: Sequence[PreparedError], *, exclusive: bool) -> None:
    """Keep the two forms of one failure from passing each other unseen.

    Batches of spans never report a failure twice in two forms among themselves, so they share
    the lock; a batch of log records takes it alone. Held to the end of the transaction.
    """
    services = sorted({error.record.resource.service for error in errors})
    function = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
    with connection.cursor() as cursor:
        for service in services:
            cursor.execute(f"SELECT {function}(%s, hashtext(%s))", [_LOCK_CLASS, service])


def without_told_by_logs(errors: Sequence[PreparedError]) -> list[PreparedError]:
    """Leave out span errors that log records told before, one for each such record; of a span
    that names no exception itself, any record tells."""
    told = _stored(errors, "source = 2 AND trace_id <> ''")
    if not told:
        return list(errors)
    spans_told = {each.form[:2] for each in told}
    untaken = Counter(each.form for each in told)
    # A batch that is sent again must find the same ones told as the first time.
    there = {each.key[1] for each in _stored(errors, "source = 1 AND trace_id <> ''")}
    kept = []
    for error in errors:
        form = _form(error)
        if error.id in there:
            kept.append(error)
        elif error.record.source == ErrorSource.SPAN_STATUS:
            if form[:2] not in spans_told:
                kept.append(error)
        elif untaken[form]:
            untaken[form] -= 1
        else:
            kept.append(error)
    return kept


def without_told_by_spans(
    errors: Sequence[PreparedError],
) -> tuple[list[PreparedError], list[StoredKey]]:
    """Leave out log errors that a span told before; also returns the keys of the mere span
    statuses that these log records now explain, to be replaced by them."""
    stored = _stored(errors, "trace_id <> ''")
    by_other_means = (ErrorSource.LOG, ErrorSource.SPAN_STATUS)
    told = {each.form for each in stored if each.source not in by_other_means}
    statuses: dict[tuple[str, str], list[StoredKey]] = {}
    for each in stored:
        if each.source == ErrorSource.SPAN_STATUS:
            statuses.setdefault(each.form[:2], []).append(each.key)
    kept = [error for error in errors if _form(error) not in told]
    explained = {(error.record.trace_id, error.record.span_id) for error in kept}
    return kept, [key for span in explained for key in statuses.get(span, ())]


def _form(error: PreparedError) -> _Form:
    record = error.record
    return record.trace_id, record.span_id, bare_type(record.type), record.message


def _stored(errors: Sequence[PreparedError], condition: str) -> list[_Stored]:
    """The stored errors of the spans that these errors are of."""
    spans = {(e.record.trace_id, e.record.span_id) for e in errors}
    traces = [trace for trace in {trace for trace, span in spans if span} if trace]
    if not traces:
        return []
    times = [datetime.fromtimestamp(e.record.occurred_ns / 1e9, UTC) for e in errors]
    with connection.cursor() as cursor:
        cursor.execute(  # the condition is one of three constants of this module
            "SELECT trace_id, span_id, type, message, occurred_at, replace(id::text, '-', ''), "
            f"source FROM {TABLE} WHERE {condition} AND span_id <> '' AND trace_id = ANY(%s) "
            "AND occurred_at BETWEEN %s::timestamptz - interval '1 hour' "
            "AND %s::timestamptz + interval '1 hour'",
            [traces, min(times), max(times)],
        )
        return [
            _Stored((trace, span, bare_type(type_), message), (at, error_id), source)
            for trace, span, type_, message, at, error_id, source in cursor.fetchall()
        ]
