"""What runs came to: success, times, suggestions of modes, the order of a ladder's rungs.

A run counts where it acted and ended otherwise than cancelled; it healed where it succeeded and
did not fail again within half an hour.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from healing.choices import UNSUCCESSFUL, RunState, StepState
from healing.domain.definition import Definition, definition_of
from healing.domain.learning import (
    Outcome,
    Rung,
    Suggestion,
    Tries,
    rungs_ordered,
    suggestion_of,
)
from healing.models import HealingRun, HealingStep, Workflow

# Older runs tell of a site that has changed since.
LEARNED_FROM: Final = timedelta(days=90)
ENDED: Final = sorted({RunState.SUCCEEDED, *UNSUCCESSFUL})
_MOST_RUNS: Final = 50

_TIMES: Final = """
SELECT r.workflow, count(*),
    percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
        ORDER BY extract(epoch FROM r.ended_at - r.started_at)::float8),
    percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
        ORDER BY extract(epoch FROM r.ended_at - coalesce(o.first_seen, r.created_at))::float8)
        FILTER (WHERE r.state = 'succeeded' AND r.failed_again_at IS NULL)
FROM healing_healingrun r LEFT JOIN healing_opportunity o ON o.id = r.opportunity_id
WHERE NOT r.dry_run AND r.started_at IS NOT NULL AND r.state = ANY(%s)
    AND r.ended_at > %s AND r.ended_at <= %s
GROUP BY r.workflow ORDER BY r.workflow
"""


@dataclass(frozen=True)
class Success:
    """How often a workflow healed one kind of target after one kind of trigger."""

    workflow: str
    target_kind: str
    trigger_kind: str
    tries: Tries
    failed_again: int


@dataclass(frozen=True)
class Times:
    """How long the runs of a workflow took, and how long it took from the failure (as far as the
    site saw it) until a heal was verified; in seconds. None where none healed."""

    workflow: str
    runs: int
    duration_p50: float
    duration_p95: float
    recovery_p50: float | None
    recovery_p95: float | None


def runs_counted(*, since: datetime, until: datetime) -> QuerySet[HealingRun]:
    """The runs that ended in a span and count."""
    return HealingRun.objects.filter(
        dry_run=False,
        started_at__isnull=False,
        state__in=ENDED,
        ended_at__gt=since,
        ended_at__lte=until,
    )


HEALED: Final = Q(state=RunState.SUCCEEDED, failed_again_at=None)


def success_list(
    *, now: datetime, since: datetime | None = None, workflow: str = ""
) -> list[Success]:
    """Success by workflow, kind of target and kind of trigger, by name; one query."""
    rows = runs_counted(since=since or now - LEARNED_FROM, until=now)
    if workflow:
        rows = rows.filter(workflow=workflow)
    counted = rows.values_list("workflow", "target_kind", "trigger_kind").annotate(
        runs=Count("id"),
        healed=Count("id", filter=HEALED),
        again=Count("id", filter=Q(failed_again_at__isnull=False)),
    )
    return [
        Success(workflow, target_kind, trigger_kind, Tries(healed, runs), again)
        for workflow, target_kind, trigger_kind, runs, healed, again in counted.order_by(
            "workflow", "target_kind", "trigger_kind"
        )
    ]


def success_total(found: Iterable[Success]) -> Tries:
    """All of them together."""
    counted = [each.tries for each in found]
    return Tries(sum(each.healed for each in counted), sum(each.runs for each in counted))


def times_by_workflow(*, now: datetime, since: datetime | None = None) -> dict[str, Times]:
    """Times of the workflows that had runs; one query."""
    with connection.cursor() as cursor:
        cursor.execute(_TIMES, [ENDED, since or now - LEARNED_FROM, now])
        rows = cursor.fetchall()
    return {
        workflow: Times(workflow, runs, *durations, *(recovery or (None, None)))
        for workflow, runs, durations, recovery in rows
    }


def suggestions(*, now: datetime) -> dict[str, Suggestion]:
    """Other modes that the runs of workflows suggest, by the workflow's name; two queries."""
    workflows = list(Workflow.objects.all())
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    rows: Iterable[Any] = (
        runs_counted(since=now - LEARNED_FROM, until=now)
        # What an earlier version did, or what it did in another mode, says little of this one.
        .filter(
            workflow_row__isnull=False,
            version=F("workflow_row__version"),
            ended_at__gt=F("workflow_row__mode_changed_at"),
        )
        .annotate(
            nth=Window(RowNumber(), partition_by=F("workflow_row"), order_by=F("ended_at").desc())
        )
        .filter(nth__lte=_MOST_RUNS)
        .order_by("-ended_at")
        .values_list("workflow_row__name", "ended_at", "state", "failed_again_at")
    )
    for name, ended_at, state, again in rows:
        outcomes[name].append(Outcome(ended_at, state == RunState.SUCCEEDED and again is None))
    found = {
        each.name: suggestion_of(
            each.mode,
            outcomes[each.name],
            definition_of(each.definition).guards.failures_to_approve,
        )
        for each in workflows
        if each.name in outcomes
    }
    return {name: each for name, each in found.items() if each is not None}


def ladder_order(definition: Definition, service: str, now: datetime | None = None) -> list[str]:
    """The ids of a ladder's steps in the order in which they are climbed for a service: what
    worked on it, and on targets of the same kind, goes first. One query."""
    rungs = [Rung(each.id, each.action, frozenset(each.after or ())) for each in definition.steps]
    own, kind = _tries(definition, service, (now or datetime.now(UTC)) - LEARNED_FROM)
    return rungs_ordered(rungs, own, kind)


def _tries(
    definition: Definition, service: str, since: datetime
) -> tuple[dict[str, Tries], dict[str, Tries]]:
    """How often what the steps call healed the service, and how often targets of its kind.

    Of a ladder only the last rung that was climbed healed; in a sequence all steps did.
    """
    later = HealingStep.objects.filter(run=OuterRef("run"), n__gt=OuterRef("n"), attempt__gt=0)
    healed = Q(
        state=StepState.SUCCEEDED, run__state=RunState.SUCCEEDED, run__failed_again_at=None
    ) & (Q(laddered=False) | Q(last=True))
    rows = HealingStep.objects.filter(
        action__in=sorted({each.action for each in definition.steps}),
        attempt__gt=0,
        run__target_kind=definition.target,
        run__dry_run=False,
        run__state__in=ENDED,
        run__ended_at__gt=since,
    )
    marked = rows.annotate(last=~Exists(later), laddered=Q(run__definition__strategy="ladder"))
    counted: Iterable[tuple[str, str, int, int]] = (
        marked.order_by()
        .values_list("action", "run__service")
        .annotate(runs=Count("id"), healed=Count("id", filter=healed))
    )
    own: dict[str, Tries] = {}
    kind: dict[str, Tries] = defaultdict(Tries)
    for action, of, runs, worked in counted:
        if of == service:
            own[action] = Tries(worked, runs)
        before = kind[action]
        kind[action] = Tries(before.healed + worked, before.runs + runs)
    return own, dict(kind)
