"""Log records as COPY rows, and their counts per template, severity class and minute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson
from django.db import connection

from analytics.domain.errors import ErrorRecord, error_of_log, identity, time_uuid_hex
from analytics.domain.masking import mask
from analytics.domain.telemetry import Attributes, LogRecord
from analytics.services import copying
from analytics.services.copying import Clock
from analytics.services.grouping import Recent
from analytics.services.rollups import MINUTE_NS

TABLE = "analytics_logrecord"
COLUMNS = (
    "id", "time", "service", "instance", "scope", "event_name", "severity", "trace_id", "span_id",
    "template_id", "body", "attributes",
)  # fmt: skip
MAX_BODY = 1_024
_MAX_SEVERITY = 24
MAX_TEMPLATE = 500
_STACK = "exception.stacktrace"
_JSON = orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS


class PreparedLog(NamedTuple):
    """A log record with all that is stored of it. `id` is "" where it belongs to no trace, or
    tells no time: nothing then tells it from another one."""

    id: str
    record: LogRecord
    body: str
    attributes: Attributes
    template_id: str
    error: ErrorRecord | None


class Templates:
    """Templates of log records, remembered per thread so that masking is paid once per text."""

    def __init__(self, size: int = 4_096) -> None:
        self._recent: Recent[tuple[str, str], tuple[str, str]] = Recent(size)

    def of(self, service: str, text: str) -> tuple[str, str]:
        """The id (32 hex digits) and the text of the template of a message."""
        return self._recent.get((service, text), lambda: _template(service, text))


def _template(service: str, text: str) -> tuple[str, str]:
    template = mask(text)[:MAX_TEMPLATE]
    return template_key(service, template), template


def template_key(service: str, template: str) -> str:
    """The id of a template (32 hex digits)."""
    data = f"{service}\0{template}".encode("utf-8", "replace")
    return blake2b(data, digest_size=16).hexdigest()


def severity_class(severity: int) -> int:
    """0 unset, 1 trace, 2 debug, 3 info, 4 warn, 5 error, 6 fatal."""
    return (severity + 3) // 4


def usable(record: LogRecord, received_ns: int) -> LogRecord:
    """The record with a time (its own, else when it was observed, else when it was received) and
    a severity that OTLP knows, or none."""
    if not record.time_ns:
        record = record._replace(time_ns=record.observed_ns or received_ns)
    if not 0 <= record.severity <= _MAX_SEVERITY:
        record = record._replace(severity=0)
    return record


def tells_itself(record: LogRecord) -> bool:
    """Whether a record as sent carries what tells it from every other one."""
    return bool(record.trace_id and (record.time_ns or record.observed_ns))


def content_of(record: LogRecord) -> tuple[str | bytes, ...]:
    """All that tells a record as sent from another one."""
    resource, body = record.resource, record.body
    return (
        f"{resource.service}\0{resource.instance}\0{record.scope}\0{record.trace_id}\0"
        f"{record.span_id}\0{record.time_ns}\0{record.observed_ns}\0{record.severity}\0"
        f"{record.event_name}",
        body if isinstance(body, str) else orjson.dumps(body, option=_JSON),
        orjson.dumps(record.attributes, option=_JSON),
    )


def prepare_logs(
    records: Iterable[LogRecord], received_ns: int, templates: Templates
) -> tuple[list[PreparedLog], dict[str, tuple[str, str]]]:
    """Prepare records for storing; also returns the service and text of each template by id."""
    prepared: list[PreparedLog] = []
    found: dict[str, tuple[str, str]] = {}
    repeats: dict[str, int] = {}
    for sent in records:
        record = usable(sent, received_ns)
        service, body = record.resource.service, _body(record.body)
        error = error_of_log(record)
        template_id, template = templates.of(service, _message(record, body))
        found[template_id] = (service, template)
        key = ""
        if tells_itself(sent):
            key = _key(sent, record.time_ns, repeats)
        attributes = record.attributes
        if error is not None and _STACK in attributes:
            # The stack trace is stored once, with the error event.
            attributes = {name: v for name, v in attributes.items() if name != _STACK}
        prepared.append(PreparedLog(key, record, body, attributes, template_id, error))
    return prepared, found


def _key(sent: LogRecord, time_ns: int, repeats: dict[str, int]) -> str:
    content = content_of(sent)
    parts = [part if isinstance(part, str) else part.decode() for part in content]
    key = time_uuid_hex(time_ns, identity(*parts))
    # The same words at the same moment are two records when one batch holds both.
    count = repeats[key] = repeats.get(key, 0) + 1
    return key if count == 1 else time_uuid_hex(time_ns, identity(*parts, str(count)))


def _body(body: Any) -> str:
    if body is None:
        return ""
    text = body if isinstance(body, str) else orjson.dumps(body, option=_JSON).decode()
    if len(text) * 4 <= MAX_BODY or (len(text) <= MAX_BODY and text.isascii()):
        return text
    return text[:MAX_BODY].encode("utf-8", "replace")[:MAX_BODY].decode("utf-8", "ignore")


def _message(record: LogRecord, body: str) -> str:
    if not body:
        type_ = record.attributes.get("exception.type")
        message = record.attributes.get("exception.message")
        body = ": ".join(str(part) for part in (type_, message) if part)[:MAX_BODY]
    if record.event_name and body:
        return f"{record.event_name}: {body}".replace("\0", "")
    return (record.event_name or body).replace("\0", "")


def rows_of(logs: Sequence[PreparedLog], template_ids: Mapping[str, str]) -> list[str]:
    """Records with an id as COPY rows, in the order of `COLUMNS`."""
    clock, escape, json = Clock(), copying.text, copying.json
    prefixes: dict[tuple[int, str, str], str] = {}
    rows = []
    for log_id, record, body, attributes, template_id, _ in logs:
        resource = record.resource
        key = (id(resource), record.scope, record.event_name)
        prefix = prefixes.get(key)
        if prefix is None:
            parts = (resource.service, resource.instance, record.scope, record.event_name)
            prefix = prefixes[key] = "\t".join(map(escape, parts))
        rows.append(
            f"{log_id}\t{clock.text(record.time_ns)}\t{prefix}\t{record.severity}\t"
            f"{record.trace_id}\t{record.span_id}\t{template_ids[template_id]}\t{escape(body)}\t"
            f"{json(attributes)}"
        )
    return rows


def write_log_counts(logs: Iterable[PreparedLog], template_ids: Mapping[str, str]) -> None:
    """Add records to their counts, in key order so that two writers never deadlock."""
    counts: dict[tuple[int, str, str, int], int] = {}
    for log in logs:
        record = log.record
        key = (
            record.time_ns // MINUTE_NS,
            record.resource.service,
            template_ids[log.template_id],
            severity_class(record.severity),
        )
        counts[key] = counts.get(key, 0) + 1
    if not counts:
        return
    keys = sorted(counts)
    minutes, services, templates, severities = zip(*keys, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO analytics_logrollup AS t (minute, service, template_id, severity, records) "
            "SELECT * FROM unnest(%s::timestamptz[], %s::text[], %s::uuid[], %s::smallint[], "
            "%s::bigint[]) ON CONFLICT (minute, service, template_id, severity) "
            "DO UPDATE SET records = t.records + excluded.records",
            [
                [datetime.fromtimestamp(minute * 60, UTC) for minute in minutes],
                list(services),
                list(templates),
                list(severities),
                [counts[key] for key in keys],
            ],
        )
