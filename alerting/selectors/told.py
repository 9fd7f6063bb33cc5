"""Whether people are told of an alert, and if not, why: in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from alerting.choices import AlertState
from alerting.models import Alert, Channel
from alerting.selectors.alerts import GroupTold
from resilience_site.config import config


def why_not_told(alert: Alert, groups: Sequence[GroupTold]) -> str:
    """Why nobody is told of an alert; empty where somebody was or soon will be."""
    if any(each.told for each in groups):
        return ""
    if alert.state == AlertState.PENDING:
        return "It does not fire yet: its condition has not held for as long as its rule asks."
    if alert.suppressed_by:
        return "; ".join(each["text"] for each in alert.suppressed_by) + "."
    if not config.proactive_alerting_enabled:
        return "PROACTIVE_ALERTING_ENABLED is false: alerts are shown here, and nobody is told."
    if alert.state == AlertState.RESOLVED:
        return "It was over before anybody was to be told." if groups else ""
    if not groups:
        return ""
    if not any(_has_channels(each) for each in groups):
        routes = " and ".join(sorted({each.group.route_name for each in groups}))
        return f"The route {routes} has no channel that is enabled."
    return ""


def _has_channels(each: GroupTold) -> bool:
    route = each.group.route
    if route is None or not route.enabled:
        return False
    enabled = Channel.objects.filter(enabled=True)
    return enabled.exists() if route.every_channel else enabled.filter(routes=route).exists()
