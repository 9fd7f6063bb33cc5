"""A heal that held less than half an hour counts as failed, and is told."""

from __future__ import annotations

from datetime import datetime

from healing.models import HealingRun
from healing.selectors.relapses import failed_again, heals_watched
from healing.services.runs.entries import run_entry
from resilience_site.core.formatting import duration
from resilience_site.core.journal import Entry


def heals_follow(*, since: datetime, now: datetime) -> list[Entry]:
    """Note which heals did not hold, those that were watched at `since` or began to be since;
    returns what is to be told of them."""
    entries = []
    for run in heals_watched(since, now):
        at = failed_again(run)
        if at is not None and _noted(run, at):
            held = (at - run.ended_at).total_seconds() if run.ended_at else 0.0
            text = f"{run.workflow} healed {run.target} for {duration(max(0.0, held))} only"
            entries.append(run_entry("run.failed_again", run, text))
    return entries


def _noted(run: HealingRun, at: datetime) -> bool:
    run.failed_again_at = at
    rows = HealingRun.objects.filter(pk=run.pk, failed_again_at=None)
    return rows.update(failed_again_at=at) == 1
