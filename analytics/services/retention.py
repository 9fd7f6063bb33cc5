"""Housekeeping: what is past its time goes, partitions whole and the small tables in batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection

from analytics.models.late import LATE_KEPT
from analytics.models.partitions import error_retention, hour_retention
from analytics.services import receipts
from analytics.services.figure_hours import chain_hours_sum
from analytics.services.metric_hours import metric_hours_sum
from analytics.services.pattern_pruning import patterns_prune
from analytics.services.pattern_thinning import patterns_thin
from analytics.services.signs import HISTORY
from resilience_site.core import partitions
from resilience_site.core.pruning import delete_before

# A writer that was silent for longer begins anew.
_STREAMS_KEPT = timedelta(days=1)
_NAMES_KEPT = timedelta(days=1)
_LOCK = 0x72657465


@dataclass(frozen=True)
class Dropped:
    """What one run removed: the names of partitions, and rows per table."""

    partitions: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)


def retention_apply(*, now: datetime) -> Dropped:
    """Drop what is older than its retention. A second run at the same moment does nothing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return Dropped()
    try:
        # Minutes of metrics are dropped long before their hours, and chains before theirs.
        metric_hours_sum(now=now)
        chain_hours_sum(now=now)
        dropped = Dropped(partitions.drop_expired(now), _prune(now))
        # What is past its time goes first, so that less has to be given up.
        dropped.rows["analytics_errorpattern"] = patterns_prune(now=now) + patterns_thin(now=now)
        return dropped
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _prune(now: datetime) -> dict[str, int]:
    oldest = now - error_retention()
    learnt = now - HISTORY
    limits = {
        ("analytics_stacktrace", "last_seen"): oldest.date(),
        ("analytics_logtemplate", "last_seen"): oldest.date(),
        ("analytics_metricseries", "last_seen"): oldest.date(),
        ("analytics_postedid", "received_at"): oldest,
        ("analytics_metricstream", "updated_at"): now - _STREAMS_KEPT,
        # Whose figures are kept: only what came yesterday or today keeps its room.
        ("analytics_callname", "last_seen"): (now - _NAMES_KEPT).date(),
        ("analytics_foldedname", "last_at"): oldest,
        ("analytics_batchreceipt", "received_at"): now - receipts.KEPT,
        # Versions are limited in number: those that run no more make room for new ones.
        ("analytics_release", "last_seen"): now - hour_retention(),
        # Who calls whom is drawn from the hours.
        ("analytics_peeralias", "updated_at"): now - hour_retention(),
        ("analytics_edgesighting", "told_at"): now - hour_retention(),
        ("analytics_chainonset", "minute"): oldest,
        ("analytics_latefigure", "known_from"): now - LATE_KEPT,
        ("analytics_formerslo", "until"): now - LATE_KEPT,
        ("analytics_sign", "minute"): learnt,
        ("analytics_observedfailure", "at"): learnt,
        ("analytics_prediction", "due_at"): learnt,
        ("analytics_predictionmodel", "trained_at"): learnt,
    }
    return {table: delete_before(table, column, limit) for (table, column), limit in limits.items()}
