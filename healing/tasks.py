"""Background work of healing. Every task may run twice, or be missed, without harm."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from celery import shared_task

from healing.services import failure_detector, recovery_orchestrator, retention, review
from resilience_site.core.turns import at_most

# A word that nobody heard by then is old: the tick has come round often since.
_EXPIRES = 15
# Of the threads of a worker, which tell people of alerts as well: what is healed may be slow to answer.
_LOOKS = 6


@shared_task
def failures_detect() -> None:
    """Find what could be healed, and begin what may begin."""
    failure_detector.failures_detect(now=datetime.now(UTC))


@shared_task
@at_most(_LOOKS)
def run_look(run_id: str) -> None:
    """Advance one run as far as it goes."""
    recovery_orchestrator.run_look(UUID(run_id))


@shared_task
def runs_follow() -> None:
    """Have every run looked at that is due."""
    for run_id in recovery_orchestrator.runs_due(datetime.now(UTC)):
        run_look.apply_async((str(run_id),), expires=_EXPIRES)


@shared_task
def runs_reap() -> None:
    """End runs that nobody approved in time."""
    recovery_orchestrator.runs_reap(datetime.now(UTC))


@shared_task
def runs_audit() -> None:
    """Tell where due runs are not looked at."""
    recovery_orchestrator.runs_audit(datetime.now(UTC))


@shared_task
def guards_review() -> None:
    """End stops that are over, and tell of targets that are healed too often."""
    review.guards_review(now=datetime.now(UTC))


@shared_task
def history_prune() -> None:
    """Forget runs and opportunities that are past their time."""
    retention.history_prune(now=datetime.now(UTC))
