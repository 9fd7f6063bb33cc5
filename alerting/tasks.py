"""Background work of alerting. Every task may run twice, or be missed, without harm."""

from __future__ import annotations

from datetime import UTC, datetime

from celery import shared_task

from alerting.services import inbound


@shared_task
def inbound_expire() -> None:
    """End alerts of other systems that these do not repeat."""
    inbound.inbound_expire(now=datetime.now(UTC))
