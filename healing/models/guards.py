"""What holds healing back: the kill switch and quarantined targets."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from healing.choices import TargetKind


class HealingSwitch(models.Model):
    """The kill switch: one row. Thrown, no run begins and none acts any more.

    `stopped_by_site`: the site threw it for a group of which half is unhealthy; `group` names it,
    and other groups go on.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Empty: all healing.
    group = models.CharField(max_length=100, unique=True, blank=True, default="")
    stopped = models.BooleanField(default=False)
    stopped_by_site = models.BooleanField(default=False)
    reason = models.TextField(blank=True, default="")
    actor = models.TextField(blank=True, default="")
    changed_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["group"]
        verbose_name_plural = "healing switches"

    def __str__(self) -> str:
        return f"{self.group or 'all'}: {'stopped' if self.stopped else 'running'}"


class Quarantine(models.Model):
    """A target that used up its budget of runs: no workflow touches it until a person says so."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    target_kind = models.CharField(max_length=7, choices=TargetKind)
    target = models.CharField(max_length=400)
    service = models.CharField(max_length=200)
    reason = models.TextField()
    since = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.TextField(blank=True, default="")
    ended_reason = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-since"]
        constraints = [
            models.UniqueConstraint(
                fields=["target_kind", "target"],
                condition=Q(ended_at=None),
                name="quarantine_open_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.target} since {self.since:%Y-%m-%d %H:%M}"
