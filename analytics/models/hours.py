"""Figures per hour, summed up from those per minute: what long ranges are drawn from."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from analytics.choices import EdgeVia, SpanKind
from analytics.models.rollups import CallFigures


class CallRollupHour(CallFigures):
    """As `CallRollup`, for an hour."""

    id = models.BigAutoField(primary_key=True)
    hour = models.DateTimeField()
    service = models.TextField()
    operation = models.TextField()
    kind = models.SmallIntegerField(choices=SpanKind)
    buckets = ArrayField(models.BigIntegerField())

    class Meta:
        managed = False
        db_table = "analytics_callrolluphour"

    def __str__(self) -> str:
        return f"{self.hour} {self.service} {self.operation}"


class EdgeRollupHour(CallFigures):
    """As `EdgeRollup`, for an hour."""

    id = models.BigAutoField(primary_key=True)
    hour = models.DateTimeField()
    caller = models.TextField()
    callee = models.TextField()
    via = models.CharField(max_length=4, choices=EdgeVia)
    buckets = ArrayField(models.BigIntegerField())

    class Meta:
        managed = False
        db_table = "analytics_edgerolluphour"

    def __str__(self) -> str:
        return f"{self.hour} {self.caller} → {self.callee}"


class ErrorRollupHour(models.Model):
    """As `ErrorRollup`, for an hour."""

    id = models.BigAutoField(primary_key=True)
    hour = models.DateTimeField()
    service = models.TextField()
    pattern_id = models.UUIDField()
    errors = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "analytics_errorrolluphour"

    def __str__(self) -> str:
        return f"{self.hour} {self.service} {self.pattern_id}"


class FigureHour(models.Model):
    """What an hour adds to a trend that is not of calls, by the metric's name: of a service, and of
    all of them together under the empty name.

    `impact_radius`: the services that `count` chains crossed, added up. `saturation`: the share of
    the fullest of `count` resources.
    """

    id = models.BigAutoField(primary_key=True)
    hour = models.DateTimeField()
    metric = models.TextField()
    service = models.TextField()
    value = models.FloatField()
    count = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "analytics_figurehour"

    def __str__(self) -> str:
        return f"{self.hour} {self.metric} {self.service}"


class ErrorTotal(models.Model):
    """Errors in a step of so many hours, and how many patterns they belong to: of a service, and of
    all of them together under the empty name. Steps are aligned to the epoch."""

    hours = models.SmallIntegerField()
    service = models.TextField(db_collation="C")
    at = models.DateTimeField()
    errors = models.BigIntegerField()
    patterns = models.IntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["hours", "service", "at"], name="errortotal_step")
        ]

    def __str__(self) -> str:
        return f"{self.at} {self.service}"
