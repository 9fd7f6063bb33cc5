"""The reaper: ends what nobody ends. It writes under a lease of its own, like any worker."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Q

from healing.choices import RunState
from healing.models import HealingRun
from healing.services.runs.ending import run_end
from healing.services.runs.leases import lease_claim


def runs_reap(now: datetime) -> list[UUID]:
    """End runs to which nobody said yes in time; the ids of those. Runs whose lease is dead, and
    those beyond their deadline, are due by that: whoever looks at them next goes on or ends them.
    """
    late = HealingRun.objects.filter(
        Q(approve_until__lte=now) | Q(approve_until=None), state=RunState.WAITING_APPROVAL
    )
    ended = []
    for run_id in late.values_list("pk", flat=True):
        lease = lease_claim(run_id=run_id, now=now)
        if lease is None:
            continue
        with lease.writing() as run:
            if run.state == RunState.WAITING_APPROVAL:
                run_end(run, RunState.CANCELLED, "Nobody approved it in time.", now)
                ended.append(run.pk)
    # One that nothing makes due any more is looked at once it is beyond its deadline.
    HealingRun.objects.filter(
        state__in=[RunState.PENDING, RunState.RUNNING, RunState.VERIFYING],
        deadline__lte=now,
        due_at__gt=now,
    ).update(due_at=now)
    return ended
