"""Groups that are looked at before their time, as a channel that failed was mended."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from alerting.models import AlertGroup, Notified


@transaction.atomic
def groups_wake(*, channel_id: UUID, now: datetime) -> None:
    """Look at once at the groups of which a channel was to hear that something fires: what never
    reached it is told now. Not within a transaction that holds the channel, which whoever tells of
    a group refers to. A group that somebody else holds is looked at before long anyway."""
    told = Notified.objects.filter(channel=channel_id).exclude(firing=[])
    rows = AlertGroup.objects.select_for_update(no_key=True, skip_locked=True).filter(
        pk__in=list(told.values_list("group_id", flat=True)), due_at__gt=now
    )
    waked = [each.pk for each in rows.order_by("pk").only("pk")]
    AlertGroup.objects.filter(pk__in=waked).update(due_at=now)
