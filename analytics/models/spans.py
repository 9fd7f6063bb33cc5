"""Spans, as they arrived."""

from __future__ import annotations

from django.db import models

from analytics.choices import SpanKind


class Span(models.Model):
    """One finished span. Partitioned by hour of `started_at`; the database key is
    `(started_at, id)`, and `id` is made of the start and the span's own ids, so that a span
    sent twice collides with itself.
    """

    id = models.UUIDField(primary_key=True)
    started_at = models.DateTimeField()
    trace_id = models.TextField()
    span_id = models.TextField()
    parent_span_id = models.TextField()
    service = models.TextField()
    instance = models.TextField()
    environment = models.TextField()
    scope = models.TextField()
    operation = models.TextField()
    kind = models.SmallIntegerField(choices=SpanKind)
    status = models.SmallIntegerField()
    status_message = models.TextField()
    duration_ns = models.BigIntegerField()
    attributes = models.JSONField()
    events = models.JSONField(null=True)
    links = models.JSONField(null=True)

    class Meta:
        managed = False
        db_table = "analytics_span"

    def __str__(self) -> str:
        return f"{self.service} {self.operation} {self.span_id}"
