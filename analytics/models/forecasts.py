"""What series are expected to do, and when something will be used up."""

from __future__ import annotations

from django.db import models

from analytics.choices import ExhaustionKind, ForecastSpan


class Forecast(models.Model):
    """The newest forecast of a series over one span.

    `points` are `[at, value, lower, upper]` with a band of 95 %; `reason` says why there are none.
    `mase` is the error on held-back history against the seasonal naive forecast, `coverage` the
    share of it that fell inside the band.
    """

    service = models.TextField()
    metric = models.TextField()
    span = models.CharField(max_length=3, choices=ForecastSpan)
    made_at = models.DateTimeField()
    step_seconds = models.IntegerField()
    points = models.JSONField()
    reason = models.TextField(blank=True)
    mase = models.FloatField(null=True)
    coverage = models.FloatField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["service", "metric", "span"], name="forecast_series")
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.metric} {self.span}"


class Exhaustion(models.Model):
    """When something is expected to be used up or to run out, and how likely within its horizon.

    `subject` names it: a series of a metric, a pool, a certificate's check.
    """

    service = models.TextField()
    kind = models.CharField(max_length=12, choices=ExhaustionKind)
    subject = models.TextField()
    made_at = models.DateTimeField()
    level = models.FloatField(help_text="How much is used now, in `unit`.")
    limit = models.FloatField()
    unit = models.TextField()
    expected_at = models.DateTimeField(null=True)
    earliest_at = models.DateTimeField(null=True)
    probability = models.FloatField()
    horizon_seconds = models.IntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["service", "kind", "subject"], name="exhaustion_subject"
            )
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.kind} {self.subject}"
