"""Incidents: alerts of one cause, their account, and what was made of it."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from alerting.choices import EntryKind, IncidentState, Severity


class Incident(models.Model):
    """Alerts of one cause in overlapping time, from the first that fires to the last that ends."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    title = models.CharField(max_length=300)
    state = models.CharField(max_length=12, choices=IncidentState, default=IncidentState.OPEN)
    severity = models.CharField(max_length=6, choices=Severity)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.TextField(blank=True, default="")
    assigned_to = models.TextField(blank=True, default="")
    # The service or check that is probably to blame, and the names of those that it touches.
    culprit = models.CharField(max_length=255, blank=True, default="")
    services = models.JSONField(default=list)
    # The probable cause with its evidence: `{"text", "service", "confidence", "evidence": [...]}`.
    cause = models.JSONField(default=dict)
    # As `impact` of the API; brought up to date while the incident is open.
    impact = models.JSONField(default=dict)
    # The incident of the public status page that was made of it (`health.PublicIncident`).
    public_incident_id = models.UUIDField(null=True)
    # Whether what ends this incident, or opens it again, is told there, too.
    public_follows = models.BooleanField(default=False)
    # The incident that its alerts went to, as both turned out to have one cause.
    merged_into = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="merged"
    )
    # Empty where it ended by itself, with the last of its alerts.
    resolved_by = models.TextField(blank=True, default="")
    # The last entry of the journal that its timeline took up; 0 to read its time again.
    cursor = models.BigIntegerField(default=0)
    # When its cause and its impact were looked for last.
    examined_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField()
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-started_at", "-id"]
        indexes = [
            models.Index(fields=["-started_at", "-id"], name="incident_newest"),
            models.Index(fields=["state"], condition=~Q(state="resolved"), name="incident_open"),
        ]

    def __str__(self) -> str:
        return self.title


class IncidentKey(models.Model):
    """What the alerts of an incident have in common: `root:SERVICE`, `breaker:KEY`, `check:ID` …"""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="keys")
    key = models.CharField(max_length=300)

    class Meta:
        ordering = ["incident", "key"]
        constraints = [
            models.UniqueConstraint(fields=["incident", "key"], name="incident_key_once")
        ]
        indexes = [models.Index(fields=["key"], name="incident_by_key")]

    def __str__(self) -> str:
        return self.key


class IncidentEntry(models.Model):
    """One line of an incident's timeline, kept beyond the retention of what it tells of."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="entries")
    at = models.DateTimeField()
    kind = models.CharField(max_length=11, choices=EntryKind)
    text = models.TextField()
    link = models.CharField(max_length=500, blank=True, default="")
    actor = models.TextField(blank=True, default="")
    # Names what it tells of, so that it stands here once.
    ref = models.CharField(max_length=200)

    class Meta:
        ordering = ["at", "id"]
        verbose_name_plural = "incident entries"
        constraints = [
            models.UniqueConstraint(fields=["incident", "ref"], name="incident_entry_once")
        ]
        indexes = [models.Index(fields=["incident", "at", "id"], name="incident_timeline")]

    def __str__(self) -> str:
        return self.text[:80]


class ResilienceReport(models.Model):
    """The figures of a range, as they were when the report was made."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    since = models.DateTimeField()
    until = models.DateTimeField()
    made_at = models.DateTimeField()
    # Empty for those that the schedule made.
    made_by = models.TextField(blank=True, default="")
    figures = models.JSONField()

    class Meta:
        ordering = ["-until", "-made_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["since", "until"], condition=Q(made_by=""), name="report_of_schedule_once"
            )
        ]
        indexes = [models.Index(fields=["-until", "-made_at"], name="report_newest")]

    def __str__(self) -> str:
        return f"{self.since:%Y-%m-%d} to {self.until:%Y-%m-%d}"
