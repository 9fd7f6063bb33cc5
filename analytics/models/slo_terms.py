"""What objectives said before they were changed."""

from __future__ import annotations

from django.db import models

from analytics.models.slos import Slo


class FormerSlo(models.Model):
    """The terms of an objective from `since` until they were changed, or it was deleted."""

    id = models.BigAutoField(primary_key=True)
    slo = models.ForeignKey(Slo, on_delete=models.CASCADE, related_name="former")
    since = models.DateTimeField()
    until = models.DateTimeField(db_index=True)
    objective = models.FloatField()
    window_days = models.PositiveSmallIntegerField()
    threshold_ms = models.FloatField(null=True)
    min_bad = models.PositiveIntegerField()
    enabled = models.BooleanField()

    class Meta:
        ordering = ["slo", "since"]

    def __str__(self) -> str:
        return f"{self.slo_id} until {self.until}"
