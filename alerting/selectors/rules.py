"""Alert rules, with how many of their alerts fire."""

from __future__ import annotations

from django.db.models import Count, F, Max, Q, QuerySet

from alerting.choices import AlertState
from alerting.models import AlertRule


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
