"""The message of a group: which of its alerts are listed, and why it is told."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Literal
from uuid import UUID

from alerting.choices import IncidentState
from alerting.domain.dedup import Decision
from alerting.domain.grouping import is_everything_else
from alerting.domain.incident_brief import incident_brief
from alerting.domain.matchers import matchers_stored, matchers_text
from alerting.domain.messages import AlertTold, IncidentTold, Message
from alerting.domain.wording import MOST_LISTED, message_of, why_told
from alerting.models import Alert, AlertGroup, Incident
from alerting.selectors.alerts import URGENCY
from alerting.selectors.runbooks import runbook_whole
from resilience_site.core.links import absolute


def message_compose(group: AlertGroup, decision: Decision, firing: Set[UUID]) -> Message:
    """What a channel is told of `group`: what is new first, the most urgent first in each.

    Where all that still fires is held back, it is listed beside what is over: the receiver knows of
    it, and must not take its end for the end of the rest.
    """
    assert decision.occasion is not None
    open_now = firing or decision.firing
    listed = _listed(decision.new)
    if len(listed) < MOST_LISTED:
        listed += _listed(open_now - decision.new, MOST_LISTED - len(listed))
    ended = _listed(decision.ended)
    route = group.route
    matchers = matchers_text(matchers_stored(route.matchers)) if route else ""
    return message_of(
        firing=[alert_told(each, "firing") for each in listed],
        firing_count=len(open_now),
        over=[alert_told(each, "resolved") for each in ended],
        over_count=len(decision.ended),
        why=why_told(
            decision.occasion,
            route=group.route_name,
            matchers=matchers,
            group_labels=group.labels,
            others=is_everything_else(group.key),
        ),
        group_key=f"{group.route_name}:{group.key}",
        url=absolute(f"/alerts?group={group.pk}"),
        incidents=incidents_told((*listed, *ended)[:MOST_LISTED]),
    )


def incidents_told(alerts: Sequence[Alert]) -> list[IncidentTold]:
    """The incidents of alerts as messages tell them, in the order of the alerts."""
    ids = list(dict.fromkeys(each.incident_id for each in alerts if each.incident_id))
    if not ids:
        return []
    rows = Incident.objects.only("title", "state", "cause", "impact").in_bulk(ids)
    return [
        incident_brief(
            title=each.title,
            url=absolute(f"/incidents/{each.pk}"),
            over=each.state == IncidentState.RESOLVED,
            cause=each.cause,
            impact=each.impact,
        )
        for each in (rows[pk] for pk in ids if pk in rows)
    ]


def alert_told(alert: Alert, status: Literal["firing", "resolved"]) -> AlertTold:
    """An alert as messages tell it."""
    texts = alert.annotations
    incident = f"/incidents/{alert.incident_id}" if alert.incident_id else ""
    return AlertTold(
        id=str(alert.id),
        rule=alert.rule_name,
        status=status,
        severity=alert.severity,
        labels=alert.labels,
        summary=texts.get("summary") or alert.rule_name,
        started_at=alert.started_at,
        fingerprint=alert.fingerprint,
        ended_at=alert.ended_at,
        details=texts.get("details", ""),
        runbook_url=runbook_whole(texts.get("runbook_url", "")),
        url=absolute(f"/alerts/{alert.id}"),
        incident_url=absolute(incident) if incident else "",
        facts=alert.facts,
    )


def _listed(ids: Set[UUID], most: int = MOST_LISTED) -> list[Alert]:
    if not ids:
        return []
    found = Alert.objects.filter(pk__in=ids).order_by(URGENCY, "-started_at", "id")
    return list(found[:most])
