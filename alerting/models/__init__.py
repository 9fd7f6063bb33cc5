"""Models of alerts and incidents, by what they hold."""

from __future__ import annotations

from alerting.models.alerts import Alert
from alerting.models.delivery import Channel, Delivery, DeliveryAttempt
from alerting.models.incidents import Incident, IncidentEntry, IncidentKey, ResilienceReport
from alerting.models.routing import AlertGroup, Inhibition, Notified, Route, Silence
from alerting.models.rules import AlertRule, RuleProgress

__all__ = [
    "Alert",
    "AlertGroup",
    "AlertRule",
    "Channel",
    "Delivery",
    "DeliveryAttempt",
    "Incident",
    "IncidentEntry",
    "IncidentKey",
    "Inhibition",
    "Notified",
    "ResilienceReport",
    "Route",
    "RuleProgress",
    "Silence",
]
