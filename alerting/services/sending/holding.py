"""Deliveries that one turn deals with, and what it may change beside them, held until its end."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from alerting.models import AlertGroup, Channel, Delivery

AT_ONCE: Final = 200


def held(rows: QuerySet[Delivery], first: str) -> tuple[list[Delivery], dict[UUID, Channel]]:
    """At most `AT_ONCE` of the rows, those first that are first by the column `first`, and their
    channels, locked inside the caller's transaction. What others hold is left to the next turn.

    Channels come before groups and deliveries, in every transaction that locks them, each in the
    order of their keys.
    """
    found = list(rows.order_by(first).values_list("pk", "channel_id", "group_id")[:AT_ONCE])
    locked = Channel.objects.select_for_update(no_key=True).order_by("pk")
    channels = {each.pk: each for each in locked.filter(pk__in={each[1] for each in found})}
    # Whoever places alerts holds groups in another order: what is theirs now is for the next turn.
    groups = AlertGroup.objects.select_for_update(no_key=True, skip_locked=True)
    ours = groups.filter(pk__in={each[2] for each in found}).order_by("pk")
    free = {None, *ours.values_list("pk", flat=True)}
    # They are asked for anew: some may not be waiting any more.
    still = rows.filter(pk__in=[pk for pk, _, group in found if group in free])
    still = still.select_for_update(skip_locked=True, of=("self",))
    # Of one turn of a group by name: in this order who stands in for them names them.
    return list(still.order_by("created_at", "channel_name", "pk")), channels
