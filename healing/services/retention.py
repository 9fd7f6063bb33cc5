"""Housekeeping: runs and opportunities that are past their time go, in batches."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet

from healing.choices import OPEN, OpportunityState
from healing.models import HealingRun, Opportunity

# Longer than anything is learned from, and than reports look back.
RUNS_KEPT: Final = timedelta(days=400)
# What touched nothing: dry runs and refusals.
IDLE_KEPT: Final = timedelta(days=30)
OPPORTUNITIES_KEPT: Final = timedelta(days=90)
_BATCH: Final = 500


def history_prune(*, now: datetime) -> dict[str, int]:
    """Delete what is past its time; how many rows of each table, without the steps of runs."""
    over = HealingRun.objects.exclude(state__in=OPEN)
    idle = (Q(dry_run=True) | ~Q(refused_by="")) & Q(created_at__lt=now - IDLE_KEPT)
    runs = over.filter(Q(created_at__lt=now - RUNS_KEPT) | idle)
    past = Opportunity.objects.exclude(state=OpportunityState.OPEN)
    return {
        "healing_healingrun": _delete(runs),
        "healing_opportunity": _delete(past.filter(last_seen__lt=now - OPPORTUNITIES_KEPT)),
    }


def _delete(rows: QuerySet[Any]) -> int:
    """In short transactions, so that nobody waits; rows in use are left for the next time."""
    deleted = 0
    while True:
        with transaction.atomic():
            locked = rows.order_by("pk").select_for_update(skip_locked=True)
            keys = list(locked.values_list("pk", flat=True)[:_BATCH])
            rows.model.objects.filter(pk__in=keys).delete()
        deleted += len(keys)
        if len(keys) < _BATCH:
            return deleted
