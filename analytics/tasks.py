"""Background work of error analytics. Every task may run twice, or be missed, without harm."""

from __future__ import annotations

from datetime import UTC, datetime

from celery import shared_task

from analytics.services import metric_hours, retention
from resilience_site.core import partitions


@shared_task
def partitions_ahead() -> None:
    """Make the partitions that rows of the next hours and days fall into."""
    partitions.ensure_ahead(datetime.now(UTC))


@shared_task
def metric_hours_sum() -> None:
    """Sum up the minutes of metrics into hours."""
    metric_hours.metric_hours_sum(now=datetime.now(UTC))


@shared_task
def retention_apply() -> None:
    """Drop what is older than its retention."""
    retention.retention_apply(now=datetime.now(UTC))
