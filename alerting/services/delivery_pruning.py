"""Deliveries that ended long ago are forgotten, with their attempts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from alerting.models import Delivery

RETENTION: Final = timedelta(days=30)
_AT_ONCE: Final = 1_000


def deliveries_prune(*, now: datetime) -> int:
    """Forget what ended more than `RETENTION` ago, in bounded steps; how many."""
    ended = Delivery.objects.filter(ended_at__lt=now - RETENTION, created_at__lt=now - RETENTION)
    count = 0
    while ids := list(ended.order_by("created_at").values_list("pk", flat=True)[:_AT_ONCE]):
        Delivery.objects.filter(pk__in=ids).delete()
        count += len(ids)
    return count
