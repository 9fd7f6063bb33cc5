"""Storing errors that clients post as plain JSON: the same way that telemetry goes, once each."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from analytics.choices import Signal
from analytics.domain.errors import (
    API,
    SEVERITY_ERROR,
    ErrorRecord,
    correlation_id,
    identity,
    time_uuid_hex,
)
from analytics.domain.posted_errors import PostedError, storable
from analytics.domain.telemetry import Rejection, Resource
from analytics.services import copying, error_store
from analytics.services.arrivals import Arrival
from analytics.services.ingest import (
    StoreResult,
    TimeWindow,
    ensure_errors,
    finish,
    memory,
    run_storing,
    write_errors,
)


class PostedResult(NamedTuple):
    """What became of posted errors. `ids` are in the order of the request: the id of the stored
    error, also where it was stored before, and None for what was rejected, `reasons` saying why."""

    ids: list[UUID | None]
    stored: int
    duplicates: int
    rejections: list[Rejection]
    reasons: dict[int, str] = {}


def store_posted_errors(
    errors: Sequence[PostedError],
    *,
    received_at: datetime,
    correlation: str = "",
    rejections: Sequence[Rejection] = (),
    token: Callable[[], str] = secrets.token_hex,
) -> PostedResult:
    """Store posted errors, each once: told apart by the client's id, else by content and time.

    An error with neither id nor time is a new one each time; `token` makes it so. `correlation`
    is the correlation id of those that have none themselves, `rejections` what was refused of the
    request already and is counted with it.
    Raises `django.db.OperationalError` and its kind when the store is down: nothing was stored.
    """
    errors = [storable(error) for error in errors]
    received_ns = int(received_at.timestamp() * 1e9)
    window, arrival = TimeWindow(received_at), Arrival(received_at)
    reasons: dict[int, str] = {}
    for index, error in enumerate(errors):
        if reason := window.refusal(error.occurred_ns or received_ns):
            reasons[index] = reason
    records = [
        None if index in reasons else _record(error, received_ns, correlation, token)
        for index, error in enumerate(errors)
    ]
    taken, folded = memory.services.fold([r for r in records if r is not None], received_at)
    prepared = error_store.prepare(taken, memory.grouper)
    own_ids = [time_uuid_hex(r.occurred_ns, r.key) if r is not None else "" for r in records]
    claims: dict[str, str] = {}
    for error, own_id in zip(errors, own_ids, strict=True):
        if error.client_id and own_id:
            claims.setdefault(_claim_key(error), own_id)

    def needs() -> None:
        ensure_errors(prepared, received_at)

    def store(direct: bool) -> PostedResult:
        first = _claim(claims, received_at)
        told = {own_id for key, own_id in claims.items() if key not in first}
        known = _claimed(claims)
        ids = [
            known.get(_claim_key(error), own_id) if error.client_id else own_id
            for error, own_id in zip(errors, own_ids, strict=True)
        ]
        wanted = {own_id for own_id in ids if own_id and own_id not in told}
        novel = write_errors([e for e in prepared if e.id in wanted], received_at, direct=direct)
        refused = [*rejections, *window.rejections(), *folded]
        result = StoreResult(len(novel), len(taken) - len(novel), refused)
        finish(Signal.ERRORS, result, novel, [e.record.resource for e in novel], arrival)
        final = [UUID(hex_) if hex_ else None for hex_ in ids]
        return PostedResult(final, result.stored, result.duplicates, result.rejections, reasons)

    return run_storing(store, needs)


def _record(
    error: PostedError, received_ns: int, correlation: str, token: Callable[[], str]
) -> ErrorRecord:
    attributes = error.attributes
    language = str(attributes.get("telemetry.sdk.language") or "")
    instance = str(attributes.get("service.instance.id") or "")
    resource = Resource(error.service, error.environment, instance, "", language, "", {})
    return ErrorRecord(
        _key(error, token),
        error.occurred_ns or received_ns,
        resource,
        error.operation,
        error.type,
        error.message,
        error.severity or SEVERITY_ERROR,
        API,
        error.trace_id,
        error.span_id,
        error.correlation_id or correlation_id(attributes) or correlation,
        error.stacktrace,
        attributes,
    )


def _key(error: PostedError, token: Callable[[], str]) -> bytes:
    if error.client_id:
        return identity(error.service, "id", error.client_id)
    content = (
        error.service, error.environment, error.operation, error.type, error.message,
        error.stacktrace, str(error.severity), str(error.occurred_ns), error.trace_id,
        error.span_id, error.correlation_id, copying.jsonb(error.attributes, ordered=True),
    )  # fmt: skip
    return identity(*content, "" if error.occurred_ns else token())


def _claim_key(error: PostedError) -> str:
    data = f"{error.service}\0{error.client_id}".encode("utf-8", "replace")
    return blake2b(data, digest_size=16).hexdigest()


def _claim(claims: dict[str, str], received_at: datetime) -> set[str]:
    """Let client ids stand for errors; returns those that stood for none before.

    In the order of keys, so that two writers never wait for each other in a circle.
    """
    if not claims:
        return set()
    keys = sorted(claims)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO analytics_postedid (id, error_id, received_at) "
            "SELECT *, %s::timestamptz FROM unnest(%s::uuid[], %s::uuid[]) "
            "ON CONFLICT (id) DO NOTHING RETURNING replace(id::text, '-', '')",
            [received_at, keys, [claims[key] for key in keys]],
        )
        return {row[0] for row in cursor.fetchall()}


def _claimed(keys: Iterable[str]) -> dict[str, str]:
    """The error that each client id stands for (32 hex digits each)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT replace(id::text, '-', ''), replace(error_id::text, '-', '') "
            "FROM analytics_postedid WHERE id = ANY(%s::uuid[])",
            [list(keys)],
        )
        return dict(cursor.fetchall())
