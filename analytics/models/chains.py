"""Chains of errors that belong together, and the queue of those to look at again."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from analytics.choices import ChainKind


class CorrelationChain(models.Model):
    """The summary of one chain: which error began it and which services it crossed.

    Partitioned by `opened_on`, the day on which it was first seen: a chain's own start moves
    when earlier spans arrive late. The full order of events is worked out when it is read.

    `confidence` (0..1) is how far its errors belong together: 1 where a trace or a correlation id
    says so. Where time and dependency do, `error_ids` names them, as nothing else leads to them.
    """

    id = models.UUIDField(primary_key=True)
    opened_on = models.DateField()
    kind = models.CharField(max_length=12, choices=ChainKind)
    trace_id = models.TextField()
    correlation_id = models.TextField()
    root_cause_id = models.UUIDField()
    root_cause_service = models.TextField()
    root_cause_type = models.TextField()
    root_cause_message = models.TextField()
    root_cause_operation = models.TextField()
    services = ArrayField(models.TextField())
    error_count = models.IntegerField()
    span_count = models.IntegerField()
    gap_count = models.IntegerField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    confidence = models.FloatField(default=1.0)
    error_ids = ArrayField(models.UUIDField(), default=list)

    class Meta:
        managed = False
        db_table = "analytics_correlationchain"

    def __str__(self) -> str:
        return self.trace_id or self.correlation_id


class ChainOnset(models.Model):
    """Chains as they were first seen: the minute of their start and the service of their root
    cause, counted at ends of minutes from `known_from` on. What becomes of a chain later, when its
    start moves or it turns out to be part of another, changes nothing of it.
    """

    id = models.BigAutoField(primary_key=True)
    known_from = models.DateTimeField()
    service = models.TextField()
    minute = models.DateTimeField(db_index=True)
    chains = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.minute} {self.service}"


class ChainPending(models.Model):
    """A trace or correlation id with something new in it, due to be chained (again)."""

    trace_id = models.TextField()
    correlation_id = models.TextField()
    occurred_at = models.DateTimeField()
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(db_index=True)
    settling = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.trace_id or self.correlation_id
