"""Whether people are told of an alert, and if not, why: in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from alerting.choices import AlertState
from alerting.models import Alert, Channel, Delivery
from alerting.selectors.alerts import GroupTold
from resilience_site.config import config


def why_not_told(alert: Alert, groups: Sequence[GroupTold], deliveries: Sequence[Delivery]) -> str:
    """Why nobody is told of an alert; empty where somebody was or soon will be.

    `deliveries` are those of its groups since it fired.
    """
    if any(each.told for each in groups) or any(_tells(each, alert) for each in deliveries):
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


def _tells(delivery: Delivery, alert: Alert) -> bool:
    """Whether a message lists an alert, or may count it among those that it leaves out."""
    message = delivery.message
    listed = {each.get("id") for each in message.get("alerts", ())}
    return str(alert.id) in listed or bool(message.get("left_out"))


def _has_channels(each: GroupTold) -> bool:
    route = each.group.route
    if route is None or not route.enabled:
        return False
    enabled = Channel.objects.filter(enabled=True)
    return enabled.exists() if route.every_channel else enabled.filter(routes=route).exists()
