"""Alerts: one row for each time that a condition held for one set of labels."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from alerting.choices import AlertSource, AlertState, Severity


class Alert(models.Model):
    """A condition that holds, or held. Of one fingerprint at most one is not resolved."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rule = models.ForeignKey(
        "alerting.AlertRule", null=True, on_delete=models.SET_NULL, related_name="alerts"
    )
    # The rule's name as it was, or that which another system gave.
    rule_name = models.CharField(max_length=200)
    source = models.CharField(max_length=12, choices=AlertSource, default=AlertSource.RULE)
    # SHA-256 of the sorted labels, as hex.
    fingerprint = models.CharField(max_length=64)
    labels = models.JSONField(default=dict)
    # `summary`, `details`, `runbook_url`: texts as they were when the alert began to fire, or as the
    # other system that tells of it posted them last.
    annotations = models.JSONField(default=dict)
    # What the condition saw: `value`, `threshold`, `window_seconds`, `trace_id`, `culprit`, links …
    facts = models.JSONField(default=dict)
    severity = models.CharField(max_length=6, choices=Severity)
    state = models.CharField(max_length=8, choices=AlertState)
    # The service that it is about, empty where it is about none. One that another system names need
    # not be in the catalogue.
    service = models.CharField(max_length=255, blank=True, default="")
    # When the condition began to hold, when the alert began to fire, when it was over.
    started_at = models.DateTimeField()
    fired_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField()
    # When a channel was first told of it.
    told_at = models.DateTimeField(null=True)
    # Why nobody is told: `[{"kind": "silence"|"inhibition"|"maintenance", "id": …, "text": …}]`.
    suppressed_by = models.JSONField(default=list)
    incident = models.ForeignKey(
        "alerting.Incident", null=True, on_delete=models.SET_NULL, related_name="alerts"
    )

    class Meta:
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["fingerprint"], condition=~Q(state="resolved"), name="alert_open_once"
            )
        ]
        indexes = [
            models.Index(fields=["-started_at", "-id"], name="alert_newest"),
            models.Index(fields=["service", "-started_at"], name="alert_of_service"),
            models.Index(fields=["rule_name", "-started_at"], name="alert_of_rule"),
            # What the pipeline and the list of open alerts read.
            models.Index(fields=["state"], condition=~Q(state="resolved"), name="alert_open"),
            models.Index(fields=["ended_at"], name="alert_ended"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_name} {self.state}"
