"""Background work of alerting. Every task may run twice, or be missed, without harm."""

from __future__ import annotations

from datetime import UTC, datetime

from celery import shared_task

from alerting.services import dispatch, inbound
from alerting.services.rules import evaluate


@shared_task
def alerts_dispatch() -> None:
    """Route and group the alerts that fire, and tell of the groups that are due."""
    dispatch.alerts_dispatch(now=datetime.now(UTC))


@shared_task
def inbound_expire() -> None:
    """End alerts of other systems that these do not repeat."""
    inbound.inbound_expire(now=datetime.now(UTC))


@shared_task
def rules_evaluate() -> None:
    """Evaluate all enabled rules up to now."""
    evaluate.rules_evaluate(now=datetime.now(UTC))
