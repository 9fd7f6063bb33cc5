"""Background work of alerting. Every task may run twice, or be missed, without harm."""

from __future__ import annotations

from datetime import UTC, datetime

from celery import shared_task

from alerting.services import (
    alerts,
    delivery_pruning,
    dispatch,
    inbound,
    incident_examine,
    incident_follow,
    incident_publish,
    incident_timeline,
    reports,
    retention,
    sending,
)
from alerting.services.rules import evaluate
from resilience_site.core.turns import at_most


@shared_task
@at_most(1)
def alerts_dispatch() -> None:
    """Route and group the alerts that fire, and tell of the groups that are due."""
    dispatch.alerts_dispatch(now=datetime.now(UTC))


@shared_task
@at_most(1)
def inbound_expire() -> None:
    """End alerts of other systems that these do not repeat."""
    inbound.inbound_expire(now=datetime.now(UTC))


@shared_task
@at_most(1)
def incidents_follow() -> None:
    """Make new alerts part of incidents, end those that are over, and go on with timelines."""
    incident_follow.incidents_follow(now=datetime.now(UTC))
    incident_timeline.timelines_follow(now=datetime.now(UTC))
    incident_publish.publications_follow(now=datetime.now(UTC))


@shared_task
@at_most(1)
def incidents_examine() -> None:
    """Look for the cause of incidents, and for what they touched."""
    incident_examine.incidents_examine(now=datetime.now(UTC))


@shared_task
@at_most(1)
def rules_evaluate() -> None:
    """Evaluate all enabled rules up to now."""
    evaluate.rules_evaluate(now=datetime.now(UTC))


@shared_task
def reports_make() -> None:
    """Make and mail the weekly report once it is due."""
    reports.report_weekly_make(now=datetime.now(UTC))


@shared_task
def deliveries_send() -> None:
    """Begin to send what is due, beside the tasks of this worker."""
    sending.sending_begin()


@shared_task
def history_prune() -> None:
    """Delete silences, groups of alerts, incidents and reports that are past their time."""
    retention.history_prune(now=datetime.now(UTC))


@shared_task
def deliveries_prune() -> None:
    """Forget deliveries that ended long ago."""
    delivery_pruning.deliveries_prune(now=datetime.now(UTC))


@shared_task
def alerts_prune() -> None:
    """Forget alerts that have been over for long."""
    alerts.alerts_prune(now=datetime.now(UTC))
