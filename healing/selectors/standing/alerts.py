"""Alerts that fire."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from alerting.choices import AlertState
from alerting.models import Alert
from healing.choices import TriggerKind
from healing.domain.matching import Failing

# A heal that failed is no reason to heal: what it should have mended still is.
OF_HEALING: Final = "healing"
_MOST: Final = 500


def alerts_firing() -> list[Failing]:
    """Alerts of services that fire, but for those about healing itself."""
    rows = Alert.objects.filter(state=AlertState.FIRING).exclude(service="")
    wanted = rows.select_related("rule").order_by("started_at", "id")[:_MOST]
    return [_failing(each) for each in wanted if not _of_healing(each)]


def _of_healing(alert: Alert) -> bool:
    condition = alert.rule.condition if alert.rule is not None else {}
    return condition.get("topic") == OF_HEALING or alert.rule_name.startswith(OF_HEALING)


def _failing(alert: Alert) -> Failing:
    summary = str(alert.annotations.get("summary") or alert.rule_name)
    return Failing(
        kind=TriggerKind.ALERT,
        # The same condition has the same fingerprint whenever it fires again.
        key=alert.fingerprint,
        service=alert.service,
        names=(alert.rule_name,),
        since=alert.started_at,
        seen_at=alert.started_at,
        text=f"Alert {alert.rule_name} of {alert.service}: {summary}",
        link=f"/alerts/{alert.id}",
        output=summary,
        breaker=str(alert.labels.get("breaker") or ""),
        pattern=str(alert.labels.get("pattern") or ""),
        check_id=_uuid(alert.labels.get("check_id")),
        evidence={
            "alert": str(alert.id),
            "severity": alert.severity,
            "labels": alert.labels,
        },
    )


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None
