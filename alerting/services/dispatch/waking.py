"""Channels that were mended: what never reached them is told before its group is due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

from alerting.choices import DeliveryState, Purpose
from alerting.domain.dedup import Deduplicator, News
from alerting.domain.pipeline import Stage, run
from alerting.models import AlertGroup, Delivery, Notified
from alerting.selectors.group_news import missed_now, repeat_of
from alerting.services.dispatch.delivering import Deliverer

# What one turn tells so; the rest is told by the next one.
_MOST: Final = 200


@transaction.atomic
def channel_mended(*, channel_id: UUID) -> None:
    """A person has changed, resumed or tested a channel: what fires and never reached it is told it
    by the next turn, and nobody else. One by which no message of its groups has failed has missed
    nothing. What somebody else tells right now is looked at again before long anyway."""
    failed = Delivery.objects.filter(
        group=OuterRef("group"),
        channel=channel_id,
        purpose=Purpose.ALERTS,
        state=DeliveryState.FAILED,
    )
    rows = Notified.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
    rows = rows.filter(Exists(failed), channel=channel_id).exclude(firing=[])
    found = [each.pk for each in rows.order_by("pk").only("pk")]
    Notified.objects.filter(pk__in=found).update(mended=True)


def missed_to_tell(now: datetime) -> list[Callable[[], int]]:
    """For each channel that was mended, and each group, what tells it what fires and never reached
    it, though the group is not due: to all else this stays as it is."""
    rows = Notified.objects.filter(mended=True).order_by("group_id", "channel_id")
    found = rows.values_list("group_id", "channel_id")[:_MOST]
    return [partial(_tell, group, channel, now) for group, channel in found]


@transaction.atomic
def _tell(group_id: int, channel_id: UUID, now: datetime) -> int:
    found = AlertGroup.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
    group = found.select_related("route").filter(pk=group_id).first()
    if group is None:
        return 0
    standing = missed_now(group, channel_id, now=now)
    stages: tuple[Stage[News], ...] = (
        Deduplicator(repeat_of(group), now),
        Deliverer(group, standing.channels, standing.log, now),
    )
    told = run(stages, standing.news)
    Notified.objects.filter(group=group, channel=channel_id).update(mended=False)
    return sum(each.delivery is not None for each in told)
