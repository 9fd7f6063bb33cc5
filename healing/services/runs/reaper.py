"""The reaper: ends what nobody ends."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from healing.choices import RunState
from healing.models import HealingRun
from healing.services.runs.beginning import RECOVERED, workflow_gone
from healing.services.runs.ending import run_end
from healing.services.runs.standing import recovered_by_itself


def runs_reap(now: datetime) -> list[UUID]:
    """End runs that wait for a yes which nobody gave in time, or that is in vain by now; the ids of
    those. Runs whose lease is dead, and those beyond their deadline, are due by that:
    whoever looks at them next goes on or ends them.
    """
    waiting = HealingRun.objects.filter(state=RunState.WAITING_APPROVAL)
    ended = [run.pk for run in waiting if _is_over(run, now) and _end(run.pk, now)]
    # One that nothing makes due any more is looked at once it is beyond its deadline.
    HealingRun.objects.filter(
        state__in=[RunState.PENDING, RunState.RUNNING, RunState.VERIFYING],
        deadline__lte=now,
        due_at__gt=now,
    ).update(due_at=now)
    return ended


def _is_over(run: HealingRun, now: datetime) -> bool:
    late = (run.approve_until or now) <= now
    return late or run.workflow_row_id is None or recovered_by_itself(run, now)


def _end(run_id: UUID, now: datetime) -> bool:
    """Nobody advances a run that waits: the lock on its row is enough."""
    with transaction.atomic():
        rows = HealingRun.objects.select_for_update(no_key=True)
        run = rows.filter(pk=run_id, state=RunState.WAITING_APPROVAL).first()
        if run is None:
            return False
        approval_end(run, now)
    return True


def approval_end(run: HealingRun, now: datetime) -> None:
    """End a run that waits for approval, inside the caller's transaction."""
    if (run.approve_until or now) <= now:
        words = "Nobody approved it in time."
    elif run.workflow_row_id is None:
        words = workflow_gone(run)
    else:
        words = RECOVERED
    run_end(run, RunState.CANCELLED, words, now)
