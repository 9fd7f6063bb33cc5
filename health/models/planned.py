"""What people announce: maintenance windows and incidents of the public status page."""

from __future__ import annotations

import uuid

from django.db import models

from health.choices import IncidentStage, MaintenanceKind, PublicImpact
from health.models.catalogue import Service
from health.models.checks import Check


class Maintenance(models.Model):
    """Times at which checks may fail without anybody being told.

    `single` runs from `starts_at` to `ends_at`. `weekly` runs on `weekdays` (0 is Monday) from
    `start_time` for `duration_seconds`; `cron` from each moment that `cron` names, for as long;
    both by the wall clock of `timezone`, within `starts_at`..`ends_at` where those are given.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=6, choices=MaintenanceKind)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    weekdays = models.JSONField(default=list, blank=True)
    start_time = models.TimeField(null=True, blank=True)
    cron = models.CharField(max_length=100, blank=True, default="")
    duration_seconds = models.PositiveIntegerField(null=True, blank=True)
    timezone = models.CharField(max_length=60, default="UTC")
    # Whether it covers all there is. A column of its own: a window whose last check was deleted
    # covers nothing, not everything.
    everything = models.BooleanField(default=False, db_default=False)
    services = models.ManyToManyField(Service, blank=True, related_name="maintenance")
    checks = models.ManyToManyField(Check, blank=True, related_name="maintenance")
    reason = models.TextField()
    # What the public status page says of it; empty keeps it off the page.
    public_text = models.TextField(blank=True, default="")
    actor = models.TextField()
    created_at = models.DateTimeField()
    # Ended before its time: no occurrence goes on or begins after it.
    ended_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-created_at", "id"]
        verbose_name_plural = "maintenance"

    def __str__(self) -> str:
        return self.name


class PublicIncident(models.Model):
    """What the public is told of something that went wrong."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    title = models.CharField(max_length=200)
    impact = models.CharField(max_length=15, choices=PublicImpact)
    services = models.ManyToManyField(Service, blank=True, related_name="public_incidents")
    started_at = models.DateTimeField(db_index=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    created_by = models.TextField()
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["-started_at", "id"]

    def __str__(self) -> str:
        return self.title


class PublicIncidentUpdate(models.Model):
    """One step of the account of an incident."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    incident = models.ForeignKey(PublicIncident, on_delete=models.CASCADE, related_name="updates")
    at = models.DateTimeField()
    stage = models.CharField(max_length=13, choices=IncidentStage)
    text = models.TextField()
    actor = models.TextField()

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.incident_id} {self.stage}"


class JournalReader(models.Model):
    """Where the reading of a journal has come to, by the name of its reader."""

    reader = models.CharField(max_length=60, primary_key=True)
    cursor = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["reader"]

    def __str__(self) -> str:
        return self.reader
