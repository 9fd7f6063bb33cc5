"""Metrics: series of numbers, added up per minute and per hour."""

from __future__ import annotations

from django.db import models


class MetricSeries(models.Model):
    """One metric of a service with one set of attributes, over all instances of the service.

    `id` is made of everything that identifies it. What came after a service had its fill of
    series is added up in one series per metric whose attribute `otel.metric.overflow` is true.
    """

    id = models.UUIDField(primary_key=True)
    service = models.TextField(db_index=True)
    scope = models.TextField()
    name = models.TextField(db_index=True)
    unit = models.TextField()
    kind = models.CharField(max_length=24)
    temporality = models.SmallIntegerField(help_text="OTLP: 0 unset, 1 delta, 2 cumulative.")
    monotonic = models.BooleanField()
    attributes = models.JSONField()
    overflow = models.BooleanField(default=False)
    first_seen = models.DateTimeField()
    last_seen = models.DateField(db_index=True, help_text="The last day on which it was received.")

    class Meta:
        verbose_name_plural = "metric series"

    def __str__(self) -> str:
        return f"{self.service} {self.name} {self.attributes}"


class MetricStream(models.Model):
    """The last cumulative point of one writer of a series: what the next one is compared with.

    A writer is an instance of the service. Times are nanoseconds since the epoch, as sent.
    """

    series_id = models.UUIDField()
    writer = models.TextField()
    service = models.TextField()
    start_ns = models.BigIntegerField()
    time_ns = models.BigIntegerField()
    value = models.FloatField()
    count = models.BigIntegerField()
    distribution = models.JSONField(null=True)
    updated_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["series_id", "writer"], name="metricstream_writer")
        ]
        indexes = [models.Index(fields=["service", "writer"], name="metricstream_service")]

    def __str__(self) -> str:
        return f"{self.series_id} {self.writer}"


class MetricFigures(models.Model):
    """What all points of a series in one step of time add up to.

    `total`, `minimum` and `maximum` are of the values of gauges and non-monotonic sums, and of the
    observations of histograms and summaries; `count` counts those observations. `increase` is by
    how much monotonic sums grew, whatever their temporality; `resets` how often a writer began
    anew. `last` is the newest value as sent. `distribution` is a mergeable histogram of the
    step's observations (`analytics.domain.distributions`).
    """

    id = models.BigAutoField(primary_key=True)
    series_id = models.UUIDField()
    points = models.BigIntegerField()
    count = models.BigIntegerField()
    total = models.FloatField(null=True)
    minimum = models.FloatField(null=True)
    maximum = models.FloatField(null=True)
    increase = models.FloatField(null=True)
    resets = models.IntegerField()
    last = models.FloatField(null=True)
    last_at = models.DateTimeField(null=True)
    distribution = models.JSONField(null=True)
    changed_at = models.DateTimeField()

    class Meta:
        abstract = True


class MetricRollup(MetricFigures):
    """A series in one minute."""

    minute = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "analytics_metricrollup"

    def __str__(self) -> str:
        return f"{self.minute} {self.series_id}"


class MetricRollupHour(MetricFigures):
    """A series in one hour, summed up from its minutes."""

    hour = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "analytics_metricrolluphour"

    def __str__(self) -> str:
        return f"{self.hour} {self.series_id}"
