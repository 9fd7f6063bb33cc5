"""Alert rules, with how many of their alerts fire."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Count, F, Max, Q, QuerySet

from alerting.choices import AlertState
from alerting.models import AlertRule, RuleProgress


def rule_list(
    *, severity: str = "", enabled: bool | None = None, faulty: bool | None = None
) -> QuerySet[AlertRule]:
    """Rules by name, each with `firing` and `pending` alerts of now and when it `last_fired`."""
    rows = AlertRule.objects.annotate(
        firing=Count("alerts", filter=Q(alerts__state=AlertState.FIRING)),
        pending=Count("alerts", filter=Q(alerts__state=AlertState.PENDING)),
        last_fired=Max("alerts__fired_at"),
        evaluated_until=F("progress__evaluated_until"),
    ).order_by("name")
    if severity:
        rows = rows.filter(severity=severity)
    if enabled is not None:
        rows = rows.filter(enabled=enabled)
    if faulty is not None:
        rows = rows.exclude(fault="") if faulty else rows.filter(fault="")
    return rows


def rule_find(name: str) -> AlertRule | None:
    """A rule as `rule_list` gives it."""
    if "\0" in name:
        return None
    found: AlertRule | None = rule_list().filter(name=name).first()
    return found


def rules_exist() -> bool:
    """Whether there is anything to evaluate."""
    return AlertRule.objects.filter(enabled=True).exists()


def evaluated_last() -> datetime | None:
    """Up to when any rule was last evaluated; None before the first turn."""
    last: datetime | None = RuleProgress.objects.filter(rule__enabled=True).aggregate(
        last=Max("evaluated_until")
    )["last"]
    return last
