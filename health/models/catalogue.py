"""The service catalogue."""

from __future__ import annotations

from django.db import models

from health.choices import Criticality


class Service(models.Model):
    """Something that sends telemetry, or that a sender calls; known by its `service.name`."""

    name = models.CharField(max_length=200, unique=True)
    environment = models.CharField(max_length=100, blank=True, default="")
    version = models.CharField(max_length=100, blank=True, default="")
    language = models.CharField(max_length=50, blank=True, default="")
    criticality = models.CharField(
        max_length=10, choices=Criticality, default=Criticality.UNSET, blank=True
    )
    description = models.TextField(blank=True, default="")
    public_name = models.CharField(
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text="What the public status page calls it; without one it is not named there.",
    )
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
