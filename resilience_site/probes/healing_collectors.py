"""The story's metrics of self-healing: what came of the actions and the runs of the last day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Q, Value
from django.db.models.functions import Coalesce, NullIf

from healing.choices import StepState
from healing.domain.learning import Tries
from healing.models import HealingStep
from healing.selectors.learning import runs_counted, success_list

MAX_SAMPLES: Final = 5_000
_DAY: Final = timedelta(days=1)
# What was done and undone later did succeed.
_DONE: Final = (StepState.SUCCEEDED, StepState.COMPENSATED)

Sample = tuple[tuple[str, ...], float]
Collector = Callable[[datetime], Iterable[Sample]]


def _action_success(now: datetime) -> Iterator[Sample]:
    tried = HealingStep.objects.filter(
        run__dry_run=False,
        attempt__gt=0,
        ended_at__gt=now - _DAY,
        ended_at__lte=now,
        state__in=(*_DONE, StepState.FAILED),
    )
    # A way is counted as the action that it led to.
    counted = (
        tried.order_by()
        .annotate(kind=Coalesce(NullIf(F("resolved"), Value("")), F("action")))
        .values_list("kind")
        .annotate(tried=Count("id"), done=Count("id", filter=Q(state__in=_DONE)))
        .order_by("kind")
    )
    for action, count, done in counted[:MAX_SAMPLES]:
        yield (action,), done / count


def _run_success(now: datetime) -> Iterator[Sample]:
    tries: dict[str, Tries] = defaultdict(Tries)
    for each in success_list(now=now, since=now - _DAY):
        before = tries[each.workflow]
        tries[each.workflow] = Tries(
            before.healed + each.tries.healed, before.runs + each.tries.runs
        )
    for workflow, found in sorted(tries.items())[:MAX_SAMPLES]:
        yield (workflow,), found.healed / found.runs


def _recovery_duration(now: datetime) -> Iterator[Sample]:
    lasted = ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())
    means = (
        runs_counted(since=now - _DAY, until=now)
        .order_by()
        .values_list("workflow")
        .annotate(mean=Avg(lasted))
        .order_by("workflow")
    )
    for workflow, mean in means[:MAX_SAMPLES]:
        yield (workflow,), mean.total_seconds()


HEALING_COLLECTORS: Final[dict[str, Collector]] = {
    "resilience_healing_action_success_ratio": _action_success,
    "resilience_healing_run_success_ratio": _run_success,
    "resilience_recovery_duration_seconds": _recovery_duration,
}
