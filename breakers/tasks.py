"""Background work of the control plane. Every task may run twice, or be missed, without harm."""

from __future__ import annotations

from datetime import UTC, datetime

from celery import shared_task

from breakers.services import expiry, retention


@shared_task
def due_expire() -> None:
    """End overrides, toggles, degraded modes and commands whose time is over."""
    expiry.expire_due(now=datetime.now(UTC))


@shared_task
def history_prune() -> None:
    """Forget transitions, breaches and ended decisions that are past their retention."""
    retention.history_prune(now=datetime.now(UTC))
