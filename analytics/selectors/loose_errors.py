"""Errors that neither a trace nor a correlation id joins, and what tells which belong together."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from analytics.choices import ChainKind
from analytics.domain.edge_chains import LooseError
from analytics.models import CorrelationChain, ErrorEvent
from resilience_site.core.timerange import TimeRange

# The newest of a turn.
MOST_ERRORS = 5_000

_ONSETS = """
WITH minutes AS (
    SELECT service, minute, lag(minute) OVER (PARTITION BY service ORDER BY minute) AS earlier
    FROM (SELECT DISTINCT service, minute FROM analytics_errorrollup
        WHERE minute >= %(since)s AND minute < %(until)s AND service = ANY(%(services)s)) seen
)
SELECT service, extract(epoch FROM minute)::float FROM minutes
WHERE earlier IS NULL OR minute - earlier > %(silence)s::interval ORDER BY minute
"""


def loose_errors(within: TimeRange) -> list[LooseError]:
    """The newest errors of a range without a trace and without a correlation id."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (extract(epoch FROM occurred_at) * 1000000)::bigint, id::text, service "
            "FROM analytics_errorevent WHERE trace_id = '' AND correlation_id = '' "
            "AND occurred_at >= %s AND occurred_at < %s ORDER BY occurred_at DESC LIMIT %s",
            [within.since, within.until, MOST_ERRORS],
        )
        return [LooseError(micros * 1_000, key, name) for micros, key, name in cursor.fetchall()]


def service_onsets(
    services: list[str], within: TimeRange, silence: timedelta
) -> dict[str, list[float]]:
    """When spells of errors of each service began, as Unix times of their minutes."""
    with connection.cursor() as cursor:
        cursor.execute(
            _ONSETS,
            {
                "since": within.since,
                "until": within.until,
                "services": services,
                "silence": str(silence),
            },
        )
        onsets: dict[str, list[float]] = {}
        for service, moment in cursor.fetchall():
            onsets.setdefault(service, []).append(moment)
        return onsets


def edge_chains_of(error_ids: list[UUID], since: datetime) -> list[CorrelationChain]:
    """The chains by time and dependency that hold any of the errors, oldest first."""
    return list(
        CorrelationChain.objects.filter(
            kind=ChainKind.EDGE, error_ids__overlap=error_ids, opened_on__gte=since.date()
        ).order_by("started_at", "id")
    )


def edge_chain_of(error: ErrorEvent) -> CorrelationChain | None:
    """The chain that only time and dependency put an error into, if any."""
    if error.trace_id or error.correlation_id:
        return None
    found = edge_chains_of([error.id], error.occurred_at - timedelta(days=1))
    return found[0] if found else None
