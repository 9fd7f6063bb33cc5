"""Silences that ended and groups that came to rest go, once no alert of theirs is kept any more.

Incidents stay for longer, with the timeline that tells of their alerts, and so do reports: a year
can be looked at beside the one before it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from alerting.choices import IncidentState
from alerting.models import AlertGroup, Incident, ResilienceReport, Silence
from alerting.services.alerts import KEPT

ACCOUNTS_KEPT: Final = timedelta(days=400)
_BATCH: Final = 1_000


def history_prune(*, now: datetime) -> dict[str, int]:
    """Delete those that are past their time, in batches; how many of each."""
    oldest, first_account = now - KEPT, now - ACCOUNTS_KEPT
    past: dict[str, QuerySet[Any]] = {
        "silences": Silence.objects.filter(ends_at__lt=oldest),
        "groups": _at_rest(oldest),
        "incidents": Incident.objects.filter(
            state=IncidentState.RESOLVED, ended_at__lt=first_account
        ),
        "reports": ResilienceReport.objects.filter(made_at__lt=first_account),
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
