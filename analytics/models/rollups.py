"""Per-minute figures, counted as telemetry is stored. Screens read these, never raw events.

The database keys are composite (minute first, then what is counted), which the admin refuses, so
an identity column serves Django as the key.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from analytics.choices import EdgeVia, Outcome, Signal, SpanKind


class CallFigures(models.Model):
    """Calls, those that failed, and how long they took."""

    calls = models.BigIntegerField()
    errors = models.BigIntegerField()
    duration_ns = models.BigIntegerField()
    duration_max_ns = models.BigIntegerField()

    class Meta:
        abstract = True


class CallRollup(CallFigures):
    """Calls, errors and latency of one operation in one minute.

    The row with an empty operation sums the service's entry calls (server and consumer spans,
    and roots). `buckets` counts durations by `analytics.domain.histogram`.
    """

    id = models.BigAutoField(primary_key=True)
    minute = models.DateTimeField()
    service = models.TextField()
    operation = models.TextField()
    kind = models.SmallIntegerField(choices=SpanKind)
    buckets = ArrayField(models.IntegerField())

    class Meta:
        managed = False
        db_table = "analytics_callrollup"

    def __str__(self) -> str:
        return f"{self.minute} {self.service} {self.operation}"


class EdgeRollup(CallFigures):
    """Calls from one service to another (or to a named peer) in one minute."""

    id = models.BigAutoField(primary_key=True)
    minute = models.DateTimeField()
    caller = models.TextField()
    callee = models.TextField()
    via = models.CharField(max_length=4, choices=EdgeVia)
    buckets = ArrayField(models.IntegerField())

    class Meta:
        managed = False
        db_table = "analytics_edgerollup"

    def __str__(self) -> str:
        return f"{self.minute} {self.caller} → {self.callee}"


class ErrorRollup(models.Model):
    """Errors of one pattern in one minute."""

    id = models.BigAutoField(primary_key=True)
    minute = models.DateTimeField()
    service = models.TextField()
    pattern_id = models.UUIDField()
    errors = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "analytics_errorrollup"

    def __str__(self) -> str:
        return f"{self.minute} {self.service} {self.pattern_id}"


class IngestRollup(models.Model):
    """What became of received items in one minute, by signal and reason."""

    id = models.BigAutoField(primary_key=True)
    minute = models.DateTimeField()
    signal = models.CharField(max_length=10, choices=Signal)
    outcome = models.CharField(max_length=10, choices=Outcome)
    reason = models.TextField()
    items = models.BigIntegerField()
    requests = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "analytics_ingestrollup"

    def __str__(self) -> str:
        return f"{self.minute} {self.signal} {self.outcome}"


class EdgePending(models.Model):
    """A span whose parent lies in another process and has not arrived yet."""

    trace_id = models.TextField()
    parent_span_id = models.TextField()
    service = models.TextField()
    started_at = models.DateTimeField()
    duration_ns = models.BigIntegerField()
    failed = models.BooleanField()
    created_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.service} ← {self.parent_span_id}"


class EdgeSighting(models.Model):
    """When the journal was last told that one service calls another."""

    caller = models.TextField()
    callee = models.TextField()
    told_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["caller", "callee"], name="edgesighting_pair")
        ]

    def __str__(self) -> str:
        return f"{self.caller} → {self.callee}"


class PeerAlias(models.Model):
    """The service that answers at an address which callers name in their client spans."""

    caller = models.TextField()
    peer = models.TextField()
    service = models.TextField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["caller", "peer"], name="peeralias_caller_peer")
        ]
        verbose_name_plural = "peer aliases"

    def __str__(self) -> str:
        return f"{self.caller}: {self.peer} is {self.service}"
