"""Reads of logs: their counts, and the records of a trace."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from analytics.models import LogRecord
from resilience_site.core.timerange import TimeRange

# Spans of one trace lie within hours of each other, so older and newer partitions need no look.
_AROUND = timedelta(hours=1)
MAX_RECORDS = 5_000


@dataclass(frozen=True)
class TemplateCount:
    """How often a template was logged in a range; `severity` is the highest class 0..6 seen."""

    template_id: UUID
    service: str
    template: str
    severity: int
    records: int
    first_minute: datetime
    last_minute: datetime


@dataclass(frozen=True)
class LogPoint:
    """Records of one step of a series, which begins at `at`, by severity class 0..6."""

    at: datetime
    records: dict[int, int]


def template_counts(
    within: TimeRange, *, service: str = "", least_severity: int = 0, limit: int = 100
) -> list[TemplateCount]:
    """The templates logged most in a time range."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.template_id, r.service, t.template, r.severity, r.records, r.first, r.last "
            "FROM (SELECT template_id, service, max(severity) AS severity, "
            "sum(records)::bigint AS records, min(minute) AS first, max(minute) AS last "
            "FROM analytics_logrollup WHERE minute >= date_trunc('minute', %s::timestamptz) "
            "AND minute < %s AND (%s = '' OR service = %s) AND severity >= %s "
            "GROUP BY template_id, service ORDER BY records DESC, template_id LIMIT %s) r "
            "JOIN analytics_logtemplate t ON t.id = r.template_id "
            "ORDER BY r.records DESC, r.template_id",
            [within.since, within.until, service, service, least_severity, limit],
        )
        return [TemplateCount(*row) for row in cursor.fetchall()]


def log_series(
    within: TimeRange, step: timedelta, *, service: str = "", template_id: UUID | None = None
) -> list[LogPoint]:
    """Log records over time; steps without any are left out."""
    parameters: list[Any] = [
        step, within.since, within.until, service, service, template_id, template_id,
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT date_bin(%s, minute, 'epoch'::timestamptz) AS at, severity, "
            "sum(records)::bigint FROM analytics_logrollup "
            "WHERE minute >= date_trunc('minute', %s::timestamptz) AND minute < %s "
            "AND (%s = '' OR service = %s) AND (%s::uuid IS NULL OR template_id = %s) "
            "GROUP BY at, severity ORDER BY at, severity",
            parameters,
        )
        points: dict[datetime, dict[int, int]] = {}
        for at, severity, records in cursor.fetchall():
            points.setdefault(at, {})[severity] = records
    return [LogPoint(at, records) for at, records in points.items()]


def logs_of_trace(
    trace_id: str, started_at: datetime, ended_at: datetime, limit: int = MAX_RECORDS
) -> list[LogRecord]:
    """The log records of a trace that ran from `started_at` to `ended_at`, oldest first."""
    rows = LogRecord.objects.filter(
        trace_id=trace_id,
        time__gte=started_at - _AROUND,
        time__lte=ended_at + _AROUND,
    )
    return list(rows.order_by("time", "id")[:limit])
