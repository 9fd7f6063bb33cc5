"""Open opportunities are judged again and again, and runs begin once guardrails let them."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction

from healing.actions.base import Subject
from healing.choices import OpportunityState
from healing.models import HealingRun, Opportunity
from healing.services.recovery_orchestrator import run_start
from resilience_site.core.audit import Actor

logger = logging.getLogger(__name__)

ACTOR: Final = Actor.system("healing")
AGAIN: Final = timedelta(seconds=10)
# For which whoever judges one has it alone, however long that takes.
_CLAIM: Final = timedelta(seconds=60)
_MOST: Final = 50
# Any constant that no other advisory lock of the site uses. Of two that claim at once each would
# get a part, and a workflow could begin before one that goes first.
_CLAIM_LOCK: Final = 0x6865616C636C61


def opportunities_try(*, now: datetime) -> list[HealingRun]:
    """Judge the opportunities that are due; returns the runs that began."""
    begun = []
    for row in opportunities_claim(now):
        try:
            run = _try(row, now)
        except Exception:
            # What is wrong with one must not keep the others from being healed; it comes up again.
            logger.exception("%s on %s could not be tried", row.workflow.name, row.target)
            continue
        if run is not None:
            begun.append(run)
    return begun


def opportunities_claim(now: datetime) -> list[Opportunity]:
    """Those that wait longest, in the order in which their workflows go."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CLAIM_LOCK])
        due = (
            Opportunity.objects.filter(state=OpportunityState.OPEN, next_look_at__lte=now)
            .select_related("workflow")
            .select_for_update(of=("self",), skip_locked=True)
            .order_by("next_look_at", "workflow__priority", "id")
        )
        rows = list(due[:_MOST])
        ids = [each.pk for each in rows]
        Opportunity.objects.filter(pk__in=ids).update(next_look_at=now + _CLAIM)
    return sorted(rows, key=lambda each: (each.workflow.priority, each.workflow.name))


def _try(row: Opportunity, now: datetime) -> HealingRun | None:
    subject = opportunity_subject(row)
    run = run_start(workflow=row.workflow, subject=subject, actor=ACTOR, opportunity=row, now=now)
    if not run.refused_by:
        return run
    if run.refused_by == "mode" and not row.runs.filter(dry_run=True).exists():
        # What it would have done, as observing is for.
        run_start(
            workflow=row.workflow, subject=subject, actor=ACTOR, opportunity=row,
            dry_run=True, now=now,
        )  # fmt: skip
    Opportunity.objects.filter(pk=row.pk, state=OpportunityState.OPEN).update(
        next_look_at=now + AGAIN
    )
    return None


def opportunity_subject(row: Opportunity) -> Subject:
    """What a run of the opportunity acts on."""
    return Subject(
        kind=row.target_kind,
        name=row.target,
        service=row.service,
        check_id=row.check_id,
        trigger_kind=row.trigger_kind,
        trigger_key=row.trigger_key,
        trigger=row.trigger,
    )
