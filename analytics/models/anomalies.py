"""What stood out in a series, and what each detector remembers."""

from __future__ import annotations

from django.db import models


class Anomaly(models.Model):
    """A spell in which a series was unlike what was expected of it.

    `id` is made of the service, the metric and the start, so that the same minutes read twice find
    it once. `value`, `expected`, `lower` and `upper` are those of the moment `at` that stood out
    most, in the metric's unit; `score` is how unusual it was, 0..1. `ended_at` is null while it
    lasts.
    """

    id = models.UUIDField(primary_key=True)
    service = models.TextField()
    metric = models.TextField()
    unit = models.TextField(default="")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    at = models.DateTimeField()
    value = models.FloatField()
    expected = models.FloatField()
    lower = models.FloatField()
    upper = models.FloatField()
    score = models.FloatField()
    window_seconds = models.IntegerField()

    class Meta:
        verbose_name_plural = "anomalies"
        indexes = [
            models.Index(fields=["-started_at", "-id"], name="anomaly_newest"),
            models.Index(fields=["service", "metric", "-started_at"], name="anomaly_series"),
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.metric} at {self.at}"


class DetectorState(models.Model):
    """What the detector of one series has learnt, up to and including the step at `through`."""

    service = models.TextField()
    metric = models.TextField()
    version = models.SmallIntegerField(help_text="Of the detector: another one begins anew.")
    through = models.DateTimeField()
    state = models.BinaryField()
    points = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["service", "metric"], name="detectorstate_series")
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.metric}"
