"""Background work of health. Every task may run twice, or be missed, without harm."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from celery import shared_task
from celery.signals import worker_process_shutdown, worker_ready, worker_shutting_down

from health.prober import end_probing, keep_probing, stop_probing
from health.services import (
    announcements,
    evaluation,
    hours,
    minutes,
    proposals,
    retention,
    staleness,
)
from resilience_site.config import config
from resilience_site.core.taskqueue import heals_alone


@shared_task
def checks_run() -> None:
    """Keep this worker probing, or end it where checks are switched off.

    The prober goes on by itself between two of these: a full queue delays no check. Where nobody
    probes, nothing is known of any check, and this says so.
    """
    if config.health_checks_enabled:
        keep_probing()
    else:
        stop_probing()
    staleness.stale_mark(now=datetime.now(UTC))


@worker_ready.connect
def _begin(sender: Any = None, **_: object) -> None:
    if config.health_checks_enabled and not heals_alone(str(getattr(sender, "hostname", ""))):
        keep_probing()


@worker_shutting_down.connect
@worker_process_shutdown.connect
def _stop(**_: object) -> None:
    end_probing()


@shared_task
def checks_follow() -> None:
    """Announce outages that have settled; begin and end maintenance on time."""
    now = datetime.now(UTC)
    evaluation.windows_follow(now=now)
    announcements.outages_announce(now=now)


@shared_task
def minutes_sum() -> None:
    """Sum up the seconds that checks spent in each state, minute by minute."""
    minutes.minutes_sum(now=datetime.now(UTC))


@shared_task
def hours_sum() -> None:
    """Sum up minutes and latencies into hours."""
    hours.hours_sum(now=datetime.now(UTC))


@shared_task
def proposals_read() -> None:
    """Propose the dependencies that traces have shown."""
    proposals.proposals_read(now=datetime.now(UTC))


@shared_task
def history_prune() -> None:
    """Forget changes and outages that are past their retention."""
    retention.history_prune(now=datetime.now(UTC))
