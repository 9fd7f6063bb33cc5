"""What is past its time goes, in batches: alerts that ended, silences, groups at rest.

Incidents stay, with the timeline that tells of their alerts, and so do reports. Deliveries have a
time of their own (`alerting.services.delivery_pruning`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from alerting.choices import AlertState
from alerting.models import Alert, AlertGroup, Silence
from analytics.models.partitions import hour_retention

_BATCH: Final = 1_000


def history_prune(*, now: datetime) -> dict[str, int]:
    """Delete what is older than figures per hour are kept; how many of each."""
    oldest = now - hour_retention()
    past: dict[str, QuerySet[Any]] = {
        "alerts": Alert.objects.filter(state=AlertState.RESOLVED, ended_at__lt=oldest),
        "silences": Silence.objects.filter(ends_at__lt=oldest),
        "groups": _at_rest(oldest),
    }
    return {name: _delete(rows) for name, rows in past.items()}


def _at_rest(oldest: datetime) -> QuerySet[AlertGroup]:
    """Groups without alerts that nobody was told of for so long."""
    alerts = AlertGroup.alerts.through.objects.filter(alertgroup=OuterRef("pk"))
    return AlertGroup.objects.filter(
        ~Exists(alerts), due_at=None, created_at__lt=oldest, last_flush_at__lt=oldest
    )


def _delete(rows: QuerySet[Any]) -> int:
    """In short transactions; rows in use are left for the next run."""
    deleted = 0
    while True:
        with transaction.atomic():
            found = rows.order_by("pk").select_for_update(skip_locked=True, of=("self",))
            ids = list(found.values_list("pk", flat=True)[:_BATCH])
            rows.model.objects.filter(pk__in=ids).delete()
        deleted += len(ids)
        if len(ids) < _BATCH:
            return deleted
