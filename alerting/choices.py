"""Closed sets of values of alerts, their delivery, and incidents."""

from __future__ import annotations

from django.db import models


class Severity(models.TextChoices):
    """How soon a person must look, in the terms of the SRE workbook; the most urgent first."""

    PAGE = "page", "Page: somebody must look now"
    TICKET = "ticket", "Ticket: somebody must look within days"
    INFO = "info", "Info: for the record"


class AlertState(models.TextChoices):
    """A pending alert's condition holds, but not yet for as long as its rule asks."""

    PENDING = "pending", "Pending"
    FIRING = "firing", "Firing"
    RESOLVED = "resolved", "Resolved"


class Origin(models.TextChoices):
    """Who made a rule, a route or an inhibition."""

    SHIPPED = "shipped", "Shipped"
    PERSON = "person", "A person"


class AlertSource(models.TextChoices):
    """Who raised an alert: a rule of this site, the site about itself, or another system."""

    RULE = "rule", "A rule"
    SITE = "site", "The site about itself"
    ALERTMANAGER = "alertmanager", "Alertmanager"
    GRAFANA = "grafana", "Grafana"


class ChannelKind(models.TextChoices):
    """Where notifications go; one folder of `alerting.channels` each."""

    EMAIL = "email", "E-mail"
    WEBHOOK = "webhook", "Webhook"
    SLACK = "slack", "Slack"
    TEAMS = "teams", "Microsoft Teams"
    PAGERDUTY = "pagerduty", "PagerDuty"
    APPRISE = "apprise", "Apprise"


class Purpose(models.TextChoices):
    """What a delivery is for."""

    ALERTS = "alerts", "Alerts"
    TEST = "test", "A test"
    REPORT = "report", "A report"


class DeliveryState(models.TextChoices):
    """`failed` is for good: the receiver refuses, or the time for attempts is over."""

    PENDING = "pending", "Waiting"
    SENDING = "sending", "Being sent"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"


class AttemptOutcome(models.TextChoices):
    """How one attempt of a delivery ended."""

    DELIVERED = "delivered", "Delivered"
    RETRY = "retry", "To be tried again"
    PERMANENT = "permanent", "Refused for good"


class IncidentState(models.TextChoices):
    OPEN = "open", "Open"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    RESOLVED = "resolved", "Resolved"


class EntryKind(models.TextChoices):
    """What an entry of an incident's timeline tells of."""

    ALERT = "alert", "Alert"
    ERRORS = "errors", "Errors"
    TRANSITION = "transition", "Breaker"
    CHECK = "check", "Check"
    HEALING = "healing", "Healing"
    OVERRIDE = "override", "Override"
    DEGRADED = "degraded", "Degraded mode"
    RELEASE = "release", "Release"
    ANOMALY = "anomaly", "Anomaly"
    PREDICTION = "prediction", "Prediction"
    MAINTENANCE = "maintenance", "Maintenance"
    DELIVERY = "delivery", "Notification"
    STATE = "state", "State of the incident"
    NOTE = "note", "Note"
