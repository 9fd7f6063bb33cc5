"""Groups that are due: each channel is told what it does not know yet, through the outbox.

The notification log and the deliveries are written in one transaction a group, with its row locked:
two senders never tell the same twice, and one that dies in the middle has told nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db import transaction
from django.db.models import Q

from alerting.domain.dedup import Deduplicator, News
from alerting.domain.pipeline import Stage, run
from alerting.models import AlertGroup
from alerting.selectors.group_news import group_now, repeat_of
from alerting.services.dispatch.delivering import Deliverer
from alerting.services.dispatch.waking import missed_to_tell

# Groups that one turn tells of; the rest are told by the next one.
MOST_GROUPS: Final = 200
# Of a group whose route is gone, and which waits for ends alone.
_INTERVAL: Final = timedelta(minutes=5)
# A group due later than any interval was left so by a clock that was wrong.
LONGEST_INTERVAL: Final = timedelta(days=1)


def groups_tell(*, now: datetime) -> int:
    """Tell of the groups that are due, and channels that were mended what they missed; gives how many
    deliveries that made.

    A group that fails keeps none of the others from being told: what went wrong is raised at the
    end, as an `ExceptionGroup`, and the group is tried again by the next turn.
    """
    due = AlertGroup.objects.filter(_due(now)).order_by("due_at").values_list("pk", flat=True)
    tells: list[Callable[[], int]] = [
        partial(group_tell, group_id=pk, now=now) for pk in due[:MOST_GROUPS]
    ]
    made, failed = 0, []
    for tell in (*tells, *missed_to_tell(now)):
        try:
            made += tell()
        except Exception as error:
            failed.append(error)
    if failed:
        raise ExceptionGroup(f"{len(failed)} groups of alerts could not be told", failed)
    return made


@transaction.atomic
def group_tell(*, group_id: int, now: datetime) -> int:
    """Tell the channels of a group what they do not know, if it is due and nobody else is at it;
    gives how many deliveries that made."""
    # Others may refer to the group meanwhile, such as a sender that falls back.
    found = AlertGroup.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
    group = found.select_related("route").filter(_due(now), pk=group_id).first()
    if group is None:
        return 0
    standing = group_now(group, now=now)
    stages: tuple[Stage[News], ...] = (
        Deduplicator(repeat_of(group), now),
        Deliverer(group, standing.channels, standing.log, now),
    )
    told = run(stages, standing.news)
    _put_off(group, standing.fires or any(each.knows_firing for each in told), now)
    return sum(each.delivery is not None for each in told)


def _due(now: datetime) -> Q:
    return Q(due_at__lte=now) | Q(due_at__gt=now + LONGEST_INTERVAL)


def _put_off(group: AlertGroup, goes_on: bool, now: datetime) -> None:
    """Until it may be told again; a group in which nothing goes on rests."""
    route = group.route
    interval = timedelta(seconds=route.group_interval_seconds) if route else _INTERVAL
    group.due_at = now + interval if goes_on else None
    group.last_flush_at = now
    group.save(update_fields=["due_at", "last_flush_at"])
